//! A stock cloud image as its publisher means it: fetched and verified, started by a
//! firmware with its own boot loader and kernel, told by cloud-init who it is, reached by
//! plain OpenSSH.

use nestlab_e2e::{Publisher, UserKey, World, nested_story, output_of, skip, stock_image};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What OVMF comes as on Debian.
const OVMF: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";

const LAB: &str = r#"
name: stock
images:
  cloud: { url: 'URL', checksums: 'SUMS' }
nodes:
  bios:
    image: cloud
    memory: 768MiB
    disk: 4GiB
    ports: ['127.0.0.1:28222:22']
    cloud_init:
      content: |
        #cloud-config
        write_files: [{ path: /etc/told, content: by the user }]
        runcmd: ['echo ran > /root/ran']
"#;

const UEFI: &str = "  uefi: { image: cloud, firmware: uefi, memory: 768MiB }\n";

/// Publishes the image beside its checksums.
fn publish(world: &World) -> PathBuf {
    let folder = world.path().join("published");
    std::fs::create_dir_all(&folder).unwrap();
    let image = folder.join("cloud.qcow2");
    std::os::unix::fs::symlink(stock_image(world), image).unwrap();
    let sums = output_of(
        Command::new("sha256sum")
            .current_dir(&folder)
            .arg("cloud.qcow2"),
    );
    std::fs::write(folder.join("sha256sums"), format!("{sums}\n")).unwrap();
    folder
}

#[test]
fn a_stock_image_is_started_by_a_firmware() {
    for program in ["ssh", "btrfs-convert"] {
        if Command::new(program).arg("-V").output().is_err() {
            let test = "a_stock_image_is_started_by_a_firmware";
            return skip(test, &format!("there is no `{program}`"));
        }
    }
    if !Path::new(OVMF).exists() {
        skip("its UEFI part", "there is no OVMF (`apt install ovmf`)");
    }
    nested_story(a_stock_image_lives);
}

fn a_stock_image_lives(world: &World) {
    let has_uefi = Path::new(OVMF).exists();
    let folder = publish(world);
    let publisher = Publisher::of(&folder);
    let key = UserKey::new(world);
    let text = LAB
        .replace("URL", &publisher.url("cloud.qcow2"))
        .replace("SUMS", &publisher.url("sha256sums"));
    let lab = world.lab(
        "stock",
        &format!("{text}{}", if has_uefi { UEFI } else { "" }),
    );

    // What is not what its publisher says is refused; a line that breaks is no matter.
    let sums = std::fs::read_to_string(folder.join("sha256sums")).unwrap();
    let other = if sums.starts_with('0') { "1" } else { "0" };
    let wrong = format!("{other}{}", &sums[1..]);
    std::fs::write(folder.join("sha256sums"), wrong).unwrap();
    publisher.cut_after(100 << 20);
    world.run(&lab, &["image", "pull"]).exits_with(1);
    publisher.cut_after(0);
    let refused = world.run(&lab, &["image", "pull"]).exits_with(1);
    refused.complains("has the checksum");
    let asked = publisher.asked();
    assert!(
        asked.contains(&format!("cloud.qcow2 from {}", 100 << 20)),
        "{asked:?}"
    );
    std::fs::remove_file(lab.join("nestlab.lock")).unwrap();
    std::fs::write(folder.join("sha256sums"), sums).unwrap();

    // Its own kernel boots, cloud-init does what platform and user want, and says so.
    let up = world.run(&lab, &["up"]).ok();
    up.complains("cloud-init");
    let own_kernel = "grep -o 'BOOT_IMAGE=[^ ]*' /proc/cmdline";
    for node in ["bios", "uefi"].iter().take(1 + usize::from(has_uefi)) {
        let booted = world.inside(&lab, node, own_kernel);
        assert_eq!(booted, "BOOT_IMAGE=/vmlinuz", "{node}");
        let init = world.inside(&lab, node, "cat /proc/1/comm; hostname");
        assert_eq!(init, format!("systemd\n{node}"));
    }
    if has_uefi {
        world.inside(&lab, "uefi", "test -d /sys/firmware/efi");
        world.inside(&lab, "uefi", "echo memory >/run/here");
        world.run(&lab, &["fork", "--name", "copy"]).ok();
        let there = ["-l", "copy", "exec", "uefi", "--", "cat", "/run/here"];
        world.run(&lab, &there).ok().says("memory");
        world.run(&lab, &["-l", "copy", "destroy", "--yes"]).ok();
        world.run(&lab, &["destroy", "uefi", "--yes"]).ok();
    }
    let told = world.inside(&lab, "bios", "cat /etc/told /root/ran");
    assert_eq!(told, "by the userran");
    assert_eq!(key.ssh(28222, "id -un; sudo -n id -un"), "debian\nroot");

    // It has grown, and grows.
    let room = || {
        let df = "df --output=size -BM / | tail -1 | tr -dc 0-9";
        world.inside(&lab, "bios", df).parse::<u32>().unwrap()
    };
    assert!((3500..4200).contains(&room()), "{} MiB", room());
    world.run(&lab, &["resize", "bios", "--disk", "+1G"]).ok();
    assert!(room() > 4500, "{} MiB", room());

    // Where no agent answers any more, the power button ends it in order.
    // It ends a moment later: what says so here has its way through the agent.
    let stop = "rm /root/ran; systemd-run --on-active=1 systemctl stop nestlab-agent";
    world.inside(&lab, "bios", stop);
    std::thread::sleep(Duration::from_secs(10));
    let halted = world.run(&lab, &["halt", "bios"]).ok();
    assert!(
        !halted.stderr.contains("pulling the plug"),
        "{}",
        halted.stderr
    );

    // The next boot needs no cloud-init to have the agent, and does nothing anew.
    world.run(&lab, &["up", "bios"]).ok();
    let look = "test ! -e /root/ran; systemctl is-enabled nestlab-agent; dmesg | grep -c 'recovery complete' || true";
    assert_eq!(world.inside(&lab, "bios", look), "enabled\n0");
    assert_eq!(key.ssh(28222, "hostname"), "bios");
    let halted = world.run(&lab, &["halt"]).ok();
    assert!(
        !halted.stderr.contains("pulling the plug"),
        "{}",
        halted.stderr
    );
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_disk_without_a_boot_loader_is_told() {
    let world = World::new();
    let empty = world.path().join("empty.raw");
    File::create(&empty).unwrap().set_len(8 << 20).unwrap();
    let text = format!(
        "name: empty\nimages: {{ empty: {{ path: {} }} }}\nnodes:\n  vm: {{ image: empty, firmware: bios }}\n",
        empty.display()
    );
    let lab = world.lab("empty", &text);
    let up = world.run(&lab, &["up"]).exits_with(1);
    let up = up.complains("its BIOS finds no boot loader on its disk");
    let up = up.complains("No bootable device");
    // Its BIOS says so again every minute; the agent would be waited for much longer.
    assert!(up.took.as_secs() < 180, "{:?}", up.took);
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}
