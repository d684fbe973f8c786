//! What a disk that has become larger means inside: its last partition is made longer,
//! and the file system on it takes the room. Nothing is moved and nothing unmounted.
//!
//! ```text
//! disk is larger ─► table names a longer partition ─► kernel knows ─► file system grows
//! ```
//!
//! Only the last partition can be made longer: behind any other begins the next one.
//! Publishers of images put the root there for that reason.

mod system;
mod table;

use crate::guest::{Guest, Reach};
use crate::rejection::Rejection;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use nestlab_api::message::Growth;
use nestlab_sys::block::{Extent, resize_partition};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to hear that a disk has grown: the VMM only tells it.
const HEARING: Duration = Duration::from_secs(10);

/// The unit of the files below /sys/block, whatever the disk's sectors are
/// (the kernel's Documentation/ABI/stable/sysfs-block).
const SECTOR: u64 = 512;

/// Less room than this behind a partition is left alone: that is how much alignment takes.
const WORTH_IT: u64 = 1 << 20;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// The disk's serial.
    serial: String,
    /// How many bytes it has now.
    bytes: u64,
}

pub(crate) async fn grow(
    State(guest): State<Guest>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Growth>, Rejection> {
    if guest.config().reach != Reach::Machine {
        let message = "This program may not change its machine's disks";
        return Err(Rejection::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let action = format!("Cannot use all of the disk `{}`", wanted.serial);
    let work = tokio::task::spawn_blocking(move || {
        let disk = BlockDevice::with_serial(&wanted.serial)?;
        disk.wait_for(wanted.bytes)?;
        use_all_of(&disk)
    });
    let grown = work.await.map_err(io::Error::other).and_then(|done| done);
    Ok(Json(grown.map_err(Rejection::io(action))?))
}

fn use_all_of(disk: &BlockDevice) -> io::Result<Growth> {
    let device = match disk.last_partition()? {
        Some(last) => {
            lengthen(disk, last)?;
            disk.partition(last.number)
        }
        None => disk.path(),
    };
    system::grow(&device)
}

/// Makes the last partition of a disk end where the disk does.
fn lengthen(disk: &BlockDevice, last: Extent) -> io::Result<()> {
    if disk.bytes()? < last.start + last.length + WORTH_IT {
        return Ok(());
    }
    let mut file = File::options().read(true).write(true).open(disk.path())?;
    let length = table::lengthen(&mut file, last)?;
    file.sync_all()?;
    resize_partition(&file, Extent { length, ..last })
}

/// A disk, by the kernel's name for it.
struct BlockDevice {
    name: String,
}

impl BlockDevice {
    fn with_serial(wanted: &str) -> io::Result<Self> {
        for entry in std::fs::read_dir("/sys/block")?.flatten() {
            let serial = std::fs::read_to_string(entry.path().join("serial"));
            if serial.is_ok_and(|serial| serial.trim() == wanted) {
                let name = entry.file_name().to_string_lossy().into_owned();
                return Ok(Self { name });
            }
        }
        Err(io::Error::other("there is no such disk"))
    }

    fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// As the kernel names partitions: `vda1`, but `nvme0n1p1`.
    fn partition(&self, number: u32) -> PathBuf {
        let between = match self.name.ends_with(|last: char| last.is_ascii_digit()) {
            true => "p",
            false => "",
        };
        Path::new("/dev").join(format!("{}{between}{number}", self.name))
    }

    fn bytes(&self) -> io::Result<u64> {
        File::open(self.path())?.seek(SeekFrom::End(0))
    }

    fn wait_for(&self, bytes: u64) -> io::Result<()> {
        let start = Instant::now();
        while self.bytes()? < bytes {
            if start.elapsed() > HEARING {
                let found = self.bytes()?;
                let message = format!("the kernel sees {found} bytes of {bytes}");
                return Err(io::Error::other(message));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn last_partition(&self) -> io::Result<Option<Extent>> {
        let folder = Path::new("/sys/block").join(&self.name);
        let entries = std::fs::read_dir(folder)?.flatten();
        let partitions = entries.filter_map(|entry| extent(&entry.path()));
        Ok(partitions.max_by_key(|extent| extent.start))
    }
}

/// A partition, by its folder below that of its disk.
fn extent(folder: &Path) -> Option<Extent> {
    let number = |name| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    Some(Extent {
        number: u32::try_from(number("partition")?).ok()?,
        start: number("start")? * SECTOR,
        length: number("size")? * SECTOR,
    })
}
