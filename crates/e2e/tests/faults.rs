//! What goes wrong must go well: every fault here is made for real.

use nestlab_e2e::World;
use std::path::Path;
use std::time::Duration;

const ONE: &str = "name: one
nodes:
  a:
    image: debian
    memory: 128MiB
";

fn main_process(world: &World, word: &str) -> u32 {
    let found = world.processes(word);
    assert_eq!(found.len(), 1, "{word}: {found:#?}");
    found[0].0
}

fn answers(world: &World, lab: &Path) -> bool {
    world.run(lab, &["exec", "a", "--", "true"]).code == 0
}

#[test]
fn the_lab_survives_its_supervisor_its_keeper_and_its_agent() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();
    let machine = main_process(&world, "qemu-system");

    // The supervisor: the next command starts another, which adopts.
    world.kill(main_process(&world, "__supervisor"));
    assert_eq!(world.state(&lab, "a"), "ready");
    world.eventually("it answers again", Duration::from_secs(20), || {
        answers(&world, &lab)
    });
    assert_eq!(
        main_process(&world, "qemu-system"),
        machine,
        "the machine was not restarted"
    );

    // The keeper: the machine holds the namespace.
    world.kill(main_process(&world, "__keeper"));
    assert!(answers(&world, &lab));

    // The agent: init starts it again.
    world.run(
        &lab,
        &["exec", "a", "--", "sh", "-c", "kill -9 $(pidof nestlab)"],
    );
    world.eventually("the agent is back", Duration::from_secs(30), || {
        answers(&world, &lab)
    });

    // Both at once, then everything is still found and removed.
    world.kill(main_process(&world, "__supervisor"));
    world.run(&lab, &["up"]).ok();
    assert_eq!(main_process(&world, "qemu-system"), machine);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_killed_machine_is_told_and_brought_back() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();
    world.kill(main_process(&world, "qemu-system"));
    world.eventually("the end is noticed", Duration::from_secs(10), || {
        world.state(&lab, "a") == "failed"
    });
    world
        .run(&lab, &["exec", "a", "--", "true"])
        .complains("nestlab up");
    world.run(&lab, &["up"]).ok();
    assert!(answers(&world, &lab));
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn an_interrupt_in_the_middle_of_up_is_continued_or_removed() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    let up = world.start(&lab, &["up"]);
    world.eventually("the machine starts", Duration::from_secs(300), || {
        !world.processes("qemu-system").is_empty()
    });
    up.signal("INT");
    let done = up.wait();
    assert_eq!(done.code, 130, "{done}");
    assert_ne!(world.state(&lab, "a"), "ready");
    world.run(&lab, &["up"]).ok();
    assert!(answers(&world, &lab));

    // Killed outright in the middle: removed without a trace.
    world.run(&lab, &["destroy", "--yes"]).ok();
    let up = world.start(&lab, &["up"]);
    world.eventually("the machine starts", Duration::from_secs(60), || {
        !world.processes("qemu-system").is_empty()
    });
    up.signal("KILL");
    drop(up);
    world.kill(main_process(&world, "__supervisor"));
    world.run(&lab, &["status"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn two_ups_at_once_make_one_lab() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    let (first, second) = (world.start(&lab, &["up"]), world.start(&lab, &["up"]));
    let (first, second) = (first.wait(), second.wait());
    assert_eq!((first.code, second.code), (0, 0), "{first}\n{second}");
    assert_eq!(world.processes("qemu-system").len(), 1);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn two_labs_use_one_subnet_without_knowing() {
    let world = World::new();
    let text = |name: &str| {
        format!(
            "name: {name}\nnetworks:\n  mesh: {{ subnet: 10.10.10.0/24 }}\nnodes:\n  a:\n    image: debian\n    memory: 128MiB\n    networks: {{ mesh: {{ ip: 10.10.10.11 }} }}\n"
        )
    };
    let (one, two) = (
        world.lab("one", &text("one")),
        world.lab("two", &text("two")),
    );
    world.run(&one, &["up"]).ok();
    world.run(&two, &["up"]).ok();
    world
        .run(&one, &["exec", "a", "--", "touch", "/root/one"])
        .ok();
    world
        .run(&two, &["exec", "a", "--", "test", "-e", "/root/one"])
        .exits_with(1);
    // Inside each lab's network the address answers.
    world
        .run(&one, &["net", "--", "ip", "-br", "addr"])
        .ok()
        .says("10.10.10.1/24");
    world.run(&one, &["destroy", "--yes"]).ok();
    world.run(&two, &["exec", "a", "--", "true"]).ok();
    world.run(&two, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_taken_port_is_named() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let lab = world.lab("port", &format!("{ONE}    ports: [\"{port}:80\"]\n"));
    let done = world.run(&lab, &["up"]).exits_with(1);
    assert!(
        done.stderr.contains(&port.to_string()) && done.stderr.contains("hint"),
        "{done}"
    );
    drop(taken);
    world.run(&lab, &["up"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_failing_script_shows_its_words_and_up_continues_from_there() {
    let world = World::new();
    let lab = world.lab(
        "script",
        &format!("{ONE}    provision:\n      - inline: echo first >> /root/first\n      - inline: \"echo the reason; test -e /root/mended\"\n"),
    );
    let done = world.run(&lab, &["up"]).exits_with(1);
    for word in ["a", "the reason", "exited with 1"] {
        assert!(done.stderr.contains(word), "no {word:?} in {done}");
    }
    world
        .run(&lab, &["exec", "a", "--", "touch", "/root/mended"])
        .ok();
    world.run(&lab, &["up"]).ok();
    // The step that had succeeded did not run again.
    world
        .run(&lab, &["exec", "a", "--", "wc", "-l", "/root/first"])
        .ok()
        .says("1 ");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_moved_or_deleted_lab_folder_is_still_removable() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();
    std::fs::remove_dir_all(&lab).unwrap();
    world
        .run(world.path(), &["-l", "one", "status"])
        .ok()
        .says("ready");
    world
        .run(world.path(), &["-l", "one", "destroy", "--yes"])
        .ok();
    world.is_empty();
}

#[test]
fn a_guest_that_floods_its_console_and_its_link_stays_bounded() {
    let world = World::new();
    let lab = world.lab("one", ONE);
    world.run(&lab, &["up"]).ok();
    let flood = "for i in $(seq 40000); do echo 'a line of some length that means nothing at all' > /dev/console; done";
    world
        .run(&lab, &["exec", "a", "--", "sh", "-c", flood])
        .ok();
    let logs = world.path().join("state/nestlab/labs");
    let size = |name: &str| -> u64 {
        let found = std::process::Command::new("find")
            .arg(&logs)
            .args(["-name", name, "-printf", "%s\n"])
            .output();
        String::from_utf8_lossy(&found.unwrap().stdout)
            .lines()
            .map(|l| l.parse::<u64>().unwrap())
            .sum()
    };
    assert!(size("console.log*") < 3 << 20);
    // Garbage on the link: the guest's root writes into the port itself.
    let garbage = "p=$(ls /dev/vport* | head -1); kill -STOP $(pidof nestlab); head -c 300000 /dev/urandom > $p & sleep 1; kill -CONT $(pidof nestlab)";
    world.run(&lab, &["exec", "-d", "a", "--", "sh", "-c", garbage]);
    std::thread::sleep(Duration::from_secs(3));
    world.eventually("it answers again", Duration::from_secs(60), || {
        answers(&world, &lab)
    });
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_guest_that_restarts_by_itself_is_set_up_again() {
    let world = World::new();
    let lab = world.lab(
        "restart",
        &format!(
            "{ONE}    provision:\n      - inline: echo boot >> /root/boots\n        run: always\n"
        ),
    );
    world.run(&lab, &["up"]).ok();
    // The init takes SIGINT as the kernel's Ctrl-Alt-Delete: it restarts.
    world.run(
        &lab,
        &["exec", "a", "--", "sh", "-c", "kill -INT 1; sleep 60"],
    );
    world.eventually("it was set up again", Duration::from_secs(120), || {
        let boots = world
            .run(&lab, &["exec", "a", "--", "cat", "/root/boots"])
            .stdout;
        boots == "boot\nboot\n" && world.state(&lab, "a") == "ready"
    });
    world
        .run(&lab, &["exec", "a", "--", "hostname"])
        .ok()
        .says("a");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
