//! Ansible sees the whole tree: by playbooks in a lab file, and by an inventory.

use nestlab_e2e::{World, skip};
use std::path::Path;
use std::process::Command;

const LAB: &str = "\
name: played
images:
  python:
    recipe: { suite: bookworm, packages: [python3, openssh-server, runc] }
nodes:
  web:
    count: 2
    kind: container
    image: python
    memory: 192MiB
    provision:
      - &site { ansible: { playbook: site.yml, groups: [servers], extra_vars: { greeting: hello } } }
  vm:
    image: python
    memory: 640MiB
    inside:
      nodes:
        deep:
          kind: container
          image: python
          memory: 192MiB
          provision:
            - *site
            - { inline: 'mkdir -p /run/sshd; /usr/sbin/sshd', run: always }
";

const PLAYBOOK: &str = "\
- hosts: servers
  gather_facts: false
  tasks:
    - copy: { content: '{{ greeting }}, {{ inventory_hostname }}', dest: /root/greeting }
    - shell: cat >>/root/times
      args: { stdin: once }
";

fn ansible(lab: &Path, arguments: &[&str]) -> String {
    let home = lab.parent().unwrap();
    let output = Command::new("ansible")
        .current_dir(lab)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("HOME", home)
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn playbooks_reach_every_level() {
    const NAME: &str = "playbooks_reach_every_level";
    if Command::new("ansible").arg("--version").output().is_err() {
        return skip(NAME, "there is no `ansible` (Debian: ansible-core)");
    }
    let world = World::new();
    let lab = world.lab("played", LAB);
    std::fs::write(lab.join("site.yml"), PLAYBOOK).unwrap();
    let nodes = ["web-1", "web-2", "vm/deep"];

    // One run for all of them, and none for who has it.
    let up = world.run(&lab, &["up"]).ok();
    up.complains("applying site.yml to `web-1`, `web-2`, `vm/deep`");
    let times = |node: &str| world.inside(&lab, node, "wc -l </root/times");
    for node in nodes {
        let expected = format!("hello, {}", node.replace('/', "."));
        assert_eq!(world.inside(&lab, node, "cat /root/greeting"), expected);
        assert_eq!(times(node), "1");
    }
    let again = world.run(&lab, &["up"]).ok();
    assert!(!again.stderr.contains("applying"), "{}", again.stderr);
    world.run(&lab, &["up", "web-2", "--provision"]).ok();
    assert_eq!((times("web-1"), times("web-2")), ("1".into(), "2".into()));

    // A node that was made anew has nothing of it.
    world.run(&lab, &["destroy", "--yes", "web-1"]).ok();
    let anew = world.run(&lab, &["up"]).ok();
    anew.complains("applying site.yml to `web-1`\n");

    // A playbook that fails is no node that failed.
    std::fs::write(lab.join("site.yml"), PLAYBOOK.replace("cat >>", "false ")).unwrap();
    let failed = world.run(&lab, &["up"]).exits_with(1);
    failed.complains("The playbook site.yml failed for `web-1`, `web-2`, `vm/deep`");
    assert_eq!(world.inside(&lab, "web-1", "true"), "");

    // By ssh, for those that have a server.
    let inventory = world.run(&lab, &["inventory", "vm/deep"]).ok();
    std::fs::write(lab.join("inventory.json"), &inventory.stdout).unwrap();
    let ping = ["-i", "inventory.json", "servers", "-m", "ping"];
    assert!(ansible(&lab, &ping).contains("vm.deep | SUCCESS"));

    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
