//! Plain OpenSSH, as the user of a cloud image.

use crate::World;
use std::path::PathBuf;
use std::process::Command;

/// A key of the user's own, where OpenSSH has it, and Nestlab looks for it.
pub struct UserKey(PathBuf);

impl UserKey {
    /// Makes one for the user of a world.
    pub fn new(world: &World) -> Self {
        let keys = world.path().join(".ssh");
        std::fs::create_dir_all(&keys).expect("a folder of ours");
        let key = keys.join("id_ed25519");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        run(&mut make);
        Self(key)
    }

    /// What a command prints that `debian` runs behind a port of this machine.
    #[track_caller]
    pub fn ssh(&self, port: u16, command: &str) -> String {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &port.to_string(), "-o", "BatchMode=yes"])
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .arg("-i")
            .arg(&self.0)
            .args(["debian@127.0.0.1", command]);
        run(&mut ssh)
    }
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("OpenSSH is installed");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
