//! Writing empty qcow2 images, thin overlays among them: header, one refcount
//! table, one refcount block, an empty L1 table (docs/interop/qcow2.txt).

use crate::{ImageError, ImageFormat};
use nestlab_model::ByteSize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: &[u8] = b"QFI\xfb";

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// The longest name of a backing file, in bytes.
const MAX_BACKING: usize = 1023;

/// Makes an empty disk of a size.
///
/// # Errors
/// The file cannot be written.
pub fn create_empty(path: &Path, size: ByteSize) -> Result<(), ImageError> {
    write(path, &image(None, size)?)
}

/// Makes a disk that shows its backing file until something is written.
///
/// # Errors
/// The file cannot be written, or the backing file's name is too long.
pub fn create_overlay(
    path: &Path,
    backing: &Path,
    backing_format: ImageFormat,
    virtual_size: ByteSize,
) -> Result<(), ImageError> {
    write(path, &image(Some((backing, backing_format)), virtual_size)?)
}

/// The size of the disk that a qcow2 file holds.
///
/// # Errors
/// The file cannot be read, or is none of that format.
pub fn virtual_size(path: &Path) -> Result<ByteSize, ImageError> {
    let mut header = [0; 32];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(ImageError::io(format!("read {}", path.display())))?;
    let (magic, size) = (&header[..4], &header[24..]);
    if magic != MAGIC {
        return Err(ImageError::Unusable(format!(
            "{} is no qcow2 image",
            path.display()
        )));
    }
    let size = size.try_into().map(u64::from_be_bytes);
    Ok(ByteSize::bytes(size.expect("8 bytes are left")))
}

/// Reads what a qcow2 file shows. Of a file that lies over another one, only what it has
/// itself.
pub(crate) struct Reader {
    file: File,
    cluster_bits: u32,
    size: u64,
    l1_entries: u64,
    l1: u64,
    /// Whether compressed clusters are in zlib's format, as they nearly always are.
    zlib: bool,
}

/// An entry's offset of a cluster or of a table, in both kinds of tables.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// In a table of clusters: it is compressed, and the offset has other bits then.
const COMPRESSED: u64 = 1 << 62;

impl Reader {
    pub fn open(file: File) -> Result<Self, ImageError> {
        let mut header = [0; 112];
        file.read_exact_at(&mut header, 0)
            .map_err(ImageError::io("read a qcow2 image"))?;
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four"));
        let long = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight"));
        let cluster_bits = word(20);
        if &header[..4] != MAGIC || !(9..=21).contains(&cluster_bits) {
            return Err(ImageError::Unusable("This is no qcow2 image".into()));
        }
        Ok(Self {
            file,
            cluster_bits,
            size: long(24),
            l1_entries: word(36).into(),
            l1: long(40),
            // The type stands in headers that are long enough, and says zlib by 0.
            zlib: word(4) < 3 || word(100) <= 104 || header[104] == 0,
        })
    }

    /// As `FileExt::read_exact_at` of the disk.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let cluster = 1 << self.cluster_bits;
        let mut done = 0;
        while done < buffer.len() {
            let at = at + done as u64;
            let within = (at % cluster) as usize;
            let part = (buffer.len() - done).min(cluster as usize - within);
            self.read_in_cluster(at - within as u64, within, &mut buffer[done..done + part])?;
            done += part;
        }
        Ok(())
    }

    fn read_in_cluster(&self, cluster: u64, within: usize, part: &mut [u8]) -> io::Result<()> {
        let entries = (1 << self.cluster_bits) / 8;
        let number = cluster >> self.cluster_bits;
        if number / entries >= self.l1_entries {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let table = self.entry(self.l1, number / entries)? & OFFSET;
        let entry = match table {
            0 => 0,
            table => self.entry(table, number % entries)?,
        };
        if entry & COMPRESSED != 0 {
            return self.inflate(entry, within, part);
        }
        match (entry & OFFSET, entry & 1) {
            // Nothing was written there, or zeros.
            (0, _) | (_, 1) => part.fill(0),
            (begin, _) => self.file.read_exact_at(part, begin + within as u64)?,
        }
        Ok(())
    }

    fn entry(&self, table: u64, number: u64) -> io::Result<u64> {
        let mut entry = [0; 8];
        let at = table
            .checked_add(number * 8)
            .ok_or(io::ErrorKind::InvalidData)?;
        self.file.read_exact_at(&mut entry, at)?;
        Ok(u64::from_be_bytes(entry))
    }

    fn inflate(&self, entry: u64, within: usize, part: &mut [u8]) -> io::Result<()> {
        if !self.zlib {
            let words = "it is compressed in another format than zlib's";
            return Err(io::Error::new(io::ErrorKind::Unsupported, words));
        }
        let begin = entry & ((1 << (62 - (self.cluster_bits - 8))) - 1);
        // What is compressed is shorter than a cluster, and the stream says where it ends.
        let mut bytes = vec![0; 1 << self.cluster_bits];
        let count = self.file.read_at(&mut bytes, begin)?;
        let mut stream = flate2::read::DeflateDecoder::new(&bytes[..count]);
        io::copy(&mut (&mut stream).take(within as u64), &mut io::sink())?;
        stream.read_exact(part)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let cannot = || format!("write {}", path.display());
    let mut file = File::create(path).map_err(ImageError::io(cannot()))?;
    file.write_all(bytes).map_err(ImageError::io(cannot()))?;
    file.sync_data().map_err(ImageError::io(cannot()))
}

/// The whole image: header cluster, refcount table, refcount block, L1 table.
fn image(backing: Option<(&Path, ImageFormat)>, size: ByteSize) -> Result<Vec<u8>, ImageError> {
    let size = size.as_bytes().next_multiple_of(512);
    // One L2 table of 8-byte entries maps CLUSTER / 8 clusters.
    let l1_entries = size.div_ceil(CLUSTER * CLUSTER / 8).max(1);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let clusters = 3 + l1_clusters;
    let mut bytes = header(backing, size, l1_entries)?;
    bytes.resize(CLUSTER as usize, 0);
    // Refcount table: its one entry points at the block behind it.
    bytes.extend((2 * CLUSTER).to_be_bytes());
    bytes.resize(2 * CLUSTER as usize, 0);
    // Refcount block of 16-bit counts: every cluster so far is used once.
    for _ in 0..clusters {
        bytes.extend(1u16.to_be_bytes());
    }
    bytes.resize((clusters * CLUSTER) as usize, 0);
    Ok(bytes)
}

fn header(
    backing: Option<(&Path, ImageFormat)>,
    size: u64,
    l1_entries: u64,
) -> Result<Vec<u8>, ImageError> {
    let format: &[u8] = match backing {
        Some((_, ImageFormat::Qcow2)) => b"qcow2",
        Some((_, ImageFormat::Raw)) => b"raw",
        None => b"",
    };
    let name = backing.map_or(&b""[..], |(path, _)| path.as_os_str().as_bytes());
    if name.len() > MAX_BACKING {
        return Err(ImageError::Unusable(format!(
            "The path of the backing file is longer than {MAX_BACKING} bytes"
        )));
    }
    // The header, the format extension (padded to 8), the end of extensions.
    let extension = if format.is_empty() {
        0
    } else {
        8 + format.len().next_multiple_of(8)
    };
    let name_offset = if name.is_empty() {
        0
    } else {
        104 + extension as u64 + 8
    };
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    bytes.extend(3u32.to_be_bytes());
    bytes.extend(name_offset.to_be_bytes());
    bytes.extend((name.len() as u32).to_be_bytes());
    bytes.extend(CLUSTER_BITS.to_be_bytes());
    bytes.extend(size.to_be_bytes());
    bytes.extend(0u32.to_be_bytes()); // no encryption
    bytes.extend((l1_entries as u32).to_be_bytes());
    bytes.extend((3 * CLUSTER).to_be_bytes()); // L1 table
    bytes.extend(CLUSTER.to_be_bytes()); // refcount table
    bytes.extend(1u32.to_be_bytes()); // of one cluster
    bytes.extend(0u32.to_be_bytes()); // no snapshots
    bytes.extend([0; 8]);
    bytes.extend([0; 24]); // no feature of any kind
    bytes.extend(4u32.to_be_bytes()); // refcounts of 16 bits
    bytes.extend(104u32.to_be_bytes()); // the header's length
    if !format.is_empty() {
        bytes.extend(0xe279_2acau32.to_be_bytes());
        bytes.extend((format.len() as u32).to_be_bytes());
        bytes.extend(format);
        bytes.resize(104 + extension, 0);
    }
    bytes.extend([0; 8]);
    bytes.extend(name);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What qemu-img says of an image; `None` where it is not installed.
    fn qemu_img(verb: &str, path: &Path) -> Option<String> {
        let output = Command::new("qemu-img").arg(verb).arg(path).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(text)
    }

    #[test]
    fn qemu_accepts_what_we_write() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base.raw");
        File::create(&base).unwrap().set_len(1 << 20).unwrap();
        for size in [ByteSize::mib(1), ByteSize::gib(20), ByteSize::gib(3000)] {
            let path = folder.path().join("disk.qcow2");
            create_overlay(&path, &base, ImageFormat::Raw, size).unwrap();
            let Some(check) = qemu_img("check", &path) else {
                eprintln!("SKIPPED: qemu-img is not installed");
                return;
            };
            assert!(check.contains("No errors"), "{check}");
            let info = qemu_img("info", &path).unwrap();
            assert!(info.contains("backing file format: raw"), "{info}");
            assert!(
                info.contains(&format!("({} bytes)", size.as_bytes())),
                "{info}"
            );
            create_empty(&path, size).unwrap();
            assert!(qemu_img("check", &path).unwrap().contains("No errors"));
        }
    }
}
