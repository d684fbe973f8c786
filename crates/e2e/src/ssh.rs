//! Plain OpenSSH, as the user of a cloud image.

use crate::World;
use crate::run::output_of;
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
        output_of(&mut make);
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
        output_of(&mut ssh)
    }
}
