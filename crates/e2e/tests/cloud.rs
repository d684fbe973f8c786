//! A stock cloud image: a disk with partitions, whose machines are told by cloud-init what
//! they are. One is made here, since none can be fetched.

use gptman::{GPT, GPTPartitionEntry};
use nestlab_e2e::{UserKey, World, nested_story, output_of};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const MADE: &str = "
name: made
images:
  cloud-root:
    recipe:
      suite: bookworm
      packages: [systemd-sysv, dbus, udev, netplan.io, cloud-init, cloud-guest-utils, fdisk, openssh-server, sudo]
nodes:
  any: { image: cloud-root }
";

const MEBIBYTE: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// 0fc63daf-8483-4772-8e79-3d69d8477de4, a file system of Linux.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// A disk with a table of one partition (GPT), compressed, as publishers have them.
fn publish(world: &World, folder: &Path) -> PathBuf {
    let lab = world.lab("made", MADE);
    world.run(&lab, &["image", "build"]).ok();
    let images = world.run(&lab, &["image", "ls", "--json"]).json();
    let images = images["images"].as_array().unwrap().iter();
    let mut made = images.filter(|image| image["name"] == "cloud-root");
    let system = PathBuf::from(made.next().unwrap()["file"].as_str().unwrap());
    let disk = folder.join("cloud.raw");
    let bytes = std::fs::metadata(&system).unwrap().len();
    output_of(
        Command::new("dd")
            .args(["bs=1M", "seek=1", "conv=sparse,notrunc", "status=none"])
            .arg(format!("if={}", system.display()))
            .arg(format!("of={}", disk.display())),
    );
    let mut file = File::options().read(true).write(true).open(&disk).unwrap();
    file.set_len(bytes + 2 * MEBIBYTE).unwrap();
    let mut table = GPT::new_from(&mut file, SECTOR, [1; 16]).unwrap();
    table[1] = GPTPartitionEntry {
        partition_type_guid: LINUX,
        unique_partition_guid: [2; 16],
        starting_lba: MEBIBYTE / SECTOR,
        ending_lba: (MEBIBYTE + bytes) / SECTOR - 1,
        attribute_bits: 0,
        partition_name: "root".into(),
    };
    table.write_into(&mut file).unwrap();
    GPT::write_protective_mbr_into(&mut file, SECTOR).unwrap();
    let image = folder.join("cloud.qcow2");
    output_of(
        Command::new("qemu-img")
            .args(["convert", "-c", "-O", "qcow2"])
            .args([&disk, &image]),
    );
    std::fs::remove_file(disk).unwrap();
    image
}

#[test]
fn a_stock_cloud_image_boots_grows_and_takes_keys() {
    nested_story(a_cloud_image_lives);
}

fn a_cloud_image_lives(world: &World) {
    let key = UserKey::new(world);
    let image = publish(world, world.path());
    let text = format!(
        "name: stock\nimages: {{ cloud: {{ path: {} }} }}\nnodes:\n  box:\n    image: cloud\n    \
         memory: 768MiB\n    disk: 5GiB\n    ports: ['127.0.0.1:28122:22']\n    cloud_init:\n      content: |\n        \
         #cloud-config\n        locale: C.UTF-8\n        write_files: [{{ path: /etc/told, content: by the user }}]\n        \
         runcmd: ['echo ran > /root/ran']\n",
        image.display()
    );
    let lab = world.lab("stock", &text);
    world.run(&lab, &["up"]).ok();
    assert_eq!(
        world.inside(&lab, "box", "hostname; cat /etc/told /root/ran"),
        "box\nby the userran"
    );
    let room = || {
        let df = "df --output=size -BM / | tail -1 | tr -dc 0-9";
        let room = world.inside(&lab, "box", df);
        room.parse::<u32>().unwrap()
    };
    assert!((4500..5200).contains(&room()), "{} MiB", room());
    world.run(&lab, &["resize", "box", "--disk", "+1G"]).ok();
    assert!(room() > 5500, "{} MiB", room());

    // Plain OpenSSH, with the user's own key, as the image's own user.
    let ssh = |command: &str| key.ssh(28122, command);
    assert_eq!(ssh("id -un; sudo -n id -un"), "debian\nroot");

    // The next boot is told the same, and does nothing anew.
    world.inside(&lab, "box", "rm /root/ran; echo mine >/etc/told");
    world.run(&lab, &["halt"]).ok();
    world.run(&lab, &["up"]).ok();
    let look = "test ! -e /root/ran; cat /etc/told";
    assert_eq!(world.inside(&lab, "box", look), "mine");
    assert_eq!(ssh("hostname"), "box");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
