//! Whatever is done in whatever order, the states tell the truth.

use crate::bench::{Bench, after, node, path};
use nestlab_model::NodeState;
use proptest::prelude::*;
use std::time::Duration;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Up,
    UpFor(u64),
    Pause,
    Resume,
    Halt,
    Save,
    Destroy,
    Crash(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Up),
        3 => (0u64..30).prop_map(Step::UpFor),
        2 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Halt),
        2 => Just(Step::Save),
        1 => Just(Step::Destroy),
        2 => (0..NAMES.len()).prop_map(Step::Crash),
        2 => Just(Step::Restart),
    ]
}

fn take(bench: &mut Bench, step: &Step) {
    match step {
        Step::Up => assert!(bench.up().ok, "{:?}", bench.states()),
        Step::UpFor(millis) => bench.up_for(Duration::from_millis(*millis)),
        Step::Pause => drop(bench.pause(&[]).unwrap()),
        Step::Resume => drop(bench.unpause(&[]).unwrap()),
        Step::Halt => drop(bench.halt().unwrap()),
        Step::Save => drop(bench.save().unwrap()),
        Step::Destroy => {
            bench.destroy().unwrap();
            bench.tell_again();
        }
        Step::Crash(which) => bench.crash(NAMES[*which]),
        Step::Restart => bench.restart(),
    }
}

fn check(bench: &Bench) {
    let running = bench.fake.running();
    for (path, state) in bench.states() {
        let runs = running.iter().filter(|other| **other == path).count();
        match state {
            NodeState::Ready | NodeState::Paused => assert_eq!(runs, 1, "`{path}` is {state:?}"),
            NodeState::Absent | NodeState::Halted | NodeState::Saved => {
                assert_eq!(runs, 0, "`{path}` is {state:?}")
            }
            NodeState::Failed { .. } => assert!(runs <= 1, "`{path}` runs {runs} times"),
            state => panic!("nothing is at work, yet `{path}` is {state:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn states_tell_the_truth(steps in prop::collection::vec(step(), 1..8), slow in 0u64..8) {
        let nodes = vec![node("a"), after("b", "a"), node("c")];
        let mut bench = Bench::with_slow_launch(nodes, Duration::from_millis(slow));
        for step in &steps {
            take(&mut bench, step);
            check(&bench);
        }
        prop_assert!(bench.up().ok, "{:?}", bench.states());
        prop_assert_eq!(bench.fake.running().len(), NAMES.len());
        prop_assert!(bench.fake.paused().is_empty());
        bench.destroy().unwrap();
        prop_assert!(bench.fake.running().is_empty());
        for name in NAMES {
            prop_assert!(!bench.node_folder(name).exists(), "{} is left", path(name));
        }
    }
}
