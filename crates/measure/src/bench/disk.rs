//! The disk below the page cache, through a file that is removed afterwards.

use super::{MIB, MICROSECONDS, rate, samples, time};
use nestlab_model::bench::Outcome;
use nestlab_sys::bare::{ALIGNMENT, open_direct};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of the file: room for reads that do not meet, and little enough for the
/// smallest disk.
const BYTES: u64 = 32 << 20;

/// What is read or written at once where it comes one after the other.
const LARGE: usize = 1 << 20;

/// What is read or written at once else.
const SMALL: usize = 4096;

/// Where a file may be put, the best first.
const FOLDERS: [&str; 3] = ["/var/tmp", "/root", "/"];

const ALL: [&str; 4] = ["disk.write", "disk.read", "disk.read-4k", "disk.sync"];

/// A file that is gone once it is dropped.
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Else it is told by the folder, which is the user's.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) fn measure(folder: Option<&Path>, told: &mut impl FnMut(Outcome)) {
    match scratch(folder) {
        Ok(scratch) => through(&scratch.file, told),
        Err(error) => ALL.into_iter().for_each(|id| {
            told(Outcome::Skipped {
                id: id.to_owned(),
                why: error.to_string(),
            });
        }),
    }
}

fn through(file: &File, told: &mut impl FnMut(Outcome)) {
    let [write_id, read_id, random_id, sync_id] = ALL;
    let unit = ("MiB/s", LARGE as f64 / MIB);
    told(rate(write_id, unit, write(file)));
    told(rate(read_id, unit, read(file)));
    told(time(random_id, MICROSECONDS, read_at_random(file)));
    told(time(sync_id, MICROSECONDS, sync(file)));
}

/// A file of full size on a disk: what is in memory tells nothing.
fn scratch(folder: Option<&Path>) -> io::Result<Scratch> {
    let name = format!(".nestlab-bench-{}", std::process::id());
    let mut folders: Vec<&Path> = FOLDERS.iter().map(Path::new).collect();
    if let Some(folder) = folder {
        folders = vec![folder];
    }
    let mut why = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders {
        let path = folder.join(&name);
        match open_direct(&path) {
            Ok((file, direct)) => {
                let scratch = Scratch { file, path };
                if direct {
                    fill(&scratch.file)?;
                    return Ok(scratch);
                }
                why = io::Error::other(format!("{} is not on a disk", folder.display()));
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Neither zeros nor holes, which a disk may be clever about.
fn fill(file: &File) -> io::Result<()> {
    let block = Block::new(LARGE);
    for at in (0..BYTES).step_by(LARGE) {
        file.write_all_at(block.bytes(), at)?;
    }
    file.sync_all()
}

/// Over what is there already: a new file would have the file system measured.
fn write(file: &File) -> io::Result<Vec<f64>> {
    let block = Block::new(LARGE);
    let mut at = 0;
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            file.write_all_at(block.bytes(), at)?;
            at = (at + LARGE as u64) % BYTES;
        }
        file.sync_data()
    })
}

fn read(file: &File) -> io::Result<Vec<f64>> {
    let mut block = Block::new(LARGE);
    let mut at = 0;
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            file.read_exact_at(block.bytes_mut(), at)?;
            at = (at + LARGE as u64) % BYTES;
        }
        Ok(())
    })
}

fn read_at_random(file: &File) -> io::Result<Vec<f64>> {
    let mut block = Block::new(SMALL);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random % (BYTES / SMALL as u64) * SMALL as u64;
            file.read_exact_at(block.bytes_mut(), at)?;
        }
        Ok(())
    })
}

/// A small write that is made durable.
fn sync(file: &File) -> io::Result<Vec<f64>> {
    let block = Block::new(SMALL);
    let mut at = 0;
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            file.write_all_at(block.bytes(), at)?;
            file.sync_data()?;
            at = (at + SMALL as u64) % BYTES;
        }
        Ok(())
    })
}

/// Bytes that lie as reads and writes past the cache want them.
struct Block {
    memory: Vec<u8>,
    from: usize,
    length: usize,
}

impl Block {
    fn new(length: usize) -> Self {
        let pattern = |at: usize| (at.wrapping_mul(2_654_435_761) >> 16) as u8;
        let memory: Vec<u8> = (0..length + ALIGNMENT).map(pattern).collect();
        let from = memory.as_ptr().align_offset(ALIGNMENT);
        Self {
            memory,
            from,
            length,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.from..self.from + self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.from..self.from + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned() {
        for length in [SMALL, LARGE] {
            let block = Block::new(length);
            assert_eq!(block.bytes().len(), length);
            assert!((block.bytes().as_ptr() as usize).is_multiple_of(ALIGNMENT));
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_for_every_figure() {
        let mut outcomes = Vec::new();
        measure(Some(Path::new("/no/such/folder")), &mut |outcome| {
            outcomes.push(outcome);
        });
        assert_eq!(outcomes.len(), ALL.len());
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Skipped { .. }))
        );
    }
}
