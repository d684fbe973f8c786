//! A cloud image as publishers make them, made here, since none can be fetched: Debian with
//! its own kernel, initramfs and boot loader, systemd, cloud-init and an ssh server, on a
//! disk that BIOS and UEFI start alike. Its root is a btrfs, as Fedora's is, which the kit's
//! kernel does not mount.
//!
//! ```text
//! sector 0      GRUB's first sector, and the table
//! 1 MiB   14    GRUB itself, for BIOS
//! 2 MiB   15    a FAT with GRUB, for UEFI
//! 8 MiB   1     the root
//! ```
//!
//! Boot loaders are installed by hand, by what GRUB's own `grub-bios-setup` writes: that
//! wants a block device, and so root.

use crate::World;
use crate::run::output_of;
use gptman::{GPT, GPTPartitionEntry};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const MADE: &str = r#"
name: stock-root
images:
  stock:
    recipe:
      suite: bookworm
      packages: [systemd-sysv, dbus, udev, netplan.io, cloud-init, cloud-guest-utils, fdisk, openssh-server, sudo,
                 linux-image-cloud-amd64, zstd, grub-common, grub-pc-bin, grub-efi-amd64-bin, mtools, dosfstools,
                 btrfs-progs]
      files:
        - target: /etc/fstab
          content: "PARTUUID=02020202-0202-0202-0202-020202020202 / btrfs defaults 0 0\n"
        - target: /etc/cloud/cloud.cfg.d/10_locale.cfg
          content: "locale: C.UTF-8\n"
        - target: /boot/grub/grub.cfg
          content: |
            linux /vmlinuz root=PARTUUID=02020202-0202-0202-0202-020202020202 ro console=tty0 console=ttyS0,115200
            initrd /initrd.img
            boot
        - target: /boot/loader/early.cfg
          content: |
            search --no-floppy --file --set=root /boot/grub/grub.cfg
            set prefix=($root)/boot/grub
            configfile $prefix/grub.cfg
      commands:
        - |
          cd /boot/loader
          modules="part_gpt btrfs fat search search_fs_file linux boot normal configfile test"
          grub-mkimage -O i386-pc -c early.cfg -p /boot/grub -o core.img biosdisk $modules
          cp /usr/lib/grub/i386-pc/boot.img .
          grub-mkimage -O x86_64-efi -c early.cfg -p /boot/grub -o BOOTX64.EFI $modules
          mkfs.vfat -C esp.img 4096
          mmd -i esp.img ::EFI ::EFI/BOOT
          mcopy -i esp.img BOOTX64.EFI ::EFI/BOOT/
nodes:
  any: { image: stock }
"#;

const MEBIBYTE: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// Where the parts are, in bytes.
const LOADER: u64 = MEBIBYTE;
const ESP: u64 = 2 * MEBIBYTE;
const ROOT: u64 = 8 * MEBIBYTE;

/// 0fc63daf-8483-4772-8e79-3d69d8477de4, a file system of Linux.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// `Hah!IdontNeedEFI`, a boot loader's own.
const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";

/// c12a7328-f81f-11d2-ba4b-00a0c93ec93b, where UEFI looks.
const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// The image, compressed as publishers have it. It is made once for each state of the recipe.
pub fn stock_image(world: &World) -> PathBuf {
    let lab = world.lab("stock-root", MADE);
    world.run(&lab, &["image", "build"]).ok();
    let images = world.run(&lab, &["image", "ls", "--json"]).json();
    let images = images["images"].as_array().unwrap().iter();
    let mut made = images.filter(|image| image["name"] == "stock");
    let root = PathBuf::from(made.next().unwrap()["file"].as_str().unwrap());
    let built = std::fs::metadata(&root).unwrap().modified().unwrap();
    let built = built
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/e2e-images");
    std::fs::create_dir_all(&folder).unwrap();
    let image = folder.join(format!("stock-{built}.qcow2"));
    if !image.exists() {
        let disk = world.path().join("stock.raw");
        assemble(&root, &disk, world.path());
        let new = image.with_extension("new");
        output_of(
            Command::new("qemu-img")
                .args(["convert", "-c", "-O", "qcow2"])
                .args([&disk, &new]),
        );
        std::fs::remove_file(disk).unwrap();
        std::fs::rename(new, &image).unwrap();
    }
    image
}

fn assemble(root: &Path, disk: &Path, scratch: &Path) {
    let bytes = std::fs::metadata(root).unwrap().len();
    let converted = scratch.join("root.btrfs");
    output_of(
        Command::new("cp")
            .arg("--sparse=always")
            .args([root, &converted]),
    );
    output_of(
        Command::new("btrfs-convert")
            .args(["--no-progress"])
            .arg(&converted),
    );
    output_of(
        Command::new("dd")
            .args(["bs=1M", "seek=8", "conv=sparse,notrunc", "status=none"])
            .arg(format!("if={}", converted.display()))
            .arg(format!("of={}", disk.display())),
    );
    std::fs::remove_file(converted).unwrap();
    let mut file = File::options().read(true).write(true).open(disk).unwrap();
    file.set_len(ROOT + bytes + MEBIBYTE).unwrap();
    let part = |name: &str| {
        let to = scratch.join(name);
        let dump = format!("dump /boot/loader/{name} {}", to.display());
        output_of(Command::new("debugfs").args(["-R", &dump]).arg(root));
        std::fs::read(to).unwrap()
    };
    let mut table = GPT::new_from(&mut file, SECTOR, [1; 16]).unwrap();
    for (number, kind, begin, length, name) in [
        (1, LINUX, ROOT, bytes, "root"),
        (14, BIOS_BOOT, LOADER, ESP - LOADER, "loader"),
        (15, EFI_SYSTEM, ESP, 4 * MEBIBYTE, "efi"),
    ] {
        table[number] = GPTPartitionEntry {
            partition_type_guid: kind,
            unique_partition_guid: [number as u8 + 1; 16],
            starting_lba: begin / SECTOR,
            ending_lba: (begin + length) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: name.into(),
        };
    }
    table.write_into(&mut file).unwrap();
    GPT::write_protective_mbr_into(&mut file, SECTOR).unwrap();
    let mut put = |at: u64, bytes: &[u8]| {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    };
    put(0, &first_sector(&part("boot.img")));
    put(LOADER, &loader(part("core.img")));
    put(ESP, &part("esp.img"));
}

/// GRUB's first sector without its table: where it finds the rest (`kernel_sector`), and no
/// doubt of the disk that the BIOS names (`drive_check`).
fn first_sector(image: &[u8]) -> Vec<u8> {
    let mut sector = image[..440].to_vec();
    sector[0x5c..0x64].copy_from_slice(&(LOADER / SECTOR).to_le_bytes());
    sector[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
    sector
}

/// GRUB's image, whose first sector is told where the others are: the last entry of its list
/// of blocks, with the segment that they are loaded to.
fn loader(mut image: Vec<u8>) -> Vec<u8> {
    image.resize(image.len().next_multiple_of(SECTOR as usize), 0);
    let others = image.len() as u64 / SECTOR - 1;
    image[0x1f4..0x1fc].copy_from_slice(&(LOADER / SECTOR + 1).to_le_bytes());
    image[0x1fc..0x1fe].copy_from_slice(&(others as u16).to_le_bytes());
    image[0x1fe..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    image
}
