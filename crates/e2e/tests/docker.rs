//! Containers by the engine of their level: refused where there is none, and in a machine
//! that has Docker Engine.

use nestlab_e2e::{ContainerEngine, EngineKind, World, is_root, nested_story, save_image, skip};
use std::path::PathBuf;
use std::time::Duration;

const LAB: &str = "
name: engine
images:
  machine:
    recipe:
      suite: bookworm
      size: 4GiB
      packages: [systemd-sysv, dbus, udev, kmod, docker.io, apparmor, iptables, nftables, iproute2, procps]
  own: { path: IMAGE }
nodes:
  vm:
    image: machine
    memory: 1536MiB
    inside:
      nodes:
        box: { kind: container, backend: docker, image: own, memory: 64MiB, pids_limit: 60 }
        side: { kind: container, image: own, memory: 64MiB }
";

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
    assert_eq!(world.inside(&lab, "side", ASK), "box");
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

/// An image as an archive, of a container of this machine.
fn archive(world: &World) -> PathBuf {
    let text = "name: source\nnodes:\n  one: { kind: container, image: debian, volumes: ['./shared:/srv/shared'] }\n";
    let lab = world.lab("source", text);
    std::fs::create_dir_all(lab.join("shared")).unwrap();
    world.run(&lab, &["up"]).ok();
    let image = save_image(world, &lab, "one");
    world.run(&lab, &["destroy", "--yes"]).ok();
    image
}

#[test]
fn docker_in_a_machine_runs_nodes() {
    nested_story(docker_runs_nodes);
}

/// A server that tells its name to whoever connects.
const GREET: &str = "perl -MIO::Socket::INET -e '\
    $s = IO::Socket::INET->new(LocalPort => 80, Listen => 1, ReuseAddr => 1) or die; \
    while ($c = $s->accept) { print $c `hostname`; close $c }' </dev/null >/dev/null 2>&1 &";

const ASK: &str = "perl -MIO::Socket::INET -e '\
    for (1..50) { $s = IO::Socket::INET->new(\"box:80\") and last; select undef, undef, undef, .1 } print <$s>'";

fn docker_runs_nodes(world: &World) {
    let text = LAB.replace("IMAGE", &archive(world).display().to_string());
    let lab = world.lab("engine", &text);
    world.run(&lab, &["up"]).ok();

    // Nestlab's status shows it, and so does the engine's own.
    for (node, backend) in [("vm/box", "docker"), ("vm/side", "oci")] {
        assert_eq!(world.node(&lab, node)["backend"], backend);
        assert_eq!(world.state(&lab, node), "ready");
    }
    world.run(&lab, &["status"]).ok().says("docker");
    let shown = "docker ps --format '{{.Names}} {{.Image}} {{.Label \"nestlab.node\"}}'";
    let shown = world.inside(&lab, "vm", shown);
    let words: Vec<&str> = shown.split(' ').collect();
    let [name, image, "vm/box"] = words[..] else {
        panic!("{shown}");
    };
    assert!(
        name.starts_with("nestlab-") && name.ends_with("-vm.box"),
        "{shown}"
    );
    assert!(image.starts_with("nestlab/own:"), "{shown}");

    // It is the archive's files, its limits bite, and others reach it.
    let look = "cat /root/mark; hostname; stat -c %a:%u /usr/bin/su /tmp; cat /proc/1/comm";
    assert_eq!(
        world.inside(&lab, "vm/box", look),
        "carried\nbox\n4755:0\n1777:0\nnestlab-init"
    );
    let fill = "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c";
    assert_eq!(world.inside(&lab, "vm/box", fill), "0");
    world.inside(&lab, "vm/box", GREET);
    assert_eq!(world.inside(&lab, "vm/side", ASK), "box");
    let own = format!("docker run --rm --network none {image} cat /root/mark");
    assert_eq!(world.inside(&lab, "vm", &own), "carried");

    // What it has written stays over a halt.
    world.inside(&lab, "vm/box", "echo mine >/root/kept");
    world.run(&lab, &["pause", "vm/box"]).ok();
    world.run(&lab, &["resume", "vm/box"]).ok();
    world.run(&lab, &["halt", "vm/box"]).ok();
    assert_eq!(world.inside(&lab, "vm", "docker ps --quiet"), "");
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "vm/box", "cat /root/kept"), "mine");

    // It is copied with its machine.
    world.run(&lab, &["fork", "--name", "copy"]).ok();
    let copy = ["-l", "copy", "exec", "vm/box", "--", "cat", "/root/kept"];
    world.run(&lab, &copy).ok().says("mine");
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();

    // Destroyed, it is gone from the engine too.
    world.run(&lab, &["destroy", "--yes", "vm/box"]).ok();
    let left = "docker ps --all --quiet; docker images --quiet 'nestlab/*'";
    assert_eq!(world.inside(&lab, "vm", left), "");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
