//! Disks by their serials, and the growth of the root.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a disk may take to appear.
const DEADLINE: Duration = Duration::from_secs(20);

/// Less than this many bytes behind the file system are left unused.
const WORTH_GROWING: u64 = 16 << 20;

/// Waits for the disk whose serial a predicate takes.
pub fn wait_for(matches: impl Fn(&str) -> bool) -> io::Result<PathBuf> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(device) = find(&matches) {
            return Ok(device);
        }
        if start.elapsed() > DEADLINE {
            let have: Vec<String> = serials().into_iter().map(|(_, serial)| serial).collect();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("a disk is missing; there are {have:?}"),
            ));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn find(matches: &impl Fn(&str) -> bool) -> Option<PathBuf> {
    serials()
        .into_iter()
        .find(|(_, serial)| matches(serial))
        .map(|(device, _)| device)
}

fn serials() -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let serial = std::fs::read_to_string(entry.path().join("serial")).ok()?;
            Some((
                Path::new("/dev").join(entry.file_name()),
                serial.trim().to_owned(),
            ))
        })
        .collect()
}

/// The device with the root file system: the whole disk or, of one with partitions, the
/// largest of those that hold an ext4. Others are what a firmware reads, or `/boot`.
pub fn root_of(disk: PathBuf) -> io::Result<PathBuf> {
    if is_ext4(&disk) {
        return Ok(disk);
    }
    let systems = partitions(&disk).filter(|partition| is_ext4(partition));
    let largest = systems.max_by_key(|partition| disk_bytes(partition).unwrap_or(0));
    largest.ok_or_else(|| {
        io::Error::other("there is no ext4 file system on the root disk, nor in a partition of it")
    })
}

fn partitions(disk: &Path) -> impl Iterator<Item = PathBuf> {
    let name = disk.file_name().unwrap_or_default();
    let entries = std::fs::read_dir(Path::new("/sys/block").join(name));
    let entries = entries.into_iter().flatten().flatten();
    let partitions = entries.filter(|entry| entry.path().join("partition").exists());
    partitions.map(|entry| Path::new("/dev").join(entry.file_name()))
}

/// By the magic number of its superblock, 0xef53 at offset 56.
fn is_ext4(device: &Path) -> bool {
    let mut magic = [0; 2];
    let read = File::open(device).and_then(|mut file| {
        file.seek(SeekFrom::Start(1024 + 56))?;
        file.read_exact(&mut magic)
    });
    read.is_ok() && magic == [0x53, 0xef]
}

/// Makes the root file system as large as its disk, if it is smaller. The kernel
/// does all of it (fs/ext4/ioctl.c). A root that stays small is usable, so
/// nothing here is fatal.
pub fn grow(device: &Path) {
    let (Ok(disk), Ok(system)) = (disk_bytes(device), FileSystem::of(device)) else {
        return;
    };
    // The last block group needs some room before it is worth its own tables.
    if disk < system.bytes() + WORTH_GROWING {
        return;
    }
    let blocks = disk >> system.block_shift;
    let grown = File::open("/").and_then(|root| {
        // SAFETY: the descriptor is open, and the kernel reads one u64.
        unsafe { ext4_resize(root.as_raw_fd(), &blocks) }.map_err(io::Error::from)
    });
    if let Err(error) = grown {
        crate::say::line(&format!(
            "the root file system cannot be made larger: {error}"
        ));
    }
}

// EXT4_IOC_RESIZE_FS: takes the new number of blocks.
nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);

fn disk_bytes(device: &Path) -> io::Result<u64> {
    File::open(device)?.seek(SeekFrom::End(0))
}

/// What an ext4 superblock says of its size.
struct FileSystem {
    blocks: u64,
    block_shift: u32,
}

impl FileSystem {
    /// Blocks at the offsets 4 and 0x150, the logarithm of their size at 24 (the
    /// kernel's Documentation/filesystems/ext4/super.rst).
    fn of(device: &Path) -> io::Result<Self> {
        let mut file = File::open(device)?;
        let mut block = [0; 1024];
        file.seek(SeekFrom::Start(1024))?;
        file.read_exact(&mut block)?;
        let word = |at: usize| {
            u64::from(u32::from_le_bytes([
                block[at],
                block[at + 1],
                block[at + 2],
                block[at + 3],
            ]))
        };
        let block_shift = 10 + word(24).min(6) as u32;
        Ok(Self {
            blocks: word(4) | word(0x150) << 32,
            block_shift,
        })
    }

    fn bytes(&self) -> u64 {
        self.blocks << self.block_shift
    }
}
