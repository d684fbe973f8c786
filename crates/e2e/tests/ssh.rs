//! Plain OpenSSH reaches nodes at any level.

use nestlab_e2e::{World, skip};
use std::path::Path;
use std::process::{Command, Output};

const LAB: &str = "\
name: reached
images:
  server:
    recipe: { suite: bookworm, packages: [openssh-server] }
nodes:
  box:
    kind: container
    image: server
    memory: 512MiB
    provision: [{ inline: 'mkdir -p /run/sshd; /usr/sbin/sshd', run: always }]
    inside:
      nodes:
        vm:
          image: server
          memory: 192MiB
          accel: tcg
          provision: [{ inline: 'mkdir -p /run/sshd; /usr/sbin/sshd', run: always }]
  plain: { kind: container, image: debian, memory: 64MiB }
";

/// Runs ssh or scp of this machine with the settings of a lab.
fn with_settings(program: &str, lab: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command
        .current_dir(lab)
        .args(["-F", "settings", "-o", "BatchMode=yes"]);
    // The settings hold the id of a lab that only its own world knows.
    let home = lab.parent().unwrap();
    command
        .env("XDG_STATE_HOME", home.join("state"))
        .env("HOME", home);
    command.env("XDG_RUNTIME_DIR", home.join("run"));
    command.args(arguments).output().expect("it can be run")
}

#[test]
fn ssh_and_scp_reach_every_level() {
    if Command::new("ssh").arg("-V").output().is_err() {
        return skip("ssh_and_scp_reach_every_level", "there is no `ssh`");
    }
    let world = World::new();
    let lab = world.lab("reached", LAB);
    world.run(&lab, &["up"]).ok();
    // Twice: what has been said is not said again.
    world.run(&lab, &["ssh-config"]).ok();
    let settings = world.run(&lab, &["ssh-config"]).ok();
    let settings = settings.complains("plain: it has no ssh server");
    std::fs::write(lab.join("settings"), &settings.stdout).unwrap();
    let keys = world.inside(&lab, "box", "wc -l </root/.ssh/authorized_keys");
    assert_eq!(keys, "1");

    for (host, name) in [("box", "box"), ("box.vm", "vm")] {
        let output = with_settings("ssh", &lab, &[host, "hostname; exit 7"]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            name,
            "{words}"
        );
        assert_eq!(output.status.code(), Some(7), "{words}");
    }
    std::fs::write(lab.join("file"), "carried").unwrap();
    let output = with_settings("scp", &lab, &["file", "box.vm:/root/there"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(world.inside(&lab, "box/vm", "cat /root/there"), "carried");

    // A server with another key is not believed.
    world.inside(&lab, "box", "rm /etc/ssh/ssh_host_*; ssh-keygen -A; pkill sshd || kill $(cat /run/sshd.pid); /usr/sbin/sshd");
    let output = with_settings("ssh", &lab, &["box", "true"]);
    assert_eq!(output.status.code(), Some(255));

    world.run(&lab, &["ssh-config", "nobody"]).exits_with(3);
    world.run(&lab, &["connect", "plain", "22"]).exits_with(1);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
