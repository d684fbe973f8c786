//! Containers: on this machine, with a machine inside, and inside a machine.

use nestlab_e2e::{GREET, World, ask, is_root, nested_story, save_image, skip};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PAIR: &str = "\
name: pair
nodes:
  one:
    kind: container
    image: debian
    memory: 64MiB
    pids_limit: 40
    ports: ['28081:80']
    volumes: ['./shared:/srv/shared', './shared:/srv/seen:ro']
  two: { kind: container, image: debian, memory: 64MiB }
";

/// A lab of two containers, whose folder has a folder to share.
fn pair(world: &World) -> PathBuf {
    let lab = world.lab("pair", PAIR);
    std::fs::create_dir(lab.join("shared")).unwrap();
    std::fs::write(lab.join("shared/file"), "ours").unwrap();
    lab
}

/// What it says at a port of this machine.
fn greeting(port: u16) -> String {
    let mut greeting = String::new();
    let mut here = TcpStream::connect(("127.0.0.1", port)).unwrap();
    here.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    here.read_to_string(&mut greeting).unwrap();
    greeting
}

#[test]
fn containers_come_up_talk_and_go() {
    let world = World::new();
    let lab = pair(&world);
    world.run(&lab, &["up"]).ok();
    let node = world.node(&lab, "one");
    assert_eq!(node["backend"], "oci");
    assert_eq!(node["accelerator"], "container");

    // Their own names, files and processes.
    assert_eq!(world.inside(&lab, "one", "hostname; id -u"), "one\n0");
    assert_eq!(
        world.inside(&lab, "two", "cat /proc/1/comm"),
        "nestlab-init"
    );
    world.inside(&lab, "one", "echo mine >/root/kept");
    world
        .run(&lab, &["exec", "two", "--", "test", "-e", "/root/kept"])
        .exits_with(1);

    // The network between them, and from here.
    world.inside(&lab, "one", GREET);
    assert_eq!(world.inside(&lab, "two", &ask("one")), "one");
    assert_eq!(greeting(28081), "one\n");

    // Volumes, one of them only to be read.
    assert_eq!(world.inside(&lab, "one", "cat /srv/shared/file"), "ours");
    world.inside(&lab, "one", "echo theirs >/srv/shared/new");
    assert_eq!(
        std::fs::read_to_string(lab.join("shared/new")).unwrap(),
        "theirs\n"
    );
    world
        .run(&lab, &["exec", "one", "--", "touch", "/srv/seen/x"])
        .exits_with(1);

    world.run(&lab, &["pause", "one"]).ok();
    assert_eq!(world.state(&lab, "one"), "paused");
    world.run(&lab, &["resume"]).ok();
    // What it has written stays over a halt, and goes with it.
    world.run(&lab, &["halt"]).ok();
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "one", "cat /root/kept"), "mine");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn limits_bite_and_users_are_others_outside() {
    let test = "limits_bite_and_users_are_others_outside";
    if !is_root() {
        return skip(test, "an ordinary user has no control groups to limit with");
    }
    let world = World::new();
    let lab = pair(&world);
    world.run(&lab, &["up"]).ok();

    let fill = "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c";
    assert_eq!(world.inside(&lab, "one", fill), "0");
    assert_eq!(world.state(&lab, "one"), "ready");
    let status = world.run(&lab, &["status"]).ok();
    status.says("one: the kernel has ended a program in it, which needed more than its 64 MiB");
    let many = "for i in $(seq 80); do sleep 9 & done 2>&1 | grep -c -i fork; true";
    assert_ne!(world.inside(&lab, "one", many), "0");

    // Root of one is an ordinary user outside, and another than root of the other.
    let owner = |path: &str| {
        let pid = world.node(&lab, path)["pid"].as_u64().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("Uid:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    assert!(owner("one") >= 0x8_0000, "{}", owner("one"));
    assert_ne!(owner("one"), owner("two"));
    for line in [
        "mount -t tmpfs none /mnt",
        "unshare --user true",
        "echo 1 >/proc/sys/kernel/sysrq",
        "mknod /dev/sda b 8 0 && head -c 1 /dev/sda",
        "kill -9 1; kill -0 1 && test ! -d /proc/1",
    ] {
        let done = world.run(&lab, &["exec", "one", "--", "sh", "-c", line]);
        assert_ne!(done.code, 0, "{line}: {}", done.stdout);
    }

    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Seconds that a command takes inside a node, as a number.
fn seconds(world: &World, lab: &Path, node: &str, command: &str) -> f64 {
    let timed = format!("a=$(date +%s.%N); {command} || exit 9; b=$(date +%s.%N); echo $a $b");
    let said = world.inside(lab, node, &timed);
    let times: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
    times[1] - times[0]
}

#[test]
fn disks_and_networks_are_as_slow_as_the_file_says() {
    let test = "disks_and_networks_are_as_slow_as_the_file_says";
    if !is_root() {
        return skip(test, "an ordinary user has no control groups to limit with");
    }
    let world = World::new();
    let text = |rate: &str| {
        format!(
            "name: slow\nnodes:\n  one:\n    kind: container\n    image: debian\n    memory: 64MiB\n    \
             io: {{ write: 2MiB }}\n    networks: {{ default: {{ {rate} }} }}\n  \
             two: {{ kind: container, image: debian, memory: 64MiB }}\n"
        )
    };
    let lab = world.lab("slow", &text("rate: 8mbit, priority: 6"));
    let done = world.run(&lab, &["up"]);
    if done.stderr.contains("`io` is not to be had here") {
        world.run(&lab, &["destroy", "--yes"]).ok();
        return skip(test, &done.stderr);
    }
    done.ok();

    // Past the page cache, whose writing back is not the container's.
    let write = "dd if=/dev/zero of=/root/file bs=256k count=16 oflag=direct 2>/dev/null";
    let limited = seconds(&world, &lab, "one", write);
    assert!(limited > 1.2, "4 MiB at 2 MiB a second took {limited} s");
    let free = seconds(&world, &lab, "two", write);
    assert!(
        free < limited,
        "{free} s without a limit, {limited} s with one"
    );

    let serve = "perl -MIO::Socket::INET -e '\
        $s = IO::Socket::INET->new(LocalPort => 90, Listen => 1, ReuseAddr => 1) or die; \
        while ($c = $s->accept) { 1 while sysread $c, $b, 65536; close $c }' </dev/null >/dev/null 2>&1 &";
    world.inside(&lab, "one", serve);
    let pour = "perl -MIO::Socket::INET -e '\
        for (1..50) { $s = IO::Socket::INET->new(\"one:90\") and last; select undef, undef, undef, .1 } \
        print $s \"x\" x 2000000; $s->flush; shutdown $s, 1; sysread $s, $b, 1'";
    let limited = seconds(&world, &lab, "two", pour);
    assert!(limited > 1.2, "2 MB at 1 MB a second took {limited} s");
    // A running container takes another rate up.
    std::fs::write(lab.join("nestlab.yaml"), text("")).unwrap();
    world.run(&lab, &["plan"]).ok().says("rate or priority");
    world.run(&lab, &["up"]).ok();
    let free = seconds(&world, &lab, "two", pour);
    assert!(
        free < limited / 2.0,
        "{free} s without a rate, {limited} s with one"
    );

    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn two_labs_do_not_see_each_other() {
    let world = World::new();
    let text = |name: &str| {
        format!(
            "name: {name}\nnetworks: {{ net: {{ subnet: 10.77.0.0/24 }} }}\nnodes:\n  \
             box: {{ kind: container, image: debian, memory: 64MiB, networks: {{ net: {{ ip: 10.77.0.{} }} }} }}\n",
            if name == "left" { 11 } else { 12 }
        )
    };
    let labs = ["left", "right"].map(|name| world.lab(name, &text(name)));
    for lab in &labs {
        world.run(lab, &["up"]).ok();
    }
    let [left, right] = &labs;
    // Files and processes.
    world.inside(left, "box", "echo secret >/root/mark; cp /bin/sleep /tmp/leftovers; /tmp/leftovers 300 </dev/null >/dev/null 2>&1 &");
    assert_eq!(
        world.inside(left, "box", "grep -lx leftovers /proc/[0-9]*/comm | wc -l"),
        "1"
    );
    let look = "ls /root/mark /tmp/leftovers 2>/dev/null; grep -lx leftovers /proc/[0-9]*/comm 2>/dev/null | wc -l";
    assert_eq!(world.inside(right, "box", look), "0");
    // One subnet, and two networks.
    world.inside(left, "box", GREET);
    let ask = |host: &str| {
        format!(
            "perl -MIO::Socket::INET -e 'exit 1 unless IO::Socket::INET->new(PeerAddr => \"{host}:80\", Timeout => 2)'"
        )
    };
    world.inside(
        left,
        "box",
        &format!(
            "for i in 1 2 3 4 5 6 7 8 9; do {} && exit 0; sleep 1; done; exit 1",
            ask("10.77.0.11")
        ),
    );
    for host in ["10.77.0.11", "box"] {
        let done = world.run(right, &["exec", "box", "--", "sh", "-c", &ask(host)]);
        assert_ne!(done.code, 0, "{host}");
    }
    // Nor does one's root have the other's users.
    if is_root() {
        let root = |lab: &Path| {
            let pid = world.node(lab, "box")["pid"].as_u64().unwrap();
            let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
            map.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_ne!(root(left), root(right));
    }
    for lab in &labs {
        world.run(lab, &["destroy", "--yes"]).ok();
    }
    world.is_empty();
}

#[test]
fn what_is_killed_is_had_again() {
    let world = World::new();
    let lab = pair(&world);
    world.run(&lab, &["up"]).ok();
    world.inside(&lab, "one", "echo mine >/root/kept");

    // The supervisor: the containers run on, and are found again.
    let pid = world.node(&lab, "one")["pid"].as_u64().unwrap();
    for (supervisor, _) in world.processes("__supervisor") {
        world.kill(supervisor);
    }
    assert_eq!(world.node(&lab, "one")["pid"].as_u64(), Some(pid));
    assert_eq!(world.inside(&lab, "one", "cat /root/kept"), "mine");

    // The keeper, then the container: the other one has kept its place in the network.
    for (keeper, _) in world.processes("__keeper") {
        world.kill(keeper);
    }
    world.kill(u32::try_from(pid).unwrap());
    let failed = || world.state(&lab, "one") == "failed";
    world.eventually("its end is seen", Duration::from_secs(30), failed);
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "one", "cat /root/kept"), "mine");
    world.inside(&lab, "one", GREET);
    assert_eq!(world.inside(&lab, "two", &ask("one")), "one");

    // Everything.
    world.lose_power();
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "one", "cat /root/kept"), "mine");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn what_cannot_be_frozen_is_refused_by_name() {
    let world = World::new();
    let lab = pair(&world);
    world.run(&lab, &["up"]).ok();
    for verb in [&["fork"][..], &["snapshot", "save"], &["halt", "--save"]] {
        let done = world.run(&lab, verb).exits_with(1);
        done.complains("Node `one` is a container of this machine");
        assert_eq!(world.state(&lab, "one"), "ready");
        assert_eq!(world.state(&lab, "two"), "ready");
    }
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn what_cannot_be_frozen_begins_anew_from_its_files() {
    let world = World::new();
    let lab = world.lab(
        "mixed",
        "name: mixed\nnodes:\n  box: { kind: container, image: debian, memory: 64MiB }\n  \
         vm: { image: debian, memory: 192MiB }\n",
    );
    world.run(&lab, &["up"]).ok();
    let write = "echo kept >/root/kept; ln -s /nowhere /root/link; mkfifo /root/pipe; rm /etc/motd; \
        touch \"/root/$(printf '\\377')\"; chown 7:8 /root/kept; sleep 1000 </dev/null >/dev/null 2>&1 &";
    world.inside(&lab, "box", write);
    world.inside(&lab, "vm", "echo memory >/run/here");
    let id = ["readlink", "/proc/self/ns/pid"].join(" ");
    let origin = world.inside(&lab, "box", &id);

    // A fork: the machine goes on, the container does so from its files.
    let look = "cat /root/kept; stat -c %u:%g /root/kept; readlink /root/link; \
        test ! -e /etc/motd && test -p /root/pipe && echo same; grep -lx sleep /proc/[0-9]*/comm 2>/dev/null | wc -l";
    let of_files = "kept\n7:8\n/nowhere\nsame";
    world
        .run(&lab, &["fork", "--disks-only", "--name", "copy"])
        .ok();
    let there = |path: &str, command: &str| {
        let arguments = ["-l", "copy", "exec", path, "--", "sh", "-c", command];
        world.run(&lab, &arguments).stdout.trim().to_owned()
    };
    assert_eq!(there("box", look), format!("{of_files}\n0"));
    assert_eq!(there("vm", "cat /run/here"), "memory");
    assert_eq!(
        there("box", "hostname; getent hosts vm >/dev/null && echo known"),
        "box\nknown"
    );
    assert_eq!(world.inside(&lab, "box", look), format!("{of_files}\n1"));
    assert_eq!(world.inside(&lab, "box", &id), origin);
    there("box", "echo theirs >/root/kept");
    assert_eq!(world.inside(&lab, "box", "cat /root/kept"), "kept");
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();

    // A snapshot, which is looked through before it is taken up.
    world
        .run(&lab, &["snapshot", "save", "--disks-only", "then"])
        .ok();
    world.inside(&lab, "box", "echo later >/root/kept");
    world.run(&lab, &["snapshot", "restore", "then"]).ok();
    assert_eq!(world.inside(&lab, "box", look), format!("{of_files}\n0"));
    assert_eq!(world.inside(&lab, "vm", "cat /run/here"), "memory");

    // What was halted keeps its files as well.
    world.run(&lab, &["halt", "box"]).ok();
    world.run(&lab, &["fork", "--name", "halted"]).ok();
    world.run(&lab, &["-l", "halted", "up"]).ok();
    let arguments = ["-l", "halted", "exec", "box", "--", "cat", "/root/kept"];
    assert_eq!(world.run(&lab, &arguments).stdout.trim(), "kept");
    world.run(&lab, &["-l", "halted", "destroy", "--yes"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn an_ordinary_user_has_containers() {
    let mut world = World::new();
    let text = "name: plain\nnodes:\n  one:\n    kind: container\n    image: hypervisor\n    memory: 384MiB\n    \
        inside: { nodes: { inner: { kind: container, image: debian, memory: 64MiB } } }\n";
    let lab = world.lab("plain", text);
    world.run(&lab, &["image", "build"]).ok();
    if let Err(reason) = world.become_ordinary_user() {
        return skip("an_ordinary_user_has_containers", &reason);
    }
    world.run(&lab, &["up"]).ok();
    for name in ["one", "one/inner"] {
        let own = name.rsplit('/').next().unwrap();
        let said = world.inside(&lab, name, "id -u; hostname");
        assert_eq!(said, format!("0\n{own}"));
    }
    // What it was handed is the user's own: root inside cannot write to it all the same.
    for line in SPOIL {
        let done = world.run(&lab, &["exec", "one", "--", "sh", "-c", line]);
        assert_ne!(done.code, 0, "{line}: {}", done.stdout);
    }
    world.inside(&lab, "one/inner", "echo mine >/root/kept");
    world.run(&lab, &["halt"]).ok();
    world
        .run(&lab, &["fork", "--disks-only", "--name", "copy"])
        .ok();
    world.run(&lab, &["-l", "copy", "up"]).ok();
    let there = ["-l", "copy", "exec", "one/inner", "--", "cat", "/root/kept"];
    world.run(&lab, &there).ok().says("mine");
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Writing to what a container is handed to be read, some way or other.
const SPOIL: [&str; 3] = [
    "for disk in /dev/nestlab/* /run/nestlab/disks/*; do \
        mount -o remount,bind,rw \"$disk\"; dd if=/dev/null of=\"$disk\" conv=notrunc && exit 0; \
        mount -o loop \"$disk\" /mnt && exit 0; done; exit 1",
    "for root in /run/nestlab/roots/* /run/nestlab/kit; do mount -o remount,bind,rw \"$root\"; \
        touch \"$root/spoilt\" && exit 0; done; exit 1",
    "mount -o remount,rw /run/nestlab/kit && touch /run/nestlab/kit/spoilt",
];

const DOLLS: &str = "\
name: dolls
nodes:
  one:
    kind: container
    image: hypervisor
    memory: 768MiB
    inside:
      nodes:
        plain: { kind: container, image: debian, memory: 64MiB, ports: ['28082:80'] }
        two:
          kind: container
          image: hypervisor
          memory: 320MiB
          inside:
            nodes:
              three: { kind: container, image: debian, memory: 64MiB, cap_add: [SYS_NICE] }
";

#[test]
fn containers_stand_in_containers() {
    let world = World::new();
    let lab = world.lab("dolls", DOLLS);
    world.run(&lab, &["up"]).ok();
    let deep = "one/two/three";
    assert_eq!(world.node(&lab, deep)["level"], 3);
    assert_eq!(world.node(&lab, deep)["accelerator"], "container");
    let who = "hostname; id -u; cat /proc/1/comm";
    assert_eq!(world.inside(&lab, deep, who), "three\n0\nnestlab-init");

    // Its network, and the way to a port in it.
    world.inside(&lab, "one/plain", GREET);
    let is_greeted = || greeting(28082) == "plain\n";
    world.eventually("the port answers", Duration::from_secs(30), is_greeted);
    world.inside(&lab, "one/two", "getent hosts plain");

    // Whoever holds containers mounts and makes namespaces; who holds none does neither, and
    // nobody reaches past what is around him.
    let tries = |path: &str, line: &str| {
        let done = world.run(&lab, &["exec", path, "--", "sh", "-c", line]);
        done.code
    };
    for (path, holds) in [("one", true), ("one/two", true), (deep, false)] {
        let mounts = tries(path, "mount -t tmpfs none /mnt && umount /mnt") == 0;
        assert_eq!(mounts, holds, "{path}");
        for line in [
            "mknod /root/disk b 8 0 && head -c 1 /root/disk",
            "echo 1 >/proc/sys/kernel/sysrq",
            "mount -t proc none /mnt && echo 1 >/mnt/sys/kernel/sysrq",
            "kill -0 1 && test ! -d /proc/1",
        ]
        .iter()
        .chain(&SPOIL)
        {
            assert_ne!(tries(path, line), 0, "{path}: {line}");
        }
    }

    // What is written stays over a halt, and is in a copy; a copy's changes are its own.
    world.inside(&lab, deep, "echo mine >/root/kept");
    world.run(&lab, &["halt"]).ok();
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, deep, "cat /root/kept"), "mine");
    let made = world.run(&lab, &["fork", "--disks-only", "--name", "copy"]);
    made.ok();
    let there = |command: &str| {
        let arguments = ["-l", "copy", "exec", deep, "--", "sh", "-c", command];
        world.run(&lab, &arguments).stdout.trim().to_owned()
    };
    assert_eq!(there("cat /root/kept; echo theirs >/root/kept"), "mine");
    assert_eq!(world.inside(&lab, deep, "cat /root/kept"), "mine");
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();

    // One is killed in the middle, with all that stands in it.
    let pid = world.node(&lab, "one")["pid"].as_u64().unwrap();
    world.kill(u32::try_from(pid).unwrap());
    let failed = || world.state(&lab, "one") == "failed";
    world.eventually("its end is seen", Duration::from_secs(30), failed);
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, deep, "cat /root/kept"), "mine");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn an_image_from_an_archive_makes_both_kinds_of_node() {
    let world = World::new();
    let lab = pair(&world);
    world.run(&lab, &["up"]).ok();
    let image = save_image(&world, &lab, "one");
    world.run(&lab, &["destroy", "--yes"]).ok();

    let text = format!(
        "name: brought\nimages: {{ own: {{ path: {} }} }}\nnodes:\n  \
         box: {{ kind: container, image: own, memory: 64MiB }}\n  vm: {{ image: own, memory: 192MiB }}\n",
        image.display()
    );
    let brought = world.lab("brought", &text);
    world.run(&brought, &["up"]).ok();
    for node in ["box", "vm"] {
        assert_eq!(
            world.inside(&brought, node, "cat /root/mark; hostname"),
            format!("carried\n{node}")
        );
        assert_eq!(
            world.inside(&brought, node, "stat -c %a:%u /usr/bin/su /tmp"),
            "4755:0\n1777:0"
        );
    }
    world.run(&brought, &["destroy", "--yes"]).ok();

    std::fs::write(lab.join("shared/manifest.json"), "[]").unwrap();
    let spoiled = Command::new("tar")
        .args(["-cf", "image.tar", "manifest.json"])
        .current_dir(lab.join("shared"))
        .status();
    assert!(spoiled.is_ok());
    let done = world.run(&brought, &["up"]).exits_with(1);
    done.complains("it holds 0 images and not one");
    world.run(&brought, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_machine_stands_in_a_container_in_a_machine() {
    nested_story(four_levels);
}

fn four_levels(world: &World) {
    let lab = world.example("four-levels");
    // A container stands beside the machine in the container.
    let file = lab.join("nestlab.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replacen("image: debian\n          memory: 512MiB", "image: hypervisor\n          memory: 576MiB", 1)
        .replace(
            "vm: { image: debian, memory: 128MiB }",
            "vm: { image: debian, memory: 128MiB }\n              cell: { kind: container, image: debian, memory: 64MiB }",
        );
    std::fs::write(file, text).unwrap();
    world.run(&lab, &["up"]).ok();
    assert_eq!(world.inside(&lab, "l1/box/vm", "hostname"), "vm");
    assert_eq!(world.node(&lab, "l1/box")["accelerator"], "container");
    assert_eq!(world.node(&lab, "l1/box/vm")["level"], 3);
    world.inside(&lab, "l1/box/vm", "echo origin >/root/who");
    world.inside(&lab, "l1/box/cell", "echo origin >/root/who");

    // The group of the container in the container is one of its own.
    let fill = "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c";
    assert_eq!(world.inside(&lab, "l1/box/cell", fill), "0");
    let status = world.run(&lab, &["status"]).ok().stdout.clone();
    let ended = "the kernel has ended a program in it";
    assert!(
        status.contains(&format!("l1/box/cell: {ended}")),
        "{status}"
    );
    assert_eq!(status.matches(ended).count(), 1, "{status}");
    world.run(&lab, &["pause", "l1/box/cell"]).ok();
    assert_eq!(world.state(&lab, "l1/box/cell"), "paused");
    world.run(&lab, &["resume"]).ok();

    // A container in a machine is copied with it.
    world.run(&lab, &["fork", "--name", "copy"]).ok();
    for path in ["l1/box/vm", "l1/box/cell"] {
        let copy = ["-l", "copy", "exec", path, "--", "cat", "/root/who"];
        world.run(&lab, &copy).ok().says("origin");
        world.inside(&lab, path, "echo other >/root/who");
        world.run(&lab, &copy).ok().says("origin");
    }
    world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
