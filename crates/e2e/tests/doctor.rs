//! The doctor names what is wrong in a level, and raises no alarm where nothing is.

use nestlab_e2e::{World, nested_story};
use serde_json::Value;
use std::path::Path;

const LAB: &str = "
name: ill
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

/// Bytes that are left on a disk that is nearly full.
const LITTLE: u64 = 32 << 20;

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

    /// Runs a line in the network of the lab.
    fn net(&self, line: &str) {
        self.run(&["net", "--", "sh", "-c", line]).ok();
    }

    /// What is degraded or broken inside the lab, but for its emulation.
    fn alarms(&self) -> Vec<(String, String)> {
        let done = self.run(&["doctor", "ill", "--quick", "--json"]);
        let found = done.json();
        let text = |check: &Value, key: &str| check[key].as_str().expect("a text").to_owned();
        let checks = found["checks"].as_array().expect("a list").iter();
        let bad = checks.filter(|check| {
            let verdict = text(check, "verdict");
            let here = text(check, "path") == ".";
            let emulated = text(check, "id") == "accelerator";
            ["degraded", "broken"].contains(&verdict.as_str()) && !here && !emulated
        });
        bad.inspect(|check| assert!(check["mend"].is_string(), "{check}"))
            .map(|check| (text(check, "path"), text(check, "id")))
            .collect()
    }

    /// Makes a fault, which the doctor names and nothing else, and mends it.
    #[track_caller]
    fn ails(&self, make: impl Fn(), mend: impl Fn(), expected: &[(&str, &str)]) {
        make();
        let alarms = self.alarms();
        let alarms: Vec<_> = alarms
            .iter()
            .map(|(p, i)| (p.as_str(), i.as_str()))
            .collect();
        assert_eq!(alarms, expected);
        mend();
    }
}

/// Leaves 24 MiB.
const USE_UP_MEMORY: &str = "
set -e
mount -t tmpfs -o size=100% none /mnt
left=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
head -c $((left - 24))M /dev/zero >/mnt/fill
";

#[test]
fn every_fault_is_named_and_a_good_lab_raises_no_alarm() {
    nested_story(is_named);
}

fn is_named(world: &World) {
    let folder = world.lab("ill", LAB);
    let lab = Lab {
        world,
        folder: &folder,
    };
    lab.run(&["up"]).ok();
    assert_eq!(lab.alarms(), []);
    let lab = &lab;
    let line = |node: &'static str, line: &'static str| {
        move || {
            lab.inside(node, line);
        }
    };
    lab.ails(
        line("box", "mv /dev/kvm /dev/kvm.off"),
        line("box", "mv /dev/kvm.off /dev/kvm"),
        &[("box", "virtualisation.device")],
    );
    lab.ails(
        line("box", "mv /dev/net/tun /dev/net/off"),
        line("box", "mv /dev/net/off /dev/net/tun"),
        &[("box", "kernel.tun")],
    );
    lab.ails(
        line(
            "box",
            "cp /etc/hosts /run/hosts; echo 10.9.9.9 pal >/etc/hosts",
        ),
        line("box", "cp /run/hosts /etc/hosts"),
        &[("box", "network.names")],
    );
    lab.ails(
        line(
            "pal",
            "cp /etc/resolv.conf /run/; echo nameserver 192.0.2.1 >/etc/resolv.conf",
        ),
        line("pal", "cp /run/resolv.conf /etc/resolv.conf"),
        &[("pal", "network.resolver")],
    );
    lab.ails(
        line("box/inner", "date -s @$(($(date +%s) + 3600))"),
        // As the doctor says.
        || {
            ["pause", "resume"]
                .iter()
                .for_each(|verb| drop(lab.run(&[verb]).ok()))
        },
        &[("box/inner", "clock")],
    );
    let fill = format!("fallocate -l $(($(stat -f -c '%a * %S' /) - {LITTLE})) /fill");
    lab.ails(
        || drop(lab.inside("pal", &fill)),
        line("pal", "rm /fill"),
        &[("pal", "room.disk")],
    );
    // A bridge drops what is too large for the card behind, and tells nobody.
    let mtu = |bytes: u32| {
        lab.net(&format!(
            "for card in $(ip -o link show type tun | cut -d: -f2); do \
             ip link set dev $card mtu {bytes}; done"
        ));
    };
    let before: u32 = lab
        .inside("pal", "cat /sys/class/net/e*/mtu")
        .parse()
        .unwrap();
    lab.ails(
        || mtu(1000),
        || mtu(before),
        &[
            ("box", "network.packets.pal"),
            ("pal", "network.packets.box"),
        ],
    );
    lab.ails(
        || drop(lab.inside("pal", USE_UP_MEMORY)),
        line("pal", "umount /mnt"),
        &[("pal", "room.memory")],
    );
    lab.ails(
        line("box", "sed 's/ svm / /' /proc/cpuinfo >/run/cpuinfo && mount --bind /run/cpuinfo /proc/cpuinfo"),
        line("box", "umount /proc/cpuinfo"),
        &[("box", "virtualisation.flag")],
    );
    let nested = |on: u8| {
        let modprobe = "/run/nestlab/kit/tools/modprobe";
        let load = format!("{modprobe} -r kvm_amd && {modprobe} kvm_amd nested={on}");
        lab.run(&["halt", "box/inner"]).ok();
        lab.inside("box", &load);
    };
    lab.ails(
        || nested(0),
        || nested(1),
        &[("box", "virtualisation.nested")],
    );
    lab.run(&["up"]).ok();
    // What mends without losing anything is mended on request.
    let lost = "ip route replace default via $(ip -4 route show default | awk '{ print $3 }' | sed 's/[0-9]*$/99/')";
    let mend = || drop(lab.run(&["doctor", "ill", "pal", "--quick", "--fix", "--yes"]));
    lab.ails(line("pal", lost), mend, &[("pal", "network.gateway")]);
    lab.ails(
        line("pal", "echo nameserver 192.0.2.1 >/etc/resolv.conf"),
        mend,
        &[("pal", "network.resolver")],
    );
    reaches_not(lab);
    let halt = || drop(lab.run(&["halt", "pal"]).ok());
    let up = || drop(lab.run(&["up"]).ok());
    lab.ails(halt, up, &[("box", "network.packets.pal")]);
    assert_eq!(lab.alarms(), []);

    lab.run(&["doctor", "ill", "nobody"]).exits_with(3);
    lab.run(&["doctor", "nothing"]).exits_with(3);
    lab.run(&["destroy", "--yes"]).ok();
    world.is_empty();
}

/// A place at which nobody listens.
fn reaches_not(lab: &Lab<'_>) {
    let verdicts = |place: &str| {
        let args = [
            "doctor", "ill", "box", "--quick", "--json", "--reach", place,
        ];
        let found = lab.run(&args).json();
        let checks = found["checks"].as_array().expect("a list").clone();
        let of_reach = checks
            .into_iter()
            .filter(|check| check["id"] == "network.reach");
        of_reach
            .map(|check| check["verdict"].clone())
            .collect::<Vec<_>>()
    };
    // What stands inside does not know the name, and nobody listens.
    assert_eq!(verdicts("pal:1"), ["broken"; 2]);
}

#[test]
fn what_a_lab_left_behind_is_found_and_removed() {
    let world = World::new();
    let folder = world.lab(
        "gone",
        "name: gone\nnodes:\n  pal: { image: debian, memory: 128MiB }\n",
    );
    world.run(&folder, &["up"]).ok();
    let labs = world.run(&folder, &["ls", "--json"]).ok().json();
    let id = labs["labs"][0]["id"].as_str().expect("an id").to_owned();
    // What others left on this machine may be found as well.
    let is_found = || {
        let found = world.run(&folder, &["doctor", "--orphans", "--json"]);
        found.stdout.contains(&id)
    };
    assert!(!is_found());
    std::fs::remove_file(world.lab_folder(&id).join("lab.json")).unwrap();

    let quick = world.run(&folder, &["doctor", "--quick", "--json"]).json();
    let checks = quick["checks"].as_array().expect("a list");
    let leftovers = checks.iter().find(|check| check["id"] == "leftovers");
    assert_eq!(leftovers.unwrap()["verdict"], "degraded");
    assert!(is_found());
    world.run(&folder, &["doctor", "--orphans"]).exits_with(1);
    world.run(&folder, &["doctor", "--orphans", "--yes"]).ok();
    assert!(!is_found());
    world.is_empty();
}

#[test]
fn how_deep_it_goes_is_tried() {
    nested_story(goes_two_deep);
}

fn goes_two_deep(world: &World) {
    let folder = world.lab("none", "name: none\nnodes: {}\n");
    let found = world
        .run(&folder, &["doctor", "--depth", "2", "--quick", "--json"])
        .json();
    let checks = found["checks"].as_array().expect("a list");
    let of = |path: &str, id: &str| {
        let mut found = checks.iter().filter(|check| check["path"] == path);
        found
            .find(|check| check["id"] == id)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(of(".", "chain")["verdict"], "ok", "{found}");
    let inner = of("level-1/level-2", "accelerator");
    assert!(
        inner["found"]
            .as_str()
            .is_some_and(|text| text.contains("KVM")),
        "{inner}"
    );
    world.is_empty();
}
