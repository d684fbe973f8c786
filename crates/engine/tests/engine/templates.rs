//! Which nodes begin as clones, and that those are nodes like any other.

use crate::bench::{Bench, node};
use nestlab_model::{ByteSize, Node, NodeState};

fn with_more_memory(name: &str) -> Node {
    Node {
        memory: ByteSize::bytes(65 << 20),
        ..node(name)
    }
}

/// How often machines of these nodes were started from power-on and from a state.
fn starts(bench: &Bench, names: &[&str]) -> (usize, usize) {
    let sum = |count: &dyn Fn(&str) -> usize| names.iter().map(|name| count(name)).sum();
    (
        sum(&|name| bench.creations(name)),
        sum(&|name| bench.restorations(name)),
    )
}

#[test]
fn the_first_of_a_kind_boots_and_the_others_are_clones() {
    let bench = Bench::with_templates(vec![node("a"), node("b"), with_more_memory("c")]);
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a", "b"]), (1, 1));
    assert_eq!(starts(&bench, &["c"]), (1, 0), "it is of another kind");
    for name in ["a", "b", "c"] {
        assert_eq!(bench.state(name), NodeState::Ready);
        assert!(bench.node_folder(name).join("root.qcow2").exists());
    }
    assert!(bench.fake.paused().is_empty());

    // The next lab of these kinds boots nothing.
    bench.destroy().unwrap();
    bench.tell_again();
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a", "b", "c"]), (2, 4));
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a", "b", "c"]), (2, 4), "nothing to do");

    // What has a disk boots from that.
    bench.halt().unwrap();
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a", "b", "c"]), (5, 4));
}

#[test]
fn a_template_is_of_no_use_when_anything_differs() {
    let mut bench = Bench::with_templates(vec![node("a")]);
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a"]), (1, 0));
    let changes: [fn(&mut Node); 4] = [
        |node| node.cpus = 2,
        |node| node.nested = true,
        |node| node.disk = Some(ByteSize::bytes(4 << 20)),
        |node| node.boot.cmdline = Some("more".into()),
    ];
    for change in changes {
        let mut other = node("a");
        change(&mut other);
        let before = bench.creations("a");
        bench.destroy().unwrap();
        bench.put(vec![other]);
        assert!(bench.up().ok);
        assert_eq!(bench.creations("a"), before + 1);
    }
    // The image is made again: the same recipe, other bytes.
    bench.destroy().unwrap();
    bench.put(vec![node("a")]);
    bench.touch_image();
    let before = bench.creations("a");
    assert!(bench.up().ok);
    assert_eq!(bench.creations("a"), before + 1);
    assert_eq!(bench.restorations("a"), 0);
}

#[test]
fn nobody_is_cloned_who_shall_not_be() {
    let bench = Bench::with_templates(vec![node("a")]);
    assert!(bench.up().ok);
    bench.destroy().unwrap();
    bench.tell_again();
    assert!(bench.up_cold().ok);
    assert_eq!(starts(&bench, &["a"]), (2, 0));

    let without = Bench::new(vec![node("a"), node("b")]);
    assert!(without.up().ok);
    assert_eq!(starts(&without, &["a", "b"]), (2, 0));
    assert!(without.templates().is_empty());
}

#[test]
fn a_template_that_is_of_no_use_is_forgotten() {
    let bench = Bench::with_templates(vec![node("a")]);
    assert!(bench.up().ok);
    let [template] = &bench.templates()[..] else {
        panic!("one was made");
    };
    std::fs::write(template.join("machine.state"), "damage").unwrap();
    bench.destroy().unwrap();
    bench.tell_again();
    assert!(bench.up().ok, "it boots instead");
    assert_eq!(starts(&bench, &["a"]), (2, 1));
    assert!(bench.templates().is_empty());
    assert!(!bench.node_folder("a").join("machine.memory").exists());
    assert!(bench.up().ok);
}

#[test]
fn a_clone_is_a_node_like_any_other() {
    let mut bench = Bench::with_templates(vec![node("a")]);
    assert!(bench.up().ok);
    bench.destroy().unwrap();
    bench.tell_again();
    assert!(bench.up().ok);
    assert_eq!(starts(&bench, &["a"]), (1, 1));
    bench.restart();
    assert_eq!(bench.state("a"), NodeState::Ready);

    // Its template may go.
    for template in bench.templates() {
        std::fs::remove_dir_all(template).unwrap();
    }
    bench.save_snapshot(Some("then")).unwrap();
    assert!(bench.fork(&["1"]).unwrap().written.is_empty());
    bench.save().unwrap();
    assert_eq!(bench.state("a"), NodeState::Saved);
    assert!(bench.up().ok);
    assert!(bench.restore_snapshot("then").unwrap().ok);
    assert_eq!(bench.state("a"), NodeState::Ready);
    assert_eq!(bench.creations("a"), 1, "it was never booted");
}
