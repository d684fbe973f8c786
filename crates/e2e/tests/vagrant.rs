//! A Vagrantfile comes up unchanged: three Consul servers side by side on this machine, and
//! the same three inside a machine. Those who come from Vagrant find their verbs.

use nestlab_e2e::{Done, World, nested_story};
use std::path::Path;
use std::time::Duration;

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(300);

/// The box of the example, and the image that stands for it here.
const BOX: &str = "generic/ubuntu2404";
const IMAGE: &str = "consul-box";

/// Takes an image with Consul into the store, as a user takes in any disk of their own.
fn take_image_in(world: &World) {
    let lab = world.example("flat");
    world.run(&lab, &["image", "build", "consul-server"]).ok();
    let file = world.path().join("consul.qcow2");
    let file = file.to_str().unwrap();
    world
        .run(&lab, &["image", "export", "consul-server", file])
        .ok();
    world
        .run(&lab, &["image", "import", file, "--name", IMAGE])
        .ok();
    std::fs::remove_file(file).unwrap();
}

/// Says for all labs of the world which image the box is.
fn alias_box(world: &World) {
    let folder = world.path().join(".config/nestlab");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("box_aliases:\n  {BOX}: {IMAGE}\n");
    std::fs::write(folder.join("config.yaml"), text).unwrap();
}

/// The data of the lines of a type that are about a node.
fn told(done: &Done, target: &str, kind: &str) -> Vec<String> {
    let data = |line: &str| {
        let mut parts = line.splitn(4, ',');
        let time = parts.next()?;
        assert!(time.parse::<u64>().is_ok(), "no time begins {line:?}");
        let (about, is) = (parts.next()?, parts.next()?);
        (about == target && is == kind).then(|| parts.next().unwrap_or_default().to_owned())
    };
    done.stdout.lines().filter_map(data).collect()
}

fn state(world: &World, lab: &Path, node: &str) -> String {
    let status = world.run(lab, &["status", node, "--machine-readable"]).ok();
    told(&status, node, "state").join(" ")
}

fn a_leader_is_known(world: &World, lab: &Path, server: &str) {
    world.eventually("three servers are alive", PATIENCE, || {
        let members = world.run(lab, &["ssh", server, "-c", "consul members"]);
        members.stdout.matches("alive").count() == 3
    });
    world.eventually("they have a leader", PATIENCE, || {
        let peers = world.run(
            lab,
            &["ssh", server, "-c", "consul operator raft list-peers"],
        );
        peers.stdout.matches("leader").count() == 1
    });
}

#[test]
fn the_machines_of_a_vagrantfile_side_by_side() {
    let world = World::new();
    let lab = world.example("vagrant");
    take_image_in(&world);

    // Before the box is known nothing is made; the command line can say it, too.
    let aliased = format!("{BOX}={IMAGE}");
    world
        .run(&lab, &["validate", "--box-alias", &aliased])
        .ok()
        .complains("connect_uri");
    alias_box(&world);
    assert_eq!(state(&world, &lab, "consul-01"), "not_created");

    let up = world
        .run(&lab, &["up", "--provider", "libvirt", "--machine-readable"])
        .ok();
    for server in ["consul-01", "consul-02", "consul-03"] {
        assert_eq!(told(&up, server, "action"), ["up,start", "up,end"]);
        let output = told(&up, server, "ui").join("\n");
        assert!(output.contains(&format!("{server} started on")), "{output}");
        assert_eq!(state(&world, &lab, server), "running");
    }
    a_leader_is_known(&world, &lab, "consul-01");

    habits(&world, &lab);
    snapshots(&world, &lab);

    world.run(&lab, &["halt", "consul-02"]).ok();
    assert_eq!(state(&world, &lab, "consul-02"), "shutoff");
    world.run(&lab, &["destroy", "-f"]).ok();
    world.is_empty();
}

/// What is typed at a lab that is up.
fn habits(world: &World, lab: &Path) {
    let done = world.run(lab, &["ssh", "consul-02", "-c", "hostname"]).ok();
    assert_eq!(done.stdout.trim(), "consul-02");
    world
        .run(lab, &["ssh", "consul-02", "-c", "exit 7"])
        .exits_with(7);
    world
        .run(lab, &["ssh", "consul-02", "--", "exit", "8"])
        .exits_with(8);
    world
        .run(lab, &["ssh"])
        .exits_with(2)
        .complains("consul-03");

    // Provisioners run again, but not those of another kind.
    let again = ["provision", "consul-02", "--provision-with"];
    let shell = world.run(lab, &[&again[..], &["shell"]].concat()).ok();
    shell.complains("consul-02 started on 10.10.10.12");
    let file = world.run(lab, &[&again[..], &["file"]].concat()).ok();
    assert!(!file.stderr.contains("started on"), "{file}");

    // A machine boots anew, and its provisioners run if that is asked for.
    let boot =
        |world: &World| world.inside(lab, "consul-03", "cat /proc/sys/kernel/random/boot_id");
    let before = boot(world);
    world.run(lab, &["reload", "consul-03", "--provision"]).ok();
    assert_ne!(boot(world), before);
    a_leader_is_known(world, lab, "consul-03");

    // Memory is kept while a machine is suspended.
    let before = boot(world);
    world.run(lab, &["suspend", "consul-03"]).ok();
    assert_eq!(state(world, lab, "consul-03"), "saved");
    world
        .run(lab, &["provision", "consul-03"])
        .ok()
        .complains("left alone");
    world.run(lab, &["resume", "consul-03"]).ok();
    assert_eq!(state(world, lab, "consul-03"), "running");
    assert_eq!(boot(world), before);

    let all = world
        .run(lab, &["global-status", "--machine-readable"])
        .ok();
    assert_eq!(told(&all, "", "metadata"), ["machine-count,3"]);
    assert_eq!(told(&all, "consul-02", "state"), ["running"]);
    let boxes = world.run(lab, &["box", "list", "--machine-readable"]).ok();
    assert!(told(&boxes, "", "box-name").contains(&IMAGE.to_owned()));
}

fn snapshots(world: &World, lab: &Path) {
    let write =
        |text: &str| drop(world.inside(lab, "consul-01", &format!("echo {text} > /root/note")));
    let note = || world.inside(lab, "consul-01", "cat /root/note");
    write("one");
    world.run(lab, &["snapshot", "push"]).ok().says("push-1");
    write("two");
    world
        .run(lab, &["snapshot", "save", "consul-01", "mine"])
        .ok()
        .complains("the whole lab");
    world
        .run(lab, &["snapshot", "restore", "consul-01", "mine"])
        .exits_with(2)
        .complains("cannot be taken back alone");
    write("three");
    world.run(lab, &["snapshot", "restore", "mine"]).ok();
    assert_eq!(note(), "two");
    world.run(lab, &["snapshot", "pop"]).ok();
    assert_eq!(note(), "one");
    let left = world
        .run(
            lab,
            &["snapshot", "list", "consul-01", "--machine-readable"],
        )
        .ok();
    let left = told(&left, "consul-01", "ui");
    assert_eq!(left, ["output,==> consul-01: ", "detail,mine"]);
    world
        .run(lab, &["snapshot", "pop"])
        .exits_with(3)
        .complains("Nothing was pushed");
    world
        .run(lab, &["snapshot", "delete", "consul-01", "mine"])
        .ok();
}

#[test]
fn a_vagrantfile_inside_a_machine() {
    nested_story(|world| {
        let lab = world.example("vagrant").join("nested");
        take_image_in(world);
        alias_box(world);
        world.run(&lab, &["up"]).ok();
        let server = "l1/consul-02";
        assert_eq!(world.node(&lab, server)["level"], 2);
        assert_eq!(state(world, &lab, server), "running");
        let done = world.run(&lab, &["ssh", server, "-c", "hostname"]).ok();
        assert_eq!(done.stdout.trim(), "consul-02");
        a_leader_is_known(world, &lab, server);
        world.run(&lab, &["destroy", "-f"]).ok();
        world.is_empty();
    });
}

#[test]
fn a_vagrantfile_becomes_a_lab_file() {
    let world = World::new();
    let lab = world.example("vagrant");
    take_image_in(&world);
    alias_box(&world);
    world.run(&lab, &["plan"]).ok();
    let plan = |lab: &Path| world.run(lab, &["plan"]).ok().stdout;
    let before = plan(&lab);
    let shown = world.run(&lab, &["convert", "--stdout"]).ok();
    world.run(&lab, &["convert"]).ok().complains("connect_uri");
    let written = std::fs::read_to_string(lab.join("nestlab.yaml")).unwrap();
    assert_eq!(shown.stdout, written);
    assert_eq!(plan(&lab), before);
    world
        .run(&lab, &["convert", "Vagrantfile"])
        .exits_with(2)
        .complains("there already");
    world.run(&lab, &["convert", "Vagrantfile", "--force"]).ok();
}
