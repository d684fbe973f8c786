//! The memory of a snapshot, compressed: an ordinary LZ4 frame in place of each file,
//! such as `lz4 -d` reads.

use crate::still::Still;
use crate::{Fault, memory};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "memory.lz4";

/// Compresses the memory of all nodes.
pub(super) fn pack(still: &Still) -> Result<(), Fault> {
    for memory in still.nodes.iter().flat_map(|node| &node.memory) {
        let cannot = Fault::io(format!("Cannot compress {}", memory.display()));
        pack_file(memory).map_err(cannot)?;
    }
    Ok(())
}

fn pack_file(memory: &Path) -> io::Result<()> {
    let packed = File::create_new(memory.with_extension(EXTENSION))?;
    let mut encoder = FrameEncoder::new(packed);
    io::copy(&mut File::open(memory)?, &mut encoder)?;
    encoder.finish()?;
    std::fs::remove_file(memory)
}

/// Memory that was taken out of its compressed files, for as long as this lives.
pub(crate) struct Unpacked(Option<PathBuf>);

impl Unpacked {
    /// Gives every node of a snapshot that was compressed its memory back, in a
    /// folder beside the snapshot.
    pub fn of(still: &mut Still, folder: PathBuf) -> Result<Self, Fault> {
        let _ = std::fs::remove_dir_all(&folder);
        let mut unpacked = Self(None);
        for node in &mut still.nodes {
            let Some(memory) = &mut node.memory else {
                continue;
            };
            let packed = memory.with_extension(EXTENSION);
            if !packed.exists() {
                continue;
            }
            unpacked.0 = Some(folder.clone());
            *memory = folder.join(node.name.as_str()).join(memory::ON_DISK);
            let cannot = Fault::io(format!("Cannot unpack {}", packed.display()));
            unpack_file(&packed, memory).map_err(cannot)?;
        }
        Ok(unpacked)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.0.take().map(std::fs::remove_dir_all);
    }
}

fn unpack_file(packed: &Path, memory: &Path) -> io::Result<()> {
    if let Some(folder) = memory.parent() {
        nestlab_sys::dir::make_private(folder)?;
    }
    let mut decoder = FrameDecoder::new(File::open(packed)?);
    nestlab_sys::cow::write(&mut decoder, memory)?;
    nestlab_sys::disk::sync(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn memory_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join(memory::ON_DISK);
        let mut bytes = vec![0; 5 << 20];
        bytes[7..11].copy_from_slice(b"word");
        bytes[4 << 20..].fill(3);
        std::fs::write(&memory, &bytes).unwrap();
        pack_file(&memory).unwrap();
        assert!(!memory.exists());
        let packed = memory.with_extension(EXTENSION);
        assert!(packed.metadata().unwrap().len() < 1 << 20);
        unpack_file(&packed, &memory).unwrap();
        assert_eq!(std::fs::read(&memory).unwrap(), bytes);
        assert!(memory.metadata().unwrap().blocks() * 512 < 2 << 20);
        std::fs::write(&packed, "nonsense").unwrap();
        assert!(unpack_file(&packed, &folder.path().join("other")).is_err());
    }
}
