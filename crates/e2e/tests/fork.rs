//! Copies of a running tree go on by themselves, and share what none has changed.

use nestlab_e2e::{World, nested_story, times};
use std::path::PathBuf;
use std::time::Duration;

const LAB: &str = "
name: tree
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    disks: { data: 64MiB }
    ports: [\"127.0.0.1:0:inner:7000\"]
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
";

/// Counts in the background, a tenth of a second apart.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i >/run/count; sleep 0.1; done";

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a fork takes, more or less.
const FORK: Duration = Duration::from_millis(600);

/// The labs of a story, all called from the folder of the first.
struct Labs<'a> {
    world: &'a World,
    folder: PathBuf,
}

impl<'a> Labs<'a> {
    /// Brings the first of them up.
    fn up(world: &'a World) -> Self {
        let folder = world.lab("tree", LAB);
        world.run(&folder, &["up"]).ok();
        Self { world, folder }
    }

    fn run(&self, lab: &str, args: &[&str]) -> nestlab_e2e::Done {
        self.world.run(&self.folder, &[&["-l", lab], args].concat())
    }

    fn inside(&self, lab: &str, node: &str, line: &str) -> String {
        let done = self.run(lab, &["exec", node, "--", "sh", "-c", line]).ok();
        done.stdout.trim().to_owned()
    }

    fn count(&self, lab: &str) -> u64 {
        let count = self.inside(lab, "box/inner", "cat /run/count");
        count.parse().unwrap_or_else(|_| panic!("{count:?}"))
    }

    fn counts_on(&self, lab: &str) {
        let now = self.count(lab);
        self.world
            .eventually(&format!("{lab} counts on"), PATIENCE, || {
                self.count(lab) > now
            });
    }

    /// Writes a word to memory and to the disks of both levels.
    fn write(&self, lab: &str, word: &str) {
        for node in ["box", "box/inner"] {
            let line = format!("echo {word} >/run/word; echo {word} >/root/word; sync");
            self.inside(lab, node, &line);
        }
    }

    fn holds(&self, lab: &str, word: &str) {
        for node in ["box", "box/inner"] {
            let line = "echo 3 >/proc/sys/vm/drop_caches; cat /run/word /root/word";
            let found = self.inside(lab, node, line);
            assert_eq!(found, format!("{word}\n{word}"), "{lab}, {node}");
        }
    }

    fn forked(&self, lab: &str, args: &[&str]) -> serde_json::Value {
        let done = self.run(lab, &[&["fork", "--json"], args].concat());
        done.ok().json()
    }

    fn destroy(&self, lab: &str) {
        self.run(lab, &["destroy", "--yes"]).ok();
    }
}

#[test]
fn a_tree_is_forked_and_its_forks_part() {
    nested_story(forks_part);
}

fn forks_part(world: &World) {
    let labs = Labs::up(world);
    labs.run(
        "tree",
        &["exec", "-d", "box/inner", "--", "sh", "-c", COUNTER],
    )
    .ok();
    world.eventually("it counts", PATIENCE, || {
        labs.inside(
            "tree",
            "box/inner",
            "test -s /run/count && echo yes || true",
        ) == "yes"
    });
    labs.write("tree", "seed");

    // The first fork copies nothing, and what goes on in the lab goes on.
    let line = "sleep 6; echo still here";
    let session = ["-l", "tree", "exec", "box/inner", "--", "sh", "-c", line];
    let session = world.start(&labs.folder, &session);
    let twin = labs.forked("tree", &["--name", "twin"]);
    assert_eq!(session.wait().ok().stdout.trim(), "still here");
    assert_eq!(twin["written"], serde_json::json!([]), "{twin}");
    assert_eq!(twin["forks"][0]["name"], "twin");
    let ports = &twin["forks"][0]["listeners"];
    assert_eq!(ports.as_array().map(Vec::len), Some(1), "{twin}");
    for lab in ["tree", "twin"] {
        labs.counts_on(lab);
        labs.holds(lab, "seed");
    }
    let boot = |lab: &str| labs.inside(lab, "box/inner", "cat /proc/sys/kernel/random/boot_id");
    assert_eq!(boot("tree"), boot("twin"));
    let random = |lab: &str| labs.inside(lab, "box/inner", "head -c 16 /dev/urandom | od -x");
    assert_ne!(random("tree"), random("twin"));
    let there: f64 = labs
        .inside("twin", "box/inner", "date +%s.%N")
        .parse()
        .unwrap();
    let here = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!((here.as_secs_f64() - there).abs() < 2.0, "{there}");

    // Each keeps to itself what it writes, through the loss of its supervisor too.
    labs.write("tree", "first");
    labs.write("twin", "second");
    let supervisors = world.processes("__supervisor");
    assert_eq!(supervisors.len(), 2);
    for (supervisor, _) in supervisors {
        world.kill(supervisor);
    }
    labs.holds("tree", "first");
    labs.holds("twin", "second");

    // The same machines as far as they know, unless that is not wanted.
    let id = |lab: &str| labs.inside(lab, "box/inner", "cat /etc/machine-id");
    assert_eq!(id("tree"), id("twin"));
    labs.forked("twin", &["--name", "stranger", "--new-identity"]);
    assert_ne!(id("twin"), id("stranger"));
    labs.holds("stranger", "second");
    labs.destroy("stranger");

    // Forks of a fork, and another of the first lab.
    let cubs = labs.forked("twin", &["--name", "cub", "--count", "2"]);
    assert_eq!(cubs["forks"].as_array().map(Vec::len), Some(2), "{cubs}");
    for lab in ["cub-1", "cub-2"] {
        labs.holds(lab, "second");
        labs.counts_on(lab);
    }
    labs.run("tree", &["fork", "--name", "twin"])
        .exits_with(2)
        .complains("already");
    let line = "test \"$NESTLAB_LAB\" = brief && ip addr | grep -q 10.200.0.1 && exit 7";
    labs.run("tree", &["fork", "--name", "brief", "--", "sh", "-c", line])
        .exits_with(7);
    labs.run("brief", &["status"]).exits_with(3);
    labs.counts_on("tree");
    labs.holds("tree", "first");

    // A fork is halted and comes up like any lab, and outlives where it came from.
    labs.destroy("tree");
    labs.destroy("cub-1");
    labs.run("twin", &["halt"]).ok();
    labs.run("twin", &["up"]).ok();
    assert_eq!(labs.inside("twin", "box/inner", "cat /root/word"), "second");
    labs.counts_on("cub-2");
    labs.destroy("twin");
    labs.counts_on("cub-2");
    labs.destroy("cub-2");
    world.is_empty();
}

const SOLO: &str = "
name: solo
nodes:
  box: { image: debian, memory: 128MiB }
";

#[test]
fn layers_of_disks_do_not_pile_up() {
    let world = World::new();
    let folder = world.lab("solo", SOLO);
    world.run(&folder, &["up"]).ok();
    let words = "cat /root/word-* | tr '\\n' ' '";
    let mut written = Vec::new();
    for number in 0..times(9, 60) {
        let line = format!("echo {number} >/root/word-$(printf %03d {number}); sync");
        world.inside(&folder, "box", &line);
        written.push(number.to_string());
        let run = ["fork", "--", "true"];
        world.run(&folder, &run).ok();
    }
    let labs = world.run(&folder, &["ls", "--json"]).ok().json();
    let id = labs["labs"][0]["id"].as_str().expect("an id");
    let nodes = world.lab_folder(id).join("nodes/box");
    let layers = || {
        let files = std::fs::read_dir(&nodes).unwrap().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|it| it == "qcow2"))
            .count()
    };
    world.eventually("the layers are few", PATIENCE, || layers() < 8);
    let holds = |lab: &str| {
        let line = format!("echo 3 >/proc/sys/vm/drop_caches; {words}");
        let args = ["-l", lab, "exec", "box", "--", "sh", "-c", &line];
        let found = world.run(&folder, &args).ok().stdout;
        assert_eq!(found.trim(), written.join(" "), "{lab}");
    };
    holds("solo");
    world.run(&folder, &["fork", "--name", "last"]).ok();
    holds("last");
    world.run(&folder, &["halt"]).ok();
    world.run(&folder, &["up"]).ok();
    holds("solo");
    for lab in ["solo", "last"] {
        world.run(&folder, &["-l", lab, "destroy", "--yes"]).ok();
    }
    world.is_empty();
}

#[test]
fn a_fork_that_is_killed_leaves_nothing_half() {
    nested_story(killed);
}

fn killed(world: &World) {
    let labs = Labs::up(world);
    labs.write("tree", "seed");
    for victim in ["__supervisor", "qemu-system"] {
        let kills = times(4, 30);
        for kill in 0..kills {
            labs.survives(victim, FORK * kill / kills);
        }
    }
    labs.destroy("tree");
    world.is_empty();
}

impl Labs<'_> {
    /// Whoever of the lab dies while it is forked: the lab can be had again as it
    /// was, and so can the fork, unless there is none.
    fn survives(&self, victim: &str, moment: Duration) {
        let (victim, line) = self.world.processes(victim).remove(0);
        let fork = ["-l", "tree", "fork", "--name", "cub"];
        let fork = self.world.start(&self.folder, &fork);
        std::thread::sleep(moment);
        self.world.kill(victim);
        let done = fork.wait();
        println!("{moment:?}: {done:?} without {line:.60}");
        self.run("tree", &["up"]).ok();
        self.answers("tree", "0");
        assert_eq!(self.inside("tree", "box", "cat /root/word"), "seed");
        if self.run("cub", &["status"]).code != 3 {
            self.run("cub", &["up"]).ok();
            self.answers("cub", "0");
            self.destroy("cub");
        }
    }
}

/// A machine that somebody starts inside a node by hand, without Nestlab. It boots,
/// finds no root, panics and boots again: its CPU is never idle.
const STRANGER: &str = "
kit=/run/nestlab/kit
exec $kit/lib/ld-linux-x86-64.so.2 --library-path $kit/lib $kit/qemu/qemu-system-x86_64 \
  -L $kit/qemu/firmware -nodefaults -no-user-config -display none -machine q35,accel=kvm \
  -cpu host -m 64 -kernel $kit/boot/vmlinux -append panic=-1
";

/// Never idle.
const BUSY: &str = "echo $$ >/run/busy; while :; do :; done";

#[test]
fn a_busy_nest_is_copied_whoever_keeps_it_busy() {
    nested_story(copied_while_busy);
}

fn copied_while_busy(world: &World) {
    let labs = Labs::up(world);
    let begin = |node: &str, line: &str| {
        let args = ["exec", "-d", node, "--", "sh", "-c", line];
        labs.run("tree", &args).ok();
    };
    begin("box/inner", BUSY);
    labs.is_copied("0");
    labs.inside("tree", "box/inner", "kill $(cat /run/busy)");
    begin("box", STRANGER);
    labs.is_copied("1");
    labs.destroy("tree");
    world.is_empty();
}

impl Labs<'_> {
    /// Forks and snapshots of the lab answer, with as many strangers as it has.
    fn is_copied(&self, strangers: &str) {
        self.answers("tree", strangers);
        for _ in 0..times(2, 25) {
            self.forked("tree", &["--name", "cub"]);
            self.answers("cub", strangers);
            self.destroy("cub");
        }
        for _ in 0..times(1, 15) {
            self.run("tree", &["snapshot", "save", "busy"]).ok();
            self.run("tree", &["snapshot", "restore", "busy"]).ok();
            self.answers("tree", strangers);
            self.run("tree", &["snapshot", "delete", "busy"]).ok();
        }
    }

    fn answers(&self, lab: &str, strangers: &str) {
        assert_eq!(self.inside(lab, "box/inner", "echo ready"), "ready");
        let count = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -cx 'panic=-[1]' || true";
        assert_eq!(self.inside(lab, "box", count), strangers, "{lab}");
    }
}

#[test]
fn forks_are_proved_on_a_lab_that_is_made_for_it() {
    nested_story(|world| {
        let folder = world.lab("none", "name: none\nnodes: {}\n");
        world.run(&folder, &["fork", "--prove"]).ok();
        world.is_empty();
    });
}
