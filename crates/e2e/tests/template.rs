//! Machines begin as clones of one that has booted before, and are themselves.

use nestlab_e2e::{World, nested_story};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

const TWENTY: &str = "
name: twenty
nodes:
  n: { count: 20, image: debian, memory: 128MiB }
";

const TREE: &str = "
name: grown
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    inside:
      nodes:
        inner:
          image: debian
          memory: 128MiB
          provision:
            - inline: echo done >/root/word
              run: once
";

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(60);

/// What tells a machine from all others, a word each.
const IDENTITY: &str = "hostname; cat /etc/machine-id /sys/class/net/eth0/address; \
    ip -4 -o addr show eth0 | awk '{print $4}'; head -c 16 /dev/urandom | od -An -x | tr -d ' '; \
    date +%s.%N";

#[test]
fn twenty_clones_are_twenty_machines() {
    let world = World::new();
    world.forget_templates();
    let lab = world.lab("twenty", TWENTY);
    let up = world.run(&lab, &["up"]).ok();
    assert_eq!(up.stderr.matches("from a template").count(), 19, "{up}");
    let mut seen: Vec<BTreeSet<String>> = vec![BTreeSet::new(); 5];
    for number in 1..=20 {
        let words = world.inside(&lab, &format!("n-{number}"), IDENTITY);
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(words[0], format!("n-{number}"));
        for (kind, word) in words[..5].iter().enumerate() {
            assert!(word.len() >= 3, "{words:?}");
            assert!(seen[kind].insert((*word).to_owned()), "twice: {word}");
        }
        let there: f64 = words[5].parse().unwrap();
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        assert!((here.unwrap().as_secs_f64() - there).abs() < 2.0, "{there}");
    }
    // Each answers for itself: one's word reaches another under its name.
    let listen = "perl -MIO::Socket::INET -e '
        my $l = IO::Socket::INET->new(LocalPort => 7000, Listen => 1, ReuseAddr => 1) or die;
        while (my $c = $l->accept) { print $c `hostname`; close $c }'";
    for node in ["n-7", "n-20"] {
        world
            .run(&lab, &["exec", "-d", node, "--", "sh", "-c", listen])
            .ok();
    }
    let ask = "exec 3<>/dev/tcp/$0/7000 && cat <&3";
    for node in ["n-7", "n-20"] {
        world.eventually("it answers", PATIENCE, || {
            let argv = ["exec", "n-3", "--", "bash", "-c", ask, node];
            world.run(&lab, &argv).stdout.trim() == node
        });
    }

    // They need their template no more, not even to be copied.
    world.forget_templates();
    world.run(&lab, &["halt", "--save", "n-2"]).ok();
    world.run(&lab, &["up", "n-2"]).ok();
    assert_eq!(world.inside(&lab, "n-2", "hostname"), "n-2");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_tree_is_cloned_whole() {
    nested_story(a_tree);
}

fn a_tree(world: &World) {
    world.forget_templates();
    let lab = world.lab("grown", TREE);
    let boots = || {
        let line = "cat /proc/sys/kernel/random/boot_id";
        ["box", "box/inner"].map(|node| world.inside(&lab, node, line))
    };
    let up = |args: &[&str], lab: &Path| {
        world.run(lab, &[&["up"], args].concat()).ok();
        assert_eq!(world.inside(lab, "box/inner", "cat /root/word"), "done");
    };
    up(&[], &lab);
    let first = boots();
    // The template was frozen before anything of the lab's own was done.
    world.inside(&lab, "box/inner", "echo mine >/root/mine");
    world.run(&lab, &["destroy", "--yes"]).ok();

    up(&[], &lab);
    assert_eq!(boots(), first, "nothing was booted");
    let line = "ls /root; hostname; cat /run/nestlab/identity.json | tr , '\\n' | grep -c lab_id";
    assert_eq!(world.inside(&lab, "box/inner", line), "word\ninner\n1");

    // A clone is forked, saved and woken like any other node.
    world.run(&lab, &["fork", "--name", "twin"]).ok();
    let twin = ["-l", "twin", "exec", "box/inner", "--", "cat", "/root/word"];
    world.run(&lab, &twin).ok().says("done");
    world.run(&lab, &["-l", "twin", "destroy", "--yes"]).ok();
    world.run(&lab, &["halt", "--save"]).ok();
    world.run(&lab, &["up"]).ok();
    assert_eq!(boots(), first);
    world.run(&lab, &["destroy", "--yes"]).ok();

    up(&["--cold"], &lab);
    assert_ne!(boots(), first, "all was booted");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
