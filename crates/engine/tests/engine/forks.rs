//! What a fork leaves, in the lab that was forked and in the new one.

use crate::bench::{Bench, node, path};
use nestlab_backend_fake::{Call, Fate};
use nestlab_model::{Firmware, FirmwareChoice, Node, NodeState};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn with_port() -> Node {
    Node {
        ports: vec!["8080:80".parse().unwrap()],
        ..node("a")
    }
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .ino()
}

fn names(folder: PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_fork_is_at_rest_and_the_lab_goes_on() {
    let bench = Bench::new(vec![with_port(), node("b")]);
    assert!(bench.up().ok);
    let report = bench.fork(&["1", "2"]).unwrap();
    assert!(report.written.is_empty());
    for name in ["a", "b"] {
        assert_eq!(bench.state(name), NodeState::Ready);
        assert_eq!(bench.creations(name), 1, "it was not booted again");
    }
    assert!(bench.fake.paused().is_empty());

    // Frozen disks and memory are the same files in all labs.
    let of = |lab: &str, file: &str| inode(&bench.lab_folder(lab).join("nodes/a").join(file));
    let [first, second] = ["1", "2"].map(|lab| of(lab, "root.qcow2"));
    assert_eq!((first, second), (of("0", "root.qcow2"), first));
    assert_ne!(of("1", "root.1.qcow2"), of("2", "root.1.qcow2"));
    assert_eq!(bench.memory("0", "a"), bench.memory("1", "a"));

    bench.halt().unwrap();
    let fork = bench.moved_to("1");
    assert_eq!(fork.state("a"), NodeState::Saved);
    assert!(fork.up().ok);
    assert_eq!(fork.creations("a"), 1, "it goes on");
    assert_eq!(fork.host_ports("a"), [0], "the lab's own port is taken");
}

#[test]
fn a_machine_that_is_forked_stays_or_begins_anew() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    let restores = || {
        let calls = bench.fake.calls();
        calls
            .iter()
            .filter(|call| matches!(call, Call::Restore(_)))
            .count()
    };
    assert!(bench.fork(&["1"]).unwrap().written.is_empty());
    assert_eq!((restores(), bench.state("a")), (0, NodeState::Ready));
    bench.fake.forbid_branches();
    assert!(bench.fork(&["2"]).unwrap().written.is_empty());
    assert_eq!((restores(), bench.state("a")), (1, NodeState::Ready));
    assert!(bench.fake.paused().is_empty());
}

#[test]
fn the_next_fork_begins_from_a_new_file() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    let frozen = bench.memory("0", "a");
    assert!(bench.fork(&["1"]).unwrap().written.is_empty());
    assert_eq!(bench.memory("0", "a"), frozen);
    assert!(bench.fork(&["2"]).unwrap().written.is_empty());
    assert_ne!(bench.memory("0", "a"), frozen);
    assert_eq!(bench.memory("0", "a"), bench.memory("2", "a"));
    assert_eq!(bench.memory("1", "a"), frozen, "the fork keeps its one");
    assert!(bench.fork(&["3"]).unwrap().written.is_empty());
    assert_eq!(names(bench.memory_folder("0")), ["a"]);
    assert_eq!(
        names(bench.lab_folder("3").join("nodes/a")),
        [
            "machine.state",
            "node.json",
            "root.1.qcow2",
            "root.2.qcow2",
            "root.3.qcow2",
            "root.qcow2"
        ]
    );
}

#[test]
fn layers_of_disks_do_not_pile_up() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    for fork in 1..=9 {
        bench.fork(&[&fork.to_string()]).unwrap();
    }
    let layers = |lab: &str| {
        let mut names = names(bench.lab_folder(lab).join("nodes/a"));
        names.retain(|name| name.ends_with(".qcow2"));
        names
    };
    bench.until(|| layers("0").len() < 8);
    assert_eq!(layers("0")[0], "root.7.qcow2", "the others went");
    bench.fork(&["a"]).unwrap();
    assert_eq!(layers("0").last().unwrap(), "root.qcow2");
    assert_eq!(layers("a"), layers("0"));
    assert_eq!(layers("3").len(), 4, "a fork keeps those that it needs");
}

#[test]
fn what_is_halted_is_forked_without_memory() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    bench.halt().unwrap();
    bench.fork(&["1"]).unwrap();
    assert_eq!(bench.state("a"), NodeState::Halted);
    let fork = bench.moved_to("1");
    assert_eq!(fork.state("a"), NodeState::Halted);
    assert!(fork.up().ok);
    assert_eq!(fork.creations("a"), 2);
}

#[test]
fn a_fork_that_cannot_be_leaves_the_lab_as_it_was() {
    let bench = Bench::new(vec![node("a"), node("b")]);
    bench
        .fake
        .script(&path("b"), [Fate::Fails("no such cpu".into())]);
    assert!(!bench.up().ok);
    let refused = bench.fork(&["1"]).unwrap_err();
    assert!(refused.message.contains("`b` is failed"), "{refused:?}");
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert!(bench.up().ok);

    // The place of the new lab is taken: copying fails when all is frozen.
    std::fs::create_dir_all(bench.lab_folder("2")).unwrap();
    std::fs::write(bench.lab_folder("2").join("nodes"), "in the way").unwrap();
    assert!(bench.fork(&["2"]).is_err());
    for name in ["a", "b"] {
        assert_eq!(bench.state(name), NodeState::Ready);
    }
    assert!(bench.fake.paused().is_empty());
    for wrong in ["", "../0", "0"] {
        assert!(bench.fork(&[wrong]).is_err(), "{wrong:?}");
    }
    assert!(bench.fork(&["3"]).unwrap().written.is_empty());
}

#[test]
fn what_a_firmware_remembers_is_every_forks_own() {
    let mut started = node("a");
    started.boot.firmware = FirmwareChoice::Of(Firmware::Uefi);
    let bench = Bench::new(vec![started]);
    assert!(bench.up().ok);
    // The agent is on the small disk for cloud-init.
    let seed = std::fs::read(bench.node_folder("a").join("cidata.iso")).unwrap();
    let holds = |words: &[u8]| seed.windows(words.len()).any(|window| window == words);
    assert!(holds(b"VENDOR-DATA") && holds(b"#cloud-boothook"));

    let file = |lab: &str| bench.lab_folder(lab).join("nodes/a/uefi.fd");
    std::fs::write(file("0"), "order").unwrap();
    bench.fork(&["1"]).unwrap();
    assert_eq!(std::fs::read(file("1")).unwrap(), b"order");
    assert_ne!(inode(&file("1")), inode(&file("0")));
}
