//! What is on a disk image, as far as it decides what can start it: partitions, the
//! file systems in them, a boot loader. The image is only read, and a hostile one can at
//! most make us read a few megabytes of it.

use crate::qcow2::Reader;
use crate::{ImageError, ImageFormat};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SECTOR: u64 = 512;

/// The most partitions that are looked into. A table of GUIDs has 128 places.
const MAX_PARTITIONS: u32 = 128;

/// c12a7328-f81f-11d2-ba4b-00a0c93ec93b, where UEFI looks for boot loaders.
const EFI: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// The same in a table of the IBM PC.
const EFI_BYTE: u8 = 0xef;

/// What is on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// An ext4 on all of the disk, or in the largest partition, which is taken for the root: the
    /// smaller of two may be a `/boot`.
    pub ext4: bool,
    /// A program in the first sector, with which a BIOS begins.
    pub boot_code: bool,
    /// A partition in which UEFI looks for boot loaders.
    pub efi: bool,
}

impl Layout {
    /// Looks into an image.
    ///
    /// # Errors
    /// The file cannot be read, or is not of that format.
    pub fn of(path: &Path, format: ImageFormat) -> Result<Self, ImageError> {
        let cannot = || ImageError::io(format!("read {}", path.display()));
        let file = File::open(path).map_err(cannot())?;
        match format {
            ImageFormat::Raw => look(&|at, buffer| file.read_exact_at(buffer, at)),
            ImageFormat::Qcow2 => {
                let reader = Reader::open(file)?;
                look(&|at, buffer| reader.read_exact_at(buffer, at))
            }
        }
        .map_err(cannot())
    }
}

/// Reads bytes of the disk at an offset.
type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> io::Result<()>;

/// A part of the disk, in bytes.
#[derive(Debug, Clone, Copy)]
struct Partition {
    begin: u64,
    length: u64,
    /// Whether UEFI looks in it.
    efi: bool,
}

fn look(read: Read<'_>) -> io::Result<Layout> {
    let mut first = [0; SECTOR as usize];
    read(0, &mut first)?;
    let has_table = first[510..] == [0x55, 0xaa];
    let partitions = match has_table {
        true => partitions(read, &first)?,
        false => Vec::new(),
    };
    let largest = partitions.iter().max_by_key(|partition| partition.length);
    let root = largest.map_or(0, |partition| partition.begin);
    Ok(Layout {
        ext4: is_ext4(read, 0) || is_ext4(read, root),
        boot_code: has_table && first[..440].iter().any(|byte| *byte != 0),
        efi: partitions.iter().any(|partition| partition.efi),
    })
}

/// By the magic number of its superblock, as the init does.
fn is_ext4(read: Read<'_>, at: u64) -> bool {
    let mut magic = [0; 2];
    let found = at.checked_add(1024 + 56).map(|at| read(at, &mut magic));
    matches!(found, Some(Ok(()))) && magic == [0x53, 0xef]
}

/// A table of the IBM PC that has one entry of type 0xee stands for one of GUIDs.
fn partitions(read: Read<'_>, first: &[u8]) -> io::Result<Vec<Partition>> {
    let entries: Vec<_> = first[446..510].chunks(16).collect();
    if entries.iter().any(|entry| entry[4] == 0xee) {
        return guid_partitions(read);
    }
    let used = entries.into_iter().filter(|entry| entry[4] != 0);
    let partition = |entry: &[u8]| Partition {
        begin: u64::from(word(entry, 8)) * SECTOR,
        length: u64::from(word(entry, 12)) * SECTOR,
        efi: entry[4] == EFI_BYTE,
    };
    Ok(used.map(partition).collect())
}

/// UEFI's specification, 5.3.
fn guid_partitions(read: Read<'_>) -> io::Result<Vec<Partition>> {
    let mut header = [0; 92];
    read(SECTOR, &mut header)?;
    let (table, size) = (long(&header, 72), u64::from(word(&header, 84)));
    let count = word(&header, 80).min(MAX_PARTITIONS);
    if &header[..8] != b"EFI PART" || size < 128 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for number in 0..u64::from(count) {
        let at = number * size;
        let Some(at) = table
            .checked_mul(SECTOR)
            .and_then(|table| table.checked_add(at))
        else {
            break;
        };
        let mut entry = [0; 48];
        read(at, &mut entry)?;
        if entry[..16] != [0; 16] {
            // The last of its sectors is told, and not how many there are.
            let (first, last) = (long(&entry, 32), long(&entry, 40));
            found.push(Partition {
                begin: first.saturating_mul(SECTOR),
                length: last.saturating_sub(first).saturating_mul(SECTOR),
                efi: entry[..16] == EFI,
            });
        }
    }
    Ok(found)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// A disk with a table of GUIDs: a type for each partition, a mebibyte apart, each larger
    /// than the one before.
    fn disk(types: &[[u8; 16]]) -> Vec<u8> {
        let mut disk = vec![0; MIB * (types.len() + 2)];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[446 + 4] = 0xee;
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[512 + 72] = 2;
        disk[512 + 80] = 128;
        disk[512 + 84] = 128;
        for (number, kind) in types.iter().enumerate() {
            let entry = 1024 + number * 128;
            disk[entry..entry + 16].copy_from_slice(kind);
            let begin = ((number + 1) * MIB) as u64 / SECTOR;
            disk[entry + 32..entry + 40].copy_from_slice(&begin.to_le_bytes());
            let end = begin + 100 * (number as u64 + 1);
            disk[entry + 40..entry + 48].copy_from_slice(&end.to_le_bytes());
        }
        disk
    }

    fn with_ext4(mut disk: Vec<u8>, at: usize) -> Vec<u8> {
        disk[at + 1080..at + 1082].copy_from_slice(&[0x53, 0xef]);
        disk
    }

    fn found(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("disk.raw");
        std::fs::write(&raw, bytes).unwrap();
        let layout = Layout::of(&raw, ImageFormat::Raw).unwrap();
        for compression in ["zlib", "zstd"] {
            let qcow2 = folder.path().join("disk.qcow2");
            let made = std::process::Command::new("qemu-img")
                .args(["convert", "-c", "-O", "qcow2", "-o"])
                .arg(format!("compression_type={compression}"))
                .args([&raw, &qcow2])
                .status();
            let Ok(made) = made else {
                eprintln!("SKIPPED: qemu-img is not installed");
                continue;
            };
            assert!(made.success());
            let again = Layout::of(&qcow2, ImageFormat::Qcow2);
            match again {
                Err(ImageError::Io { source, .. }) if compression == "zstd" => {
                    assert!(source.to_string().contains("compressed"), "{source}");
                }
                again => assert_eq!(again.unwrap(), layout),
            }
        }
        let words = [
            (layout.ext4, "ext4"),
            (layout.boot_code, "boot code"),
            (layout.efi, "efi"),
        ];
        let words = words
            .iter()
            .filter(|(there, _)| *there)
            .map(|(_, word)| *word);
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_disk_tells_what_can_start_it() {
        let linux = [1; 16];
        let mut pc = disk(&[]);
        pc[446 + 4] = EFI_BYTE;
        pc[0] = 0xeb;
        assert_eq!(found(&vec![0; MIB]), "");
        assert_eq!(found(&with_ext4(vec![0; MIB], 0)), "ext4");
        assert_eq!(found(&disk(&[linux, EFI])), "efi");
        assert_eq!(found(&with_ext4(disk(&[EFI, linux]), 2 * MIB)), "ext4, efi");
        assert_eq!(found(&pc), "boot code, efi");
        // As Fedora has it: the root, which is another, comes after a `/boot`.
        let with_boot = with_ext4(disk(&[EFI, linux, linux]), 2 * MIB);
        assert_eq!(found(&with_boot), "efi");
    }

    #[test]
    fn a_table_that_lies_is_no_end() {
        let mut far = disk(&[[1; 16]]);
        far[512 + 72..512 + 80].copy_from_slice(&[0xff; 8]);
        assert_eq!(found(&far), "");
        let mut begins_nowhere = disk(&[[1; 16]]);
        begins_nowhere[1024 + 32..1024 + 40].copy_from_slice(&[0xff; 8]);
        assert_eq!(found(&begins_nowhere), "");
    }
}
