//! A stock cloud image: a disk with partitions, whose machines are told by cloud-init what
//! they are. One is made here, since none can be fetched.

use nestlab_e2e::{World, nested_story};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const MADE: &str = "
name: made
images:
  cloud:
    recipe:
      suite: bookworm
      packages: [systemd-sysv, dbus, udev, netplan.io, cloud-init, cloud-guest-utils, fdisk, openssh-server, sudo]
nodes:
  any: { image: cloud }
";

const MEBIBYTE: u64 = 1 << 20;

/// A disk with a table of one partition (MBR), compressed, as publishers have them.
fn publish(world: &World, folder: &Path) -> PathBuf {
    let lab = world.lab("made", MADE);
    world.run(&lab, &["image", "build"]).ok();
    let images = world.run(&lab, &["image", "ls", "--json"]).json();
    let images = images["images"].as_array().unwrap().iter();
    let mut made = images.filter(|image| image["name"] == "cloud");
    let system = PathBuf::from(made.next().unwrap()["file"].as_str().unwrap());
    let disk = folder.join("cloud.raw");
    let bytes = std::fs::metadata(&system).unwrap().len();
    run(Command::new("dd")
        .args(["bs=1M", "seek=1", "conv=sparse,notrunc", "status=none"])
        .arg(format!("if={}", system.display()))
        .arg(format!("of={}", disk.display())));
    let mut file = File::options().write(true).open(&disk).unwrap();
    file.set_len(bytes + 2 * MEBIBYTE).unwrap();
    let mut table = [0; 16 + 48 + 2];
    table[4] = 0x83;
    table[8..12].copy_from_slice(&((MEBIBYTE / 512) as u32).to_le_bytes());
    table[12..16].copy_from_slice(&((bytes / 512) as u32).to_le_bytes());
    table[64..].copy_from_slice(&[0x55, 0xaa]);
    file.seek(SeekFrom::Start(446)).unwrap();
    file.write_all(&table).unwrap();
    let image = folder.join("cloud.qcow2");
    run(Command::new("qemu-img")
        .args(["convert", "-c", "-O", "qcow2"])
        .args([&disk, &image]));
    std::fs::remove_file(disk).unwrap();
    image
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_stock_cloud_image_boots_grows_and_takes_keys() {
    nested_story(a_cloud_image_lives);
}

fn a_cloud_image_lives(world: &World) {
    let keys = world.path().join(".ssh");
    std::fs::create_dir_all(&keys).unwrap();
    let key = keys.join("id_ed25519");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key));
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
    let size = world.inside(&lab, "box", "df --output=size -BM / | tail -1 | tr -dc 0-9");
    assert!(size.parse::<u32>().unwrap() > 4500, "{size} MiB");

    // Plain OpenSSH, with the user's own key, as the image's own user.
    let ssh = |command: &str| {
        run(Command::new("ssh")
            .args(["-F", "none", "-p", "28122", "-o", "BatchMode=yes"])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .arg("-i")
            .arg(&key)
            .args(["debian@127.0.0.1", command]))
    };
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
