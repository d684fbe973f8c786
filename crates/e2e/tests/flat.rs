//! The same three Consul servers side by side on this machine: as whoever runs
//! the tests, and as an ordinary user without any privilege.

use nestlab_e2e::{World, skip};
use std::path::Path;
use std::time::Duration;

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(240);

fn the_cluster_lives(world: &World, lab: &Path) {
    world.run(lab, &["up"]).ok();
    world.eventually("three members are alive", PATIENCE, || {
        let members = world
            .run(lab, &["exec", "consul-2", "--", "consul", "members"])
            .stdout;
        members
            .lines()
            .filter(|line| line.contains("alive"))
            .count()
            == 3
    });
    world.eventually("a key is written", PATIENCE, || {
        world
            .run(
                lab,
                &["exec", "consul-1", "--", "consul", "kv", "put", "a", "b"],
            )
            .code
            == 0
    });
    world.eventually("the key is read elsewhere", PATIENCE, || {
        let argv = ["exec", "consul-3", "--", "consul", "kv", "get", "a"];
        world.run(lab, &argv).stdout.contains('b')
    });
    a_fork_begins_where_the_lab_is(world, lab);
    world.run(lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// The first fork shares the machines' memory files; the second one needs new
/// files, for which the machines' processes are looked into.
fn a_fork_begins_where_the_lab_is(world: &World, lab: &Path) {
    for name in ["first", "second"] {
        let fork = world.run(lab, &["fork", "--json", "--name", name]).ok();
        assert_eq!(fork.json()["written"], serde_json::json!([]), "{name}");
        world.eventually("the key is in the fork", PATIENCE, || {
            let argv = [
                "-l", name, "exec", "consul-2", "--", "consul", "kv", "get", "a",
            ];
            world.run(lab, &argv).stdout.contains('b')
        });
        world.run(lab, &["-l", name, "destroy", "--yes"]).ok();
    }
}

#[test]
fn three_servers_side_by_side() {
    let world = World::new();
    let lab = world.example("flat");
    the_cluster_lives(&world, &lab);
}

#[test]
fn three_servers_as_an_ordinary_user() {
    let mut world = World::new();
    // Images are made by whoever runs the tests; the user gets a copy.
    let lab = world.example("flat");
    world.run(&lab, &["image", "build"]).ok();
    if let Err(reason) = world.become_ordinary_user() {
        skip("three_servers_as_an_ordinary_user", &reason);
        return;
    }
    the_cluster_lives(&world, &lab);
}
