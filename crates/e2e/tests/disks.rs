//! Disks become larger, while their nodes run and while they do not.

use nestlab_e2e::{World, nested_story};

const LAB: &str = "
name: room
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    disk: ROOT
    disks: { data: 64MiB }
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
";

/// MiB that the root of a node can hold.
fn room(world: &World, lab: &std::path::Path, node: &str) -> u32 {
    let df = "df -B1M / | tail -1 | tr -s ' ' | cut -d' ' -f2";
    world.inside(lab, node, df).parse().unwrap()
}

/// MiB of the disk beside the root.
fn data(world: &World, lab: &std::path::Path) -> u32 {
    let look = "for d in /sys/block/vd*; do [ $(cat $d/serial) != data ] || cat $d/size; done";
    let sectors: u32 = world.inside(lab, "box", look).parse().unwrap();
    sectors / 2048
}

#[test]
fn disks_grow_at_every_level() {
    nested_story(disks_grow);
}

fn disks_grow(world: &World) {
    let lab = world.lab("room", &LAB.replace("ROOT", "4GiB"));
    world
        .run(&lab, &["resize", "box", "--disk", "+1G"])
        .exits_with(3)
        .complains("nestlab up");
    world.run(&lab, &["up"]).ok();
    let before = room(world, &lab, "box");

    // Nobody waits, nothing is unmounted, at both levels.
    let resized = world.run(&lab, &["resize", "box", "--disk", "+1G", "--json"]);
    let resized = resized.ok().json();
    assert_eq!(resized["after"], 5_u64 << 30);
    assert_eq!(resized["inside"]["mounted"], "/");
    assert!(room(world, &lab, "box") > before + 900);
    let inner = room(world, &lab, "box/inner");
    world
        .run(&lab, &["resize", "box/inner", "--disk", "+512M"])
        .ok();
    assert!(room(world, &lab, "box/inner") > inner + 400);
    world
        .run(&lab, &["resize", "box", "--disk", "data=128M"])
        .ok();
    assert_eq!(data(world, &lab), 128);

    // What cannot be is said, and changes nothing.
    for (size, why) in [
        ("1G", "not made smaller"),
        ("other=1G", "Its disks: root, data"),
        ("+many", "size"),
    ] {
        let refused = world.run(&lab, &["resize", "box", "--disk", size]);
        refused.complains(why);
    }

    // A copy has the same disks; one that is halted grows when it comes up.
    world.run(&lab, &["fork", "--name", "copy"]).ok();
    let copied = world.run(
        &lab,
        &["-l", "copy", "exec", "box", "--", "df", "-B1G", "/"],
    );
    copied.ok().says(" 5 ");
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();
    world.run(&lab, &["halt"]).ok();
    world
        .run(&lab, &["resize", "box", "--disk", "data=192M"])
        .ok();
    let lab = world.lab("room", &LAB.replace("ROOT", "7GiB"));
    world.run(&lab, &["up"]).ok();
    assert_eq!(data(world, &lab), 192);
    assert!(room(world, &lab, "box") > before + 2800);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
