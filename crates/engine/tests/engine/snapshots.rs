//! What a snapshot keeps, and what becomes of a lab that goes back to it.

use crate::bench::{Bench, node};
use nestlab_model::NodeState;
use std::path::PathBuf;

fn kept(bench: &Bench, name: &str, file: &str) -> PathBuf {
    let folder = bench.lab_folder("0").join("snapshots").join(name);
    folder.join("nodes/a").join(file)
}

fn names(bench: &Bench) -> Vec<String> {
    let snapshots = bench.snapshots().into_iter();
    snapshots.map(|snapshot| snapshot.name).collect()
}

#[test]
fn a_lab_goes_back_to_what_it_was() {
    let mut bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    let saved = bench.save_snapshot(None).unwrap();
    assert_eq!(saved.name, "snapshot-1");
    assert!(saved.bytes > 0);
    assert!(
        saved
            .nodes
            .iter()
            .all(|node| node.state == NodeState::Saved)
    );
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert!(kept(&bench, "snapshot-1", "machine.memory").exists());

    // A node more, and one halted: all that is undone.
    bench.put(vec![node("a"), node("b"), node("c")]);
    assert!(bench.up().ok);
    bench.halt().unwrap();
    assert_eq!(bench.save_snapshot(None).unwrap().name, "snapshot-2");
    assert!(bench.restore_snapshot("snapshot-1").unwrap().ok);
    for name in ["a", "b"] {
        assert_eq!(bench.state(name), NodeState::Ready);
        assert_eq!(bench.creations(name), 1, "it was not booted again");
    }
    assert!(!bench.lab_folder("0").join("nodes/c").exists());
    assert!(!bench.lab_folder("0").join("restoring").exists());
    assert!(bench.up().ok, "a restored lab comes up like any other");

    // What was halted is halted; the other snapshot is not touched by all this.
    assert!(bench.restore_snapshot("snapshot-2").unwrap().ok);
    assert_eq!(bench.state("a"), NodeState::Halted);
    assert_eq!(bench.state("c"), NodeState::Halted);
    assert!(bench.restore_snapshot("snapshot-1").unwrap().ok);
    assert_eq!(bench.state("a"), NodeState::Ready);
    bench.delete_snapshot("snapshot-1").unwrap();
    assert_eq!(names(&bench), ["snapshot-2"]);
    assert!(bench.delete_snapshot("snapshot-1").is_err());
    bench.restart();
    assert_eq!(bench.state("a"), NodeState::Ready);
}

#[test]
fn a_snapshot_that_is_of_no_use_leaves_the_lab_alone() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    bench.save_snapshot(Some("good")).unwrap();
    let refused = |name: &str, words: &str| {
        let fault = bench.restore_snapshot(name).unwrap_err();
        assert!(fault.message.contains(words), "{fault:?}");
        assert_eq!(bench.state("a"), NodeState::Ready);
        assert_eq!(bench.creations("a"), 1);
    };
    refused("none", "no snapshot `none`");
    refused("../snapshots/good", "no snapshot");
    for bad in ["", ".x", "a/b"] {
        assert!(bench.save_snapshot(Some(bad)).is_err(), "{bad:?}");
    }
    let taken = bench.save_snapshot(Some("good")).unwrap_err();
    assert!(taken.message.contains("already"), "{taken:?}");

    std::fs::write(kept(&bench, "good", "machine.state"), "x").unwrap();
    refused("good", "machine.state is not what was saved");
    assert!(bench.fork_of("good", "1").is_err());
}

#[test]
fn a_snapshot_is_forked_without_its_lab() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    bench.save_snapshot(Some("then")).unwrap();
    bench.halt().unwrap();
    let report = bench.fork_of("then", "1").unwrap();
    assert_eq!(report.pause_seconds, 0.0);
    assert_eq!(bench.state("a"), NodeState::Halted);
    bench.delete_snapshot("then").unwrap();
    let fork = bench.moved_to("1");
    assert_eq!(fork.state("a"), NodeState::Saved);
    assert!(fork.up().ok);
    assert_eq!(fork.creations("a"), 1, "it goes on");
}

#[test]
fn a_compressed_snapshot_is_as_good() {
    let bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    let saved = bench.save_compressed("small").unwrap();
    assert!(saved.compressed);
    assert!(kept(&bench, "small", "machine.memory.lz4").exists());
    assert!(!kept(&bench, "small", "machine.memory").exists());
    bench.halt().unwrap();
    assert!(bench.restore_snapshot("small").unwrap().ok);
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert_eq!(bench.creations("a"), 1, "it was not booted again");
    bench.fork_of("small", "1").unwrap();
    let left = std::fs::read_dir(bench.lab_folder("0").join("snapshots")).unwrap();
    assert_eq!(left.count(), 1, "nothing unpacked is left");

    std::fs::write(kept(&bench, "small", "machine.memory.lz4"), "x").unwrap();
    let fault = bench.restore_snapshot("small").unwrap_err();
    assert!(fault.message.contains("is not what was saved"), "{fault:?}");
    let fork = bench.moved_to("1");
    assert!(fork.up().ok);
    assert_eq!(fork.creations("a"), 1, "it goes on");
}

#[test]
fn half_a_snapshot_is_none() {
    let mut bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    let part = bench.lab_folder("0").join("snapshots/.half");
    std::fs::create_dir_all(part.join("nodes")).unwrap();
    assert!(names(&bench).is_empty());
    bench.restart();
    assert!(!part.exists(), "it goes with the supervisor that left it");

    // Nor is one that cannot be written; the lab goes on.
    std::fs::write(bench.lab_folder("0").join("snapshots/.full"), "in the way").unwrap();
    assert!(bench.save_snapshot(Some("full")).is_err());
    assert!(names(&bench).is_empty());
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert!(bench.fake.paused().is_empty());
}

#[test]
fn what_was_left_frozen_goes_on() {
    let mut bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    bench.pause(&[]).unwrap();
    let frozen = r#"{"version": 1, "nodes": ["a"]}"#;
    std::fs::write(bench.lab_folder("0").join("frozen.json"), frozen).unwrap();
    bench.restart();
    bench.until(|| bench.state("a") == NodeState::Ready);
    assert_eq!(bench.state("b"), NodeState::Paused, "it was before");
    bench.until(|| !bench.lab_folder("0").join("frozen.json").exists());
}

#[test]
fn a_pause_with_a_lease_ends_by_itself() {
    let bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    bench.pause_for(&["a"], 1).unwrap();
    bench.pause(&["b"]).unwrap();
    bench.until(|| bench.state("a") == NodeState::Ready);
    assert_eq!(bench.state("b"), NodeState::Paused);

    // One that somebody has ended before says nothing about the next.
    bench.pause_for(&["a"], 1).unwrap();
    bench.unpause(&["a"]).unwrap();
    bench.pause(&["a"]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1300));
    assert_eq!(bench.state("a"), NodeState::Paused);
}

#[test]
fn who_was_paused_for_its_own_sake_stays_so() {
    let bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    bench.pause(&["b"]).unwrap();
    bench.pause_for(&[], 60).unwrap();
    let outcome = bench.unpause_leased().unwrap();
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert_eq!(bench.state("b"), NodeState::Paused);
    assert!(outcome.standstill_seconds > 0.0);

    // It may ask for that while it stands still for another's.
    bench.pause_for(&[], 60).unwrap();
    bench.pause(&["a"]).unwrap();
    bench.unpause_leased().unwrap();
    assert_eq!(bench.state("a"), NodeState::Paused);
    bench.unpause(&[]).unwrap();
    assert!(bench.fake.paused().is_empty());
}

#[test]
fn who_was_paused_is_so_in_every_copy() {
    let bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    bench.pause(&["b"]).unwrap();
    bench.save_snapshot(Some("then")).unwrap();
    bench.fork(&["1"]).unwrap();
    let states = |bench: &Bench| ["a", "b"].map(|name| bench.state(name));
    let expected = [NodeState::Ready, NodeState::Paused];
    assert_eq!(states(&bench), expected);
    bench.unpause(&[]).unwrap();
    assert!(bench.restore_snapshot("then").unwrap().ok);
    assert_eq!(states(&bench), expected);
    bench.unpause(&[]).unwrap();
    assert_eq!(bench.state("b"), NodeState::Ready);

    let fork = bench.moved_to("1");
    fork.unpause_leased().unwrap();
    assert_eq!(states(&fork), expected);
    fork.unpause(&["b"]).unwrap();
    assert_eq!(fork.state("b"), NodeState::Ready);
}
