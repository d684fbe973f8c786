//! A lab goes back to what it was: memory, disks and connections of every level.

use nestlab_e2e::{World, nested_story, times};
use std::path::Path;
use std::time::Duration;

const LAB: &str = "
name: past
nodes:
  box:
    image: debian
    memory: 512MiB
    nested: true
    inside:
      nodes:
        inner: { image: debian, memory: 128MiB }
  pal: { image: debian, memory: 128MiB }
";

/// A hang guard.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a save takes, more or less.
const SAVE: Duration = Duration::from_millis(2400);

/// Two that throw a number at each other, each adding one. A number that is not the
/// one after the last has come out of a future that never was.
const PING: &str = r#"exec perl -MIO::Socket::INET -e '
    my ($peer) = @ARGV;
    my $line = $peer
        ? IO::Socket::INET->new(PeerAddr => $peer, PeerPort => 7777)
        : IO::Socket::INET->new(LocalPort => 7777, Listen => 1)->accept;
    $line or die "no connection: $!";
    $line->autoflush(1);
    sub keep { my ($file, $word) = @_; open my $f, ">", "$file.new"; print $f $word; close $f; rename "$file.new", $file }
    my $mine = $peer ? 1 : 0;
    print $line "$mine\n" if $peer;
    while (my $number = <$line>) {
        chomp $number;
        keep("/run/wrong", "$number after $mine") if $number != $mine + 1;
        $mine = $number + 1;
        keep("/run/count", $mine);
        select undef, undef, undef, 0.02;
        print $line "$mine\n";
    }
    keep("/run/wrong", "the connection ended");
' "#;

struct Lab<'a> {
    world: &'a World,
    folder: &'a Path,
}

impl Lab<'_> {
    fn run(&self, args: &[&str]) -> nestlab_e2e::Done {
        self.world.run(self.folder, args)
    }

    fn inside(&self, node: &str, line: &str) -> String {
        self.world.inside(self.folder, node, line)
    }

    /// Writes a word to memory and to the disks of all nodes.
    fn write(&self, word: &str) {
        for node in ["box", "box/inner", "pal"] {
            let line = format!("echo {word} >/run/word; echo {word} >/root/word; sync");
            self.inside(node, &line);
        }
    }

    fn holds(&self, word: &str) {
        for node in ["box", "box/inner", "pal"] {
            let line = "echo 3 >/proc/sys/vm/drop_caches; cat /run/word /root/word";
            assert_eq!(self.inside(node, line), format!("{word}\n{word}"), "{node}");
        }
    }

    fn throws_on(&self) {
        let count = |node: &str| -> u64 {
            let count = self.inside(node, "cat /run/count");
            count.parse().unwrap_or_else(|_| panic!("{count:?}"))
        };
        for node in ["box", "pal"] {
            let now = count(node);
            self.world
                .eventually("the ball is in play", PATIENCE, || count(node) > now);
            let wrong = self.inside(node, "cat /run/wrong 2>/dev/null || true");
            assert_eq!(wrong, "", "{node}");
        }
    }

    fn snapshots(&self) -> Vec<String> {
        let list = self.run(&["snapshot", "list", "--json"]).ok().json();
        let list = list["snapshots"].as_array().expect("a list").clone();
        let names = list.iter().map(|one| one["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }
}

#[test]
fn a_lab_goes_back_to_what_it_was() {
    nested_story(goes_back);
}

fn goes_back(world: &World) {
    let folder = world.lab("past", LAB);
    let lab = Lab {
        world,
        folder: &folder,
    };
    lab.run(&["up"]).ok();
    let serve = ["exec", "-d", "box", "--", "sh", "-c", PING];
    lab.run(&serve).ok();
    world.eventually("the server listens", PATIENCE, || {
        let line = "grep -q ':1E61 00000000:0000 0A' /proc/net/tcp && echo yes || true";
        lab.inside("box", line) == "yes"
    });
    let throw = format!("{PING} box");
    lab.run(&["exec", "-d", "pal", "--", "sh", "-c", &throw])
        .ok();
    world.eventually("the ball is thrown", PATIENCE, || {
        !lab.inside("pal", "cat /run/count 2>/dev/null || true")
            .is_empty()
    });

    lab.write("old");
    let saved = lab.run(&["snapshot", "save", "first", "--json"]).ok();
    assert_eq!(saved.json()["nodes"].as_array().map(Vec::len), Some(2));
    lab.throws_on();
    lab.write("new");
    lab.run(&["snapshot", "restore", "first"]).ok();
    lab.holds("old");
    lab.throws_on();

    // A later one, of a lab that has come from an earlier one.
    lab.write("newer");
    assert_eq!(
        lab.run(&["snapshot", "save", "--compress"])
            .ok()
            .stdout
            .trim(),
        "snapshot-1"
    );
    assert_eq!(lab.snapshots(), ["first", "snapshot-1"]);
    for (name, word) in [("first", "old"), ("snapshot-1", "newer")] {
        lab.run(&["snapshot", "restore", name]).ok();
        lab.holds(word);
        lab.throws_on();
    }

    // A copy of the past beside the present.
    lab.run(&["fork", "@first", "--name", "copy"]).ok();
    let read = ["-l", "copy", "exec", "box/inner", "--", "cat", "/root/word"];
    assert_eq!(lab.run(&read).ok().stdout.trim(), "old");
    lab.run(&["-l", "copy", "destroy", "--yes"]).ok();
    lab.holds("newer");

    a_save_that_is_killed_leaves_none(&lab);
    nothing_but_disks_outlives_a_power_failure(&lab);
    damage_is_refused(&lab);
    lab.run(&["destroy", "--yes"]).ok();
    world.is_empty();
}

/// Whenever the supervisor dies, the lab goes on and no half snapshot is listed.
fn a_save_that_is_killed_leaves_none(lab: &Lab) {
    let kills = times(4, 40);
    for kill in 0..kills {
        let name = format!("killed-{kill}");
        let save = lab.world.start(lab.folder, &["snapshot", "save", &name]);
        std::thread::sleep(SAVE * kill / kills);
        let (supervisor, _) = lab.world.processes("__supervisor").remove(0);
        lab.world.kill(supervisor);
        save.wait();
        lab.world.eventually("all goes on", PATIENCE, || {
            let nodes = ["box", "box/inner", "pal"];
            let states = nodes.map(|node| lab.world.state(lab.folder, node));
            println!("after {kill}: {states:?}");
            states == ["ready"; 3]
        });
        lab.holds("newer");
        lab.throws_on();
        let halves = lab
            .snapshots()
            .into_iter()
            .filter(|one| one.starts_with('.'));
        assert_eq!(halves.count(), 0);
        // It may have been done before the supervisor was ended.
        if lab.snapshots().contains(&name) {
            lab.run(&["snapshot", "delete", &name]).ok();
        }
    }
}

/// What was in memory alone is gone; a snapshot is not.
fn nothing_but_disks_outlives_a_power_failure(lab: &Lab) {
    lab.world.lose_power();
    lab.run(&["snapshot", "restore", "first"]).ok();
    lab.holds("old");
    lab.throws_on();
}

fn damage_is_refused(lab: &Lab) {
    let found = lab.run(&["ls", "--json"]).ok().json();
    let id = found["labs"][0]["id"].as_str().expect("an id").to_owned();
    let memory = lab
        .world
        .lab_folder(&id)
        .join("snapshots/first/nodes/box/machine.memory");
    let file = std::fs::File::options().write(true).open(memory).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"damage", 1 << 20).unwrap();
    lab.run(&["snapshot", "restore", "first"])
        .exits_with(1)
        .complains("machine.memory is not what was saved");
    lab.throws_on();
    lab.run(&["snapshot", "delete", "first", "snapshot-1"]).ok();
    assert!(lab.snapshots().is_empty());
    lab.throws_on();
}
