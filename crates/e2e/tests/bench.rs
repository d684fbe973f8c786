//! Every level is measured by the same work, and one that is held back shows it.

use nestlab_e2e::{World, nested_story};
use serde_json::Value;
use std::path::Path;

const LAB: &str = "
name: fast
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
  pal: { image: debian, memory: 128MiB }
";

/// Has a process, whose number follows, run for a tenth of the time.
const HOLD_BACK: &str = "
set -e
root=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts)
[ -n \"$root\" ] || { root=/run/cgroup; mkdir -p $root; mount -t cgroup2 none $root; }
mkdir $root/slow
echo +cpu >$root/cgroup.subtree_control
echo 10000 100000 >$root/slow/cpu.max
move() { echo $1 >$root/slow/cgroup.procs; }
move ";

#[test]
fn every_level_is_measured_and_a_slowed_one_shows() {
    nested_story(are_measured);
}

fn are_measured(world: &World) {
    let folder = world.lab("fast", LAB);
    world.run(&folder, &["up"]).ok();
    let report = folder.join("report.html");
    let args = ["bench", "fast", "--json", "--report", "report.html"];
    let found = world.run(&folder, &args).ok().json();
    let levels = found["levels"].as_array().expect("a list");
    let paths: Vec<_> = levels
        .iter()
        .map(|level| level["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, [".", "box", "box/inner"], "the first of each layer");
    let inner = &levels[2];
    assert_eq!(inner["accelerators"].as_array().map(Vec::len), Some(2));
    for id in [
        "processor.integer",
        "memory.latency",
        "kernel.syscall",
        "disk.sync",
        "network.parent.throughput",
        "node.exec",
    ] {
        let one = figure(inner, id);
        assert!(one["median"].as_f64().unwrap() > 0.0, "{one}");
        assert!(one["of_parent"].as_f64().unwrap() > 0.0, "{one}");
    }
    assert!(figure(&levels[1], "network.sibling.round-trip").is_object());
    assert!(figure(&levels[1], "node.boot").is_object());
    assert!(std::fs::read_to_string(report).unwrap().contains("<svg"));

    let speed = || processor(world, &folder);
    let before = speed();
    let vmm = world.node(&folder, "box/inner")["pid"].to_string();
    world.inside(&folder, "box", &format!("{HOLD_BACK}{vmm}"));
    // Ten times less, but for what it may use up at the start of each period: a busy
    // machine may let a whole measurement fall into those.
    let after: Vec<f64> = (0..3).map(|_| speed()).collect();
    let shows = after.iter().any(|after| *after < before / 2.0);
    assert!(shows, "{before} before, {after:?} after");

    world
        .run(&folder, &["bench", "fast", "nobody"])
        .exits_with(3);
    world.run(&folder, &["halt", "pal"]).ok();
    world.run(&folder, &["bench", "fast", "pal"]).exits_with(1);
    world.run(&folder, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Millions of rounds in a second at the second level.
fn processor(world: &World, folder: &Path) -> f64 {
    let args = [
        "bench",
        "fast",
        "box/inner",
        "--only",
        "processor",
        "--json",
    ];
    let found = world.run(folder, &args).ok().json();
    let level = found["levels"].as_array().and_then(|levels| levels.last());
    let one = figure(level.expect("a level"), "processor.integer");
    one["median"].as_f64().expect("a number")
}

fn figure<'a>(level: &'a Value, id: &str) -> &'a Value {
    let mut figures = level["figures"].as_array().expect("a list").iter();
    figures
        .find(|figure| figure["id"] == id)
        .unwrap_or(&Value::Null)
}

#[test]
fn ways_to_isolate_are_compared() {
    nested_story(are_compared);
}

fn are_compared(world: &World) {
    let folder = world.lab("none", "name: none\nnodes: {}\n");
    let ways = [
        "compare",
        "--backends",
        "process,container,microvm,vm",
        "--json",
    ];
    let found = world.run(&folder, &ways).ok().json();
    let technologies = found["technologies"].as_array().expect("a list");
    let of = |name: &str| technologies.iter().find(|one| one["name"] == name);
    let (process, machine) = (of("process").unwrap(), of("VM").unwrap());
    assert_eq!(process["own_kernel"], false);
    assert_eq!(machine["own_kernel"], true);
    assert!(machine["memory_bytes"].as_u64() > process["memory_bytes"].as_u64());
    let start = |one: &Value| one["start"]["median"].as_f64().unwrap();
    assert!(start(machine) > start(process));
    match of("container") {
        Some(container) => {
            assert_eq!(container["own_kernel"], false);
            assert_eq!(container["sees"]["processes"], 1);
        }
        None => println!("skipped: no OCI runtime works here: {}", found["missing"]),
    }
    world.is_empty();
}
