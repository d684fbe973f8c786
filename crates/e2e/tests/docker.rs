//! Containers by the engine of this machine: Docker Engine, Podman, or none. In a machine that
//! has one they are in the story of the playground.

use nestlab_e2e::{ContainerEngine, EngineKind, GREET, World, ask, is_root, skip};
use std::time::Duration;

#[test]
fn without_an_engine_it_is_refused_by_name() {
    let test = "without_an_engine_it_is_refused_by_name";
    if !is_root() {
        return skip(test, "an ordinary user is refused for another reason");
    }
    let mut world = World::new();
    world.use_engine("unix:///nowhere/docker.sock");
    let text = "name: alone\nnodes:\n  one: { kind: container, backend: docker, image: debian }\n";
    let lab = world.lab("alone", text);
    let mut up = world.run(&lab, &["up"]).exits_with(1);
    for words in [
        "No runtime for the container `one` works here",
        "there is none of /nowhere/docker.sock",
        "docker.io",
    ] {
        up = up.complains(words);
    }
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn docker_engine_of_this_machine_runs_nodes() {
    match ContainerEngine::start(EngineKind::Docker) {
        Ok(engine) => runs_nodes(&engine),
        Err(why) => skip("docker_engine_of_this_machine_runs_nodes", &why),
    }
}

#[test]
fn podman_of_this_machine_runs_nodes() {
    match ContainerEngine::start(EngineKind::Podman) {
        Ok(engine) => runs_nodes(&engine),
        Err(why) => skip("podman_of_this_machine_runs_nodes", &why),
    }
}

fn runs_nodes(engine: &ContainerEngine) {
    let mut world = World::new();
    world.use_engine(&engine.address());
    let text = "name: here\nnodes:\n  \
        box: { kind: container, backend: docker, image: debian, memory: 64MiB, volumes: ['./shared:/srv'] }\n  \
        side: { kind: container, image: debian, memory: 64MiB }\n";
    let lab = world.lab("here", text);
    std::fs::create_dir(lab.join("shared")).unwrap();
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.node(&lab, "box")["backend"], "docker");
    assert_eq!(engine.tells(&["ps", "--quiet"]).lines().count(), 1);
    world.inside(&lab, "box", GREET);
    assert_eq!(world.inside(&lab, "side", &ask("box")), "box");
    world.inside(&lab, "box", "echo mine >/root/kept; echo shared >/srv/file");
    let shared = std::fs::read_to_string(lab.join("shared/file"));
    assert_eq!(shared.unwrap(), "shared\n");

    // Its files are not ours to copy.
    for verb in [
        &["fork", "--disks-only"][..],
        &["snapshot", "save", "--disks-only"],
    ] {
        let done = world.run(&lab, verb).exits_with(1);
        done.complains("The files of node `box` are kept by the engine of backend `docker`");
        assert_eq!(world.state(&lab, "box"), "ready");
    }

    // The supervisor, then the container, then all of them are killed.
    let pid = world.node(&lab, "box")["pid"].as_u64().unwrap();
    for (supervisor, _) in world.processes("__supervisor") {
        world.kill(supervisor);
    }
    assert_eq!(world.node(&lab, "box")["pid"].as_u64(), Some(pid));
    assert_eq!(world.inside(&lab, "box", "cat /root/kept"), "mine");
    world.kill(u32::try_from(pid).unwrap());
    let failed = || world.state(&lab, "box") == "failed";
    world.eventually("its end is seen", Duration::from_secs(30), failed);
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "box", "cat /root/kept"), "mine");
    // With a monitor of Podman's that is killed it is not as after a power failure, from which
    // Podman itself would begin anew.
    if engine.kind() == EngineKind::Docker {
        world.lose_power();
        world.run(&lab, &["up"]).ok();
        assert_eq!(world.inside(&lab, "box", "cat /root/kept"), "mine");
    }

    world.run(&lab, &["destroy", "--yes"]).ok();
    assert_eq!(engine.tells(&["ps", "--all", "--quiet"]), "");
    assert_eq!(engine.tells(&["images", "--all", "--quiet"]), "");
    world.is_empty();
}
