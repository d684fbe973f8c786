//! Block devices that have become larger, and the file systems on them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A partition as the kernel shall have it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The number in its name: 1 of `/dev/vda1`.
    pub number: u32,
    /// Where it begins on its disk.
    pub start: u64,
    /// How long it is.
    pub length: u64,
}

/// Tells the kernel that a partition of an open disk has another length now, even while
/// it is mounted: BLKPG_RESIZE_PARTITION (linux/blkpg.h). Its start must be what it was.
///
/// # Errors
/// There is no such partition, it lies beyond the disk, or it would lie over another.
pub fn resize_partition(disk: &File, extent: Extent) -> io::Result<()> {
    let signed = |value: u64| i64::try_from(value).map_err(io::Error::other);
    let mut partition = ioctl::Partition {
        start: signed(extent.start)?,
        length: signed(extent.length)?,
        number: i32::try_from(extent.number).map_err(io::Error::other)?,
        names: [0; 128],
    };
    let argument = ioctl::Argument {
        operation: ioctl::RESIZE_PARTITION,
        flags: 0,
        length: size_of_val(&partition) as i32,
        data: &raw mut partition,
    };
    // SAFETY: the descriptor is open; the kernel reads both structures, which live until
    // the call has returned, and writes to neither.
    unsafe { ioctl::blkpg(disk.as_raw_fd(), &argument) }?;
    Ok(())
}

/// Has a mounted ext4 take more blocks (EXT4_IOC_RESIZE_FS). `root` is any open file or
/// folder on it. As many as it has are no error.
///
/// # Errors
/// It has more already, the device is too small, or the caller is not root.
pub fn grow_ext4(root: &File, blocks: u64) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the kernel reads one u64.
    unsafe { ioctl::ext4_resize(root.as_raw_fd(), &blocks) }?;
    Ok(())
}

mod ioctl {
    /// `BLKPG_RESIZE_PARTITION`
    pub const RESIZE_PARTITION: i32 = 3;

    /// `struct blkpg_ioctl_arg`
    #[repr(C)]
    pub struct Argument {
        pub operation: i32,
        pub flags: i32,
        pub length: i32,
        pub data: *mut Partition,
    }

    /// `struct blkpg_partition`
    #[repr(C)]
    pub struct Partition {
        pub start: i64,
        pub length: i64,
        pub number: i32,
        pub names: [u8; 128],
    }

    nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), Argument);
    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
}
