//! Container images from a registry, from its folder to containers and machines.

use nestlab_e2e::{Registry, World, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An archive with one file of so many bytes that look like nothing else.
fn layer(world: &World, name: &str, seed: u32) -> PathBuf {
    let folder = world.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let bytes: Vec<u8> = (0..300_000).map(|_| next()).collect();
    std::fs::write(folder.join(name), bytes).unwrap();
    let archive = world.path().join(format!("{name}.tar"));
    let packed = Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&folder)
        .arg(name)
        .status();
    assert!(packed.is_ok_and(|status| status.success()));
    archive
}

fn pinned(lab: &Path) -> serde_json::Value {
    let text = std::fs::read(lab.join("nestlab.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_slice(&text).unwrap();
    lock["images"].clone()
}

/// Files of layers that have come, but for what is small.
fn fetched(store: &Path) -> Vec<PathBuf> {
    let downloads = std::fs::read_dir(store.join("downloads")).into_iter();
    let folders = downloads.flatten().flatten().map(|folder| folder.path());
    let blobs = folders.flat_map(|folder| std::fs::read_dir(folder.join("blobs/sha256")));
    let blobs = blobs.flatten().flatten();
    let large = blobs.filter(|blob| blob.metadata().is_ok_and(|blob| blob.len() > 10_000));
    large.map(|blob| blob.path()).collect()
}

#[test]
fn an_image_of_a_registry_is_pinned_fetched_and_kept() {
    let test = "an_image_of_a_registry_is_pinned_fetched_and_kept";
    let mut world = World::new();
    let store = world.path().join("store");
    world.keep_images_in(store.clone());
    let mut registry = match Registry::of(&world.path().join("registry")) {
        Ok(registry) => registry,
        Err(reason) => return skip(test, &reason),
    };
    let (one, two) = (layer(&world, "one", 1), layer(&world, "two", 2));
    registry.push("own/system:1", &[&one, &two]);
    let text = |reference: &str| {
        format!("name: taken\nnodes:\n  box: {{ kind: container, image: '{reference}' }}\n")
    };
    let lab = world.lab("taken", &text(&registry.image("own/system:1")));
    let pull = |more: &[&str]| world.run(&lab, &[&["image", "pull"], more].concat());

    // A registry that is not there, and then lacks a layer.
    registry.stop();
    pull(&[]).exits_with(1).complains("cannot be reached");
    registry.start();
    let [layer_one, _] = &registry.layers()[..] else {
        panic!("two layers: {:?}", registry.layers());
    };
    let elsewhere = world.path().join("elsewhere");
    std::fs::rename(layer_one, &elsewhere).unwrap();
    pull(&[]).exits_with(1).complains("Cannot fetch");
    world
        .run(&lab, &["image", "ls"])
        .ok()
        .complains("No images");

    // What has come is not asked for again.
    let [there] = &fetched(&store)[..] else {
        panic!("one layer: {:?}", fetched(&store));
    };
    let blob = format!(
        "GET /v2/own/system/blobs/sha256:{}",
        there.file_name().unwrap().to_str().unwrap()
    );
    let asked = |registry: &Registry| registry.log().matches(&blob).count();
    let before = asked(&registry);
    assert!(before > 0, "{}", registry.log());
    std::fs::rename(&elsewhere, layer_one).unwrap();
    pull(&[]).ok();
    assert_eq!(asked(&registry), before);
    assert_eq!(fetched(&store), Vec::<PathBuf>::new());
    world.run(&lab, &["image", "verify"]).ok().says("sound");

    // The tag goes on; this lab does not, until it is asked to.
    let first = pinned(&lab);
    registry.push("own/system:1", &[&two, &one]);
    pull(&[]).ok();
    assert_eq!(pinned(&lab), first);
    pull(&["--upgrade"]).ok();
    assert_ne!(pinned(&lab), first);

    // What is not what its digest says never becomes an image.
    world.run(&lab, &["image", "prune"]).ok();
    let damaged = &registry.layers()[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[5_000] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    pull(&[]).exits_with(1).complains("igest");
    world
        .run(&lab, &["image", "ls"])
        .ok()
        .complains("No images");
    let other = format!("own/system@sha256:{}", "0a".repeat(32));
    let lab = world.lab("taken", &text(&registry.image(&other)));
    let pull = world.run(&lab, &["image", "pull"]).exits_with(1);
    pull.complains("The registry has no such image");
    drop(registry);
    world.is_empty();
}

/// The files of a container, as an archive.
fn save(world: &World) -> PathBuf {
    let text = "name: origin\nnodes:\n  one:\n    { kind: container, image: debian, memory: 64MiB, \
                volumes: ['./shared:/srv'] }\n";
    let lab = world.lab("origin", text);
    std::fs::create_dir(lab.join("shared")).unwrap();
    world.run(&lab, &["up"]).ok();
    let pack = "tar -c --one-file-system --exclude=./srv -f /srv/root.tar -C / .";
    world.inside(&lab, "one", &format!("echo carried >/root/mark; {pack}"));
    world.run(&lab, &["destroy", "--yes"]).ok();
    lab.join("shared/root.tar")
}

#[test]
fn an_image_of_a_registry_makes_both_kinds_of_node() {
    let world = World::new();
    let registry = match Registry::of(&world.path().join("registry")) {
        Ok(registry) => registry,
        Err(reason) => {
            return skip("an_image_of_a_registry_makes_both_kinds_of_node", &reason);
        }
    };
    registry.push("own/system", &[&save(&world)]);
    let layout = world.path().join("layout");
    registry.copy_to("own/system", &layout);
    let image = registry.image("own/system");
    let text = format!(
        "name: brought\nimages:\n  named: {{ oci: '{}' }}\n  folder: {{ path: {} }}\nnodes:\n  \
         box: {{ kind: container, image: '{image}', memory: 64MiB }}\n  \
         vm: {{ image: named, memory: 192MiB }}\n  \
         local: {{ kind: container, image: folder, memory: 64MiB }}\n",
        image.trim_start_matches("docker://"),
        layout.display()
    );
    let lab = world.lab("brought", &text);
    world.run(&lab, &["up"]).ok();
    // From here on the registry is not needed.
    drop(registry);
    for node in ["box", "vm", "local"] {
        assert_eq!(
            world.inside(&lab, node, "cat /root/mark; hostname"),
            format!("carried\n{node}")
        );
    }
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.run(&lab, &["up"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();

    world
        .run(&lab, &["image", "import", layout.to_str().unwrap()])
        .ok();
    let text = "name: brought\nnodes:\n  box: { kind: container, image: layout, memory: 64MiB }\n";
    let lab = world.lab("brought", text);
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "box", "cat /root/mark"), "carried");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.run(&lab, &["image", "rm", "layout"]).ok();
    // The other one has one of its two names; the store is not this world's own.
    let name = image
        .trim_start_matches("docker://")
        .replace([':', '/'], "-");
    for name in ["named", &format!("{name}-latest")] {
        world.run(&lab, &["image", "rm", name]);
    }
    world.is_empty();
}
