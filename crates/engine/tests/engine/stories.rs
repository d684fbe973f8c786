//! What happens to nodes, told one thing at a time.

use crate::bench::{Bench, after, node, path};
use nestlab_backend_fake::{Call, Fate};
use nestlab_model::{Node, NodeState, ProvisionAction, Provisioner, RunPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

fn pair() -> Vec<Node> {
    vec![after("b", "a"), node("a")]
}

#[test]
fn up_makes_ready_and_again_changes_nothing() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert!(bench.up().ok);
    assert_eq!(bench.creations("a"), 1);
}

#[test]
fn a_failed_launch_says_why_and_is_tried_again() {
    let bench = Bench::new(vec![node("a")]);
    bench
        .fake
        .script(&path("a"), [Fate::Fails("no such cpu".into())]);
    assert!(!bench.up().ok);
    let reason = bench.reason("a");
    assert!(
        reason.starts_with("launch: ") && reason.contains("no such cpu"),
        "{reason}"
    );
    assert!(bench.up().ok);
}

#[test]
fn a_machine_that_dies_fails_its_node_until_the_next_up() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    bench.crash("a");
    assert!(bench.reason("a").contains("it crashed"));
    assert!(bench.up().ok);
    assert_eq!(bench.creations("a"), 2);
}

#[test]
fn dependencies_go_first() {
    let bench = Bench::new(pair());
    assert!(bench.up().ok);
    let created = bench
        .fake
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Create(path) => Some(path.to_string()),
            _ => None,
        });
    assert_eq!(created.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_failed_dependency_fails_what_waits_for_it() {
    let bench = Bench::new(pair());
    bench
        .fake
        .script(&path("a"), [Fate::Fails("broken".into())]);
    assert!(!bench.up().ok);
    let reason = bench.reason("b");
    assert!(reason.contains("waits for `a`"), "{reason}");
    assert_eq!(bench.creations("b"), 0);
    assert!(bench.up().ok);
}

#[test]
fn paused_is_paused_until_something_needs_it_awake() {
    let mut bench = Bench::new(vec![node("a"), node("b")]);
    assert!(bench.up().ok);
    bench.pause(&["a"]).unwrap();
    assert_eq!(bench.fake.paused(), [path("a")]);
    assert_eq!(bench.state("a"), NodeState::Paused);
    assert_eq!(bench.state("b"), NodeState::Ready);
    assert_eq!(bench.refusal("a"), "Node `a` is paused");

    // A new supervisor asks the VMM.
    bench.restart();
    assert_eq!(bench.state("a"), NodeState::Paused);
    bench.unpause(&[]).unwrap();
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert!(bench.fake.paused().is_empty());

    // `up` and `halt` wake it as well.
    bench.pause(&[]).unwrap();
    assert!(bench.up().ok);
    assert!(bench.fake.paused().is_empty());
    assert_eq!(bench.creations("a"), 1);
    bench.pause(&[]).unwrap();
    bench.halt().unwrap();
    let refused = bench.pause(&["a"]).unwrap_err();
    assert!(refused.message.contains("is halted"), "{refused:?}");
    bench.pause(&[]).unwrap();
    assert_eq!(bench.state("a"), NodeState::Halted);
}

#[test]
fn what_is_saved_goes_on_from_there_once() {
    let mut bench = Bench::new(vec![node("a")]);
    let restores = |bench: &Bench| {
        let calls = bench.fake.calls();
        let restore = |call: &&Call| matches!(call, Call::Restore(_));
        calls.iter().filter(restore).count()
    };
    let state = bench.node_folder("a").join("machine.state");
    assert!(bench.up().ok);
    bench.save().unwrap();
    assert_eq!(bench.state("a"), NodeState::Saved);
    assert!(bench.fake.running().is_empty());
    bench.restart();
    assert_eq!(bench.state("a"), NodeState::Saved);
    assert!(bench.up().ok);
    assert_eq!((restores(&bench), bench.creations("a")), (1, 1));
    assert!(bench.fake.paused().is_empty());
    assert!(!state.exists());

    // A state that cannot be used is named, and `halt` drops it.
    bench.save().unwrap();
    std::fs::write(&state, "nonsense").unwrap();
    assert!(!bench.up().ok);
    assert!(bench.reason("a").contains("not a state"));
    assert!(state.exists());
    bench.halt().unwrap();
    assert_eq!(bench.state("a"), NodeState::Halted);
    assert!(!state.exists());
    assert!(bench.up().ok);
    assert_eq!((restores(&bench), bench.creations("a")), (2, 2));
}

#[test]
fn halt_keeps_the_disk_and_destroy_nothing() {
    let bench = Bench::new(vec![node("a")]);
    assert!(bench.up().ok);
    bench.halt().unwrap();
    assert_eq!(bench.state("a"), NodeState::Halted);
    assert!(bench.fake.running().is_empty());
    assert!(bench.node_folder("a").join("root.qcow2").exists());
    assert!(bench.up().ok);
    bench.destroy().unwrap();
    assert_eq!(bench.state("a"), NodeState::Absent);
    assert!(bench.fake.running().is_empty());
    assert!(!bench.node_folder("a").exists());
}

#[test]
fn a_guest_that_ignores_its_power_button_is_halted_all_the_same() {
    let bench = Bench::new(vec![node("a")]);
    bench.fake.script(&path("a"), [Fate::IgnoresPower]);
    assert!(bench.up().ok);
    bench.halt_within(1);
    assert_eq!(bench.state("a"), NodeState::Halted);
    assert!(bench.fake.running().is_empty());
}

#[test]
fn another_supervisor_finds_what_runs() {
    let mut bench = Bench::new(pair());
    assert!(bench.up().ok);
    bench.restart();
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert_eq!(bench.state("b"), NodeState::Ready);
    assert!(bench.up().ok);
    assert_eq!((bench.creations("a"), bench.creations("b")), (1, 1));
    bench.destroy().unwrap();
    assert!(bench.fake.running().is_empty());
}

#[test]
fn an_interrupted_up_is_continued() {
    let bench = Bench::with_slow_launch(vec![node("a")], Duration::from_millis(100));
    bench.up_for(Duration::from_millis(40));
    assert!(bench.reason("a").contains("Interrupted"));
    assert!(bench.up().ok);
    assert_eq!(bench.creations("a"), 1);
    assert_eq!(bench.fake.running().len(), 1);
}

#[test]
fn what_is_destroyed_in_the_middle_of_its_launch_leaves_nothing() {
    let bench = Bench::with_slow_launch(vec![node("a")], Duration::from_millis(100));
    bench.up_for(Duration::from_millis(40));
    bench.destroy().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert!(bench.fake.running().is_empty());
    assert!(!bench.node_folder("a").exists());
}

#[test]
fn two_at_once_make_one_machine() {
    let bench = Bench::with_slow_launch(pair(), Duration::from_millis(20));
    let (one, two) = bench.up_twice();
    assert!(one.ok && two.ok);
    assert_eq!((bench.creations("a"), bench.creations("b")), (1, 1));
}

fn step(name: &str, script: &str) -> Provisioner {
    Provisioner {
        // Scripts go to a folder of the machine that runs the test.
        name: format!("{name}-{}", std::process::id()),
        run: RunPolicy::Once,
        action: ProvisionAction::Shell {
            script: script.into(),
            args: Vec::new(),
        },
        env: BTreeMap::new(),
    }
}

#[test]
fn a_failed_provisioner_shows_its_last_lines_and_is_continued() {
    let folder = std::path::Path::new("/var/lib/nestlab/provision");
    if std::fs::create_dir_all(folder).is_err() {
        return; // Only root can write where scripts go.
    }
    let marks = tempfile::tempdir().unwrap();
    let mark = marks.path().join("mark").display().to_string();
    let first = step("first", &format!("echo once >> {mark}"));
    let broken = Node {
        provision: vec![
            first.clone(),
            step("second", "echo the tea is cold; exit 3"),
        ],
        ..node("a")
    };
    let mended = Node {
        provision: vec![first, step("second", "echo fine")],
        ..node("a")
    };
    let mut bench = Bench::new(vec![broken]);
    assert!(!bench.up().ok);
    let reason = bench.reason("a");
    assert!(reason.starts_with("provision: "), "{reason}");
    assert!(
        reason.contains("exited with 3\n  | the tea is cold"),
        "{reason}"
    );
    bench.put(vec![mended]);
    assert!(bench.up().ok);
    assert_eq!(bench.creations("a"), 1);
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "once\n");
    for name in ["first", "second"] {
        let _ = std::fs::remove_file(folder.join(format!("{name}-{}", std::process::id())));
    }
    // Goes only if it is empty.
    let _ = std::fs::remove_dir(folder);
}
