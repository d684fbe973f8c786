//! The second reference world: a machine told by cloud-init and reached by plain ssh, with
//! Docker Engine and libvirt, a container in it, and a machine in that.

use nestlab_e2e::{GREET, UserKey, World, ask, nested_story, save_image};
use std::path::{Path, PathBuf};

/// Where the machine's ssh server is reached: 2222 may be somebody's.
const SSH: u16 = 28422;

#[test]
fn the_playground_lives() {
    nested_story(the_playground);
}

/// The example, with its engine's container of an archive.
fn playground(world: &World) -> PathBuf {
    let image = archive(world);
    let lab = world.example("playground");
    let file = lab.join("nestlab.yaml");
    let own = format!("images:\n  own: {{ path: {} }}\n", image.display());
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replacen("images:\n", &own, 1)
        .replace("2222:22", &format!("{SSH}:22"))
        .replace("8080:80", "28480:80")
        .replace("8443:443", "28443:443")
        .replace(
            "          image: debian\n          memory: 128MiB",
            "          image: own\n          memory: 64MiB\n          pids_limit: 60",
        );
    std::fs::write(file, text).unwrap();
    lab
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

fn the_playground(world: &World) {
    let key = UserKey::new(world);
    let lab = playground(world);
    let all = ["--set", "inner_machines=1", "--set", "docker_containers=1"];
    let up = |verb: &'static str| world.run(&lab, &[&[verb], &all[..]].concat()).ok();
    up("up");
    for (path, backend) in [
        ("vm", "qemu"),
        ("vm/playground", "oci"),
        ("vm/playground/inner-1", "qemu"),
        ("vm/app-1", "docker"),
    ] {
        assert_eq!(world.node(&lab, path)["backend"], backend);
        assert_eq!(world.state(&lab, path), "ready");
    }
    let name = world.inside(&lab, "vm/playground/inner-1", "hostname");
    assert_eq!(name, "inner-1");

    // Who logs in uses Docker and libvirt.
    let look = "docker info --format '{{.ServerVersion}}' >/dev/null && virsh -c qemu:///system list --name && id -un";
    assert_eq!(key.ssh(SSH, look), "debian");

    engines_container(world, &lab);

    // All of it is copied, and goes on.
    world.inside(&lab, "vm/app-1", "echo mine >/root/kept");
    world.run(&lab, &["fork", "--name", "copy"]).ok();
    for (path, command, said) in [
        ("vm/app-1", "cat /root/kept", "mine"),
        ("vm/playground/inner-1", "hostname", "inner-1"),
    ] {
        let there = ["-l", "copy", "exec", path, "--", "sh", "-c", command];
        world.run(&lab, &there).ok().says(said);
    }
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();

    // What it has written stays over a halt; destroyed, it is gone from the engine too.
    world.run(&lab, &["halt", "vm/app-1"]).ok();
    assert_eq!(world.inside(&lab, "vm", "docker ps --quiet"), "");
    up("up");
    assert_eq!(world.inside(&lab, "vm/app-1", "cat /root/kept"), "mine");
    world.run(&lab, &["destroy", "--yes", "vm/app-1"]).ok();
    let left = "docker ps --all --quiet; docker images --quiet 'nestlab/*'";
    assert_eq!(world.inside(&lab, "vm", left), "");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Nestlab's status shows it, and so does the engine's own; it is the archive's files, its
/// limits bite, and others reach it.
fn engines_container(world: &World, lab: &Path) {
    let shown = "docker ps --format '{{.Names}} {{.Image}} {{.Label \"nestlab.node\"}}'";
    let shown = world.inside(lab, "vm", shown);
    let words: Vec<&str> = shown.split(' ').collect();
    let [name, image, "vm/app-1"] = words[..] else {
        panic!("{shown}");
    };
    assert!(name.starts_with("nestlab-"), "{shown}");
    assert!(name.ends_with("-vm.app-1"), "{shown}");
    assert!(image.starts_with("nestlab/own:"), "{shown}");

    let look = "cat /root/mark; hostname; stat -c %a:%u /usr/bin/su /tmp; cat /proc/1/comm";
    assert_eq!(
        world.inside(lab, "vm/app-1", look),
        "carried\napp-1\n4755:0\n1777:0\nnestlab-init"
    );
    let fill = "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c";
    assert_eq!(world.inside(lab, "vm/app-1", fill), "0");
    world.inside(lab, "vm/app-1", GREET);
    assert_eq!(world.inside(lab, "vm/playground", &ask("app-1")), "app-1");
    let own = format!("docker run --rm --network none {image} cat /root/mark");
    assert_eq!(world.inside(lab, "vm", &own), "carried");
    world.run(lab, &["pause", "vm/app-1"]).ok();
    world.run(lab, &["resume", "vm/app-1"]).ok();
}
