//! The kernel as bare as it can be had: what a benchmark measures it by.

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What reads and writes past the page cache have to be aligned to, in bytes. Enough
/// for every disk that is sold.
pub const ALIGNMENT: usize = 4096;

/// The shortest system call there is: getppid(2), which no library answers by itself.
pub fn shortest_call() -> u32 {
    nix::unistd::getppid().as_raw().unsigned_abs()
}

/// Keeps the calling thread on one of the processors that it may run on.
///
/// # Errors
/// As sched_setaffinity(2).
pub fn stay_on_one_cpu() -> io::Result<()> {
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread)?;
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.unwrap_or(0))?;
    sched_setaffinity(this_thread, &one).map_err(io::Error::from)
}

/// Bytes of the pages that [`touch_fresh_pages`] counts.
pub const PAGE: usize = 4096;

/// Takes so many bytes of new memory in pages of 4 KiB, writes to each page once, and
/// gives them back.
///
/// # Errors
/// As mmap(2), madvise(2).
pub fn touch_fresh_pages(bytes: NonZeroUsize) -> io::Result<()> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at a place that the kernel chooses, seen by nobody else.
    let memory = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: it is the mapping from above, whose content nobody depends on. A kernel
    // without huge pages says EINVAL, and there are none.
    let _ = unsafe { madvise(memory, bytes.get(), MmapAdvise::MADV_NOHUGEPAGE) };
    for at in (0..bytes.get()).step_by(PAGE) {
        // SAFETY: `at` is within the mapping, which is writable and ours alone.
        unsafe { memory.cast::<u8>().add(at).write_volatile(1) };
    }
    // SAFETY: the whole mapping from above, of which no reference is left.
    unsafe { munmap(memory, bytes.get()) }.map_err(io::Error::from)
}

/// Opens a file for reading and writing past the page cache. The second value tells
/// whether that was possible: file systems in memory have nothing else than the cache.
///
/// # Errors
/// As open(2).
pub fn open_direct(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let direct = options.clone().custom_flags(libc::O_DIRECT).open(path);
    match direct {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok((options.open(path)?, false))
        }
        opened => Ok((opened?, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_may_be_kept_in_one_place() {
        let stayed = std::thread::spawn(|| {
            stay_on_one_cpu()?;
            let now = sched_getaffinity(Pid::from_raw(0))?;
            let cpus = (0..CpuSet::count()).filter(|cpu| now.is_set(*cpu).unwrap_or(false));
            io::Result::Ok(cpus.count())
        });
        assert_eq!(stayed.join().expect("it does not panic").unwrap(), 1);
    }
}
