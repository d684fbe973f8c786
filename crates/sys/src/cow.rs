//! Memory in files: copied without its empty pages, and what a process has made
//! of a file that it maps copy-on-write.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The size of a page and of an entry of /proc/PID/pagemap, in bytes.
const PAGE: u64 = 4096;
const ENTRY: u64 = 8;

const EMPTY: [u8; PAGE as usize] = [0; PAGE as usize];

/// Bits of such an entry (proc_pid_pagemap(5)): the page is in memory, is
/// swapped out, belongs to the file or is shared.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// The most that is copied at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// Copies a file to a new one. Pages that hold nothing but zeros become holes.
///
/// # Errors
/// The file cannot be read, or the new one cannot be written.
pub fn copy(file: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(file)?;
    let copy = File::create_new(to)?;
    copy.set_len(source.metadata()?.len())?;
    copy_data(&source, &copy)
}

/// Writes a stream to a new file. Pages that hold nothing but zeros become holes.
///
/// # Errors
/// The stream breaks off, or the file cannot be written.
pub fn write(from: &mut impl Read, to: &Path) -> io::Result<()> {
    let file = File::create_new(to)?;
    let mut buffer = Vec::with_capacity(CHUNK as usize);
    let mut at = 0;
    loop {
        buffer.clear();
        let length = from.by_ref().take(CHUNK).read_to_end(&mut buffer)?;
        if length == 0 {
            return file.set_len(at);
        }
        for run in full_runs(&buffer) {
            file.write_all_at(&buffer[run.clone()], at + run.start as u64)?;
        }
        at += length as u64;
    }
}

/// Makes of a copy of a file what a process sees of that: writes to it every page that
/// the process has written to. The process must not run meanwhile, and nobody may
/// write to the file. Returns how many bytes are the process's own.
///
/// # Errors
/// The process does not map the file privately, may not be looked into
/// (ptrace(2), "Ptrace access mode checking"), or the copy cannot be written.
pub fn write_as_seen(pid: u32, file: &Path, copy: &Path) -> io::Result<u64> {
    let copy = File::options().write(true).open(copy)?;
    let mappings = mappings(pid, file)?;
    if mappings.is_empty() || mappings.iter().any(|mapping| mapping.shared) {
        let message = format!("process {pid} does not map {} privately", file.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    let mut own = 0;
    for mapping in mappings {
        for run in own_runs(&pagemap, &mapping)? {
            own += run.end - run.start;
            copy_run(
                &memory,
                &run,
                &copy,
                mapping.offset + run.start - mapping.start,
            )?;
        }
    }
    Ok(own)
}

/// Whether a process maps what was a file copy-on-write, and nowhere else otherwise.
///
/// # Errors
/// The process is gone.
pub fn is_mapped_privately(pid: u32, file: &Path) -> io::Result<bool> {
    let mappings = mappings(pid, file)?;
    Ok(!mappings.is_empty() && mappings.iter().all(|mapping| !mapping.shared))
}

/// A part of a file in an address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub start: u64,
    pub end: u64,
    pub offset: u64,
    pub shared: bool,
}

/// Where a process maps a file, shared or not: the one that had this path when it
/// was mapped.
pub(crate) fn mappings(pid: u32, file: &Path) -> io::Result<Vec<Mapping>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let path = file.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(text
        .lines()
        .filter_map(|line| mapping(line, path))
        .collect())
}

/// A line as `7f00-7f80 rw-p 00001000 00:1b 42   /path`, if it is of that file. One
/// that has lost its name is ` (deleted)`.
fn mapping(line: &str, path: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (range, flags, offset) = (words.next()?, words.next()?, words.next()?);
    let (start, end) = range.split_once('-')?;
    let (_, found) = line.split_once('/')?;
    let path = path.strip_prefix('/')?;
    let rest = found.strip_prefix(path)?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let mapping = Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        shared: flags.ends_with('s'),
    };
    ["", " (deleted)"].contains(&rest).then_some(mapping)
}

/// The addresses in a mapping whose pages are the process's own.
fn own_runs(pagemap: &File, mapping: &Mapping) -> io::Result<Vec<Range<u64>>> {
    let pages = (mapping.end - mapping.start) / PAGE;
    let mut entries = vec![0; usize::try_from(pages * ENTRY).map_err(io::Error::other)?];
    pagemap.read_exact_at(&mut entries, mapping.start / PAGE * ENTRY)?;
    let mut runs: Vec<Range<u64>> = Vec::new();
    let own = entries
        .chunks_exact(ENTRY as usize)
        .map(|entry| u64::from_ne_bytes(entry.try_into().expect("8 bytes")))
        .zip((mapping.start..).step_by(PAGE as usize))
        .filter(|(entry, _)| entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0);
    for (_, address) in own {
        match runs.last_mut() {
            Some(run) if run.end == address => run.end += PAGE,
            _ => runs.push(address..address + PAGE),
        }
    }
    Ok(runs)
}

fn copy_run(memory: &File, run: &Range<u64>, to: &File, offset: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK as usize];
    for start in (run.start..run.end).step_by(CHUNK as usize) {
        let length = (run.end - start).min(CHUNK) as usize;
        memory.read_exact_at(&mut buffer[..length], start)?;
        to.write_all_at(&buffer[..length], offset + start - run.start)?;
    }
    Ok(())
}

/// Copies every page that is neither in a hole nor empty.
fn copy_data(from: &File, to: &File) -> io::Result<()> {
    visit_data(from, |at, pages| to.write_all_at(pages, at))
}

/// Hands out what a file holds in order, some pages of 4 KiB at a time after their
/// offset, but for empty pages: the same pages however much of the file is holes.
///
/// # Errors
/// The file cannot be read, or whatever `each` returns.
pub fn visit(file: &Path, each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    visit_data(&File::open(file)?, each)
}

fn visit_data(from: &File, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    use nix::unistd::{Whence, lseek};
    let mut buffer = vec![0; CHUNK as usize];
    let mut end = 0;
    loop {
        let start = match lseek(from, end, Whence::SeekData) {
            Err(nix::errno::Errno::ENXIO) => return Ok(()),
            found => found?,
        };
        end = lseek(from, start, Whence::SeekHole)?;
        for at in (start as u64..end as u64).step_by(CHUNK as usize) {
            let chunk = &mut buffer[..(end as u64 - at).min(CHUNK) as usize];
            from.read_exact_at(chunk, at)?;
            for run in full_runs(chunk) {
                each(at + run.start as u64, &chunk[run])?;
            }
        }
    }
}

/// The runs of pages that are not empty.
fn full_runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for page in bytes.chunks(PAGE as usize) {
        let end = start + page.len();
        if page != &EMPTY[..page.len()] {
            match runs.last_mut() {
                Some(run) if run.end == start => run.end = end,
                _ => runs.push(start..end),
            }
        }
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_line_of_maps_is_read() {
        let line = "7f0000000000-7f0000002000 rw-p 00001000 00:1b 42   /dev/shm/a b";
        let expected = Mapping {
            start: 0x7f00_0000_0000,
            end: 0x7f00_0000_2000,
            offset: 0x1000,
            shared: false,
        };
        let path = "/dev/shm/a b";
        assert_eq!(mapping(line, path).as_ref(), Some(&expected));
        assert_eq!(mapping(&format!("{line} (deleted)"), path), Some(expected));
        for other in ["/dev/shm/a", "/dev/shm/a b c", "b", ""] {
            assert_eq!(mapping(line, other), None, "{other}");
        }
        let shared = mapping(&line.replace("rw-p", "rw-s"), path);
        assert!(shared.is_some_and(|mapping| mapping.shared));
        assert_eq!(mapping("nonsense", path), None);
    }

    #[test]
    fn what_a_process_wrote_lies_over_the_file() {
        let folder = crate::dir::scratch("cow");
        let [file, copy] = ["file", "copy"].map(|name| folder.join(name));
        let made = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&file)
            .unwrap();
        made.set_len(8 * PAGE).unwrap();
        made.write_all_at(b"base", 0).unwrap();
        made.write_all_at(b"base", 5 * PAGE).unwrap();
        super::copy(&file, &copy).unwrap();
        let none = write_as_seen(std::process::id(), &file, &copy);
        assert!(none.is_err(), "nobody maps it yet");

        let length = std::num::NonZeroUsize::new(8 * PAGE as usize).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping of its whole length, to which nothing else refers.
        let memory = unsafe {
            let start = mmap(None, length, access, MapFlags::MAP_PRIVATE, &made, 0).unwrap();
            std::slice::from_raw_parts_mut(start.cast::<u8>().as_ptr(), length.get())
        };
        for page in [5, 7] {
            memory[page * PAGE as usize..][..3].copy_from_slice(b"own");
        }
        assert_eq!(std::hint::black_box(memory[0]), b'b');
        let own = write_as_seen(std::process::id(), &file, &copy);
        assert_eq!(own.unwrap(), 2 * PAGE);
        let bytes = std::fs::read(&copy).unwrap();
        let at = |page: u64| &bytes[(page * PAGE) as usize..][..4];
        assert_eq!(
            (at(0), at(5), at(7), at(1)),
            (&b"base"[..], &b"owne"[..], &b"own\0"[..], &[0; 4][..])
        );
        assert_eq!(bytes.len() as u64, 8 * PAGE);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_copy_has_holes_where_nothing_is() {
        let folder = crate::dir::scratch("sparse");
        let [from, to] = ["from", "to"].map(|name| folder.join(name));
        let mut bytes = vec![0; 3 * CHUNK as usize + 100];
        for at in [0, 5 * PAGE as usize, CHUNK as usize - 1, bytes.len() - 1] {
            bytes[at] = 7;
        }
        std::fs::write(&from, &bytes).unwrap();
        super::copy(&from, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), bytes);
        let stored = std::fs::metadata(&to).unwrap().blocks() * 512;
        assert!(stored <= 16 * PAGE, "{stored} bytes are stored");
        assert!(super::copy(&from, &to).is_err(), "an older file is kept");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
