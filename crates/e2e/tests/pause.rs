//! Nodes stand still with all that is inside them, and go on as if nothing was.

use nestlab_e2e::{World, nested_story};
use std::time::{Duration, Instant};

const LAB: &str = "
name: still
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
";

/// Counts in the background, a tenth of a second apart.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i >/run/count; sleep 0.1; done";

/// How long the lab stands still.
const REST: Duration = Duration::from_secs(5);

fn seconds(text: &str) -> f64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn a_tree_stands_still_and_goes_on() {
    nested_story(a_tree);
}

fn a_tree(world: &World) {
    let lab = world.lab("still", LAB);
    world.run(&lab, &["up"]).ok();
    let counter = ["exec", "-d", "box/inner", "--", "sh", "-c", COUNTER];
    world.run(&lab, &counter).ok();
    let count = || seconds(&world.inside(&lab, "box/inner", "cat /run/count"));
    world.eventually("it counts", Duration::from_secs(20), || count() > 1.0);

    let uptime = || seconds(&world.inside(&lab, "box", "cut -d' ' -f1 /proc/uptime"));
    let (start, lived_before) = (Instant::now(), uptime());
    world.run(&lab, &["pause"]).ok();
    for node in ["box", "box/inner"] {
        assert_eq!(world.state(&lab, node), "paused");
        world
            .run(&lab, &["exec", node, "--", "true"])
            .exits_with(1)
            .complains("nestlab resume");
    }
    // Whoever supervises next finds it paused.
    let (supervisor, _) = world.processes("__supervisor").remove(0);
    world.kill(supervisor);
    assert_eq!(world.state(&lab, "box"), "paused");
    std::thread::sleep(REST);
    world.run(&lab, &["resume"]).ok();
    assert_eq!(world.state(&lab, "box/inner"), "ready");
    let after = count();
    world.eventually("it counts on", Duration::from_secs(20), || count() > after);
    // Its own clock has missed the rest.
    let (lived, passed) = (uptime() - lived_before, start.elapsed().as_secs_f64());
    assert!(
        lived < passed - REST.as_secs_f64() * 0.8,
        "{lived} of {passed} s"
    );

    // The clocks are right at both levels.
    for node in ["box", "box/inner"] {
        let there = seconds(&world.inside(&lab, node, "date +%s.%N"));
        let here = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!((here - there).abs() < 2.0, "{node}: {there}, here {here}");
    }

    // Saved, nothing runs; `up` goes on with the same boots.
    let boot_ids = || {
        let line = "cat /proc/sys/kernel/random/boot_id";
        ["box", "box/inner"].map(|node| world.inside(&lab, node, line))
    };
    let (boots, before) = (boot_ids(), count());
    world.run(&lab, &["halt", "--save"]).ok();
    assert_eq!(world.state(&lab, "box"), "saved");
    assert!(world.processes("qemu-system").is_empty());
    world.run(&lab, &["up"]).ok();
    assert_eq!(boot_ids(), boots);
    world.eventually("it counts on", Duration::from_secs(20), || count() > before);

    // One inside alone; `up` wakes it, `destroy` needs nobody awake.
    world.run(&lab, &["pause", "box/inner"]).ok();
    assert_eq!(world.state(&lab, "box"), "ready");
    assert_eq!(world.state(&lab, "box/inner"), "paused");
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.state(&lab, "box/inner"), "ready");
    world.run(&lab, &["pause"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
