//! Boxes of Vagrant: an archive, packed or not, with `metadata.json` and the disk of one
//! machine, as its documentation's "Box File Format" has it.
//!
//! Nothing in an archive is trusted: of all that it holds only plain files with the names
//! looked for are read, into files named by us.

use crate::builder::{Progress, Streams, Work, program};
use crate::{ImageError, ImageFormat, foreign};
use flate2::read::MultiGzDecoder;
use nestlab_model::ByteSize;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const GZIP: &[u8] = b"\x1f\x8b";

/// Where archives have their magic number, and what it is (tar(5)).
const MAGIC_AT: usize = 257;
const MAGIC: &[u8] = b"ustar";

/// What tells a box from another archive.
const METADATA: &str = "metadata.json";

/// The longest description that is read, and the largest disk, in bytes.
const LONGEST: u64 = 1 << 20;
const LARGEST: u64 = 64 << 30;

/// The disks of boxes for libvirt: the usual one, and the first of several.
const LIBVIRT: [&str; 2] = ["box.img", "box_0.img"];

/// What VirtualBox's boxes have: VMDK files, of which the first holds the root.
const VMDK: &str = ".vmdk";

/// Of `metadata.json` what is looked at.
#[derive(Deserialize)]
struct Metadata {
    provider: String,
}

/// Takes the disk out of a box.
///
/// # Errors
/// It cannot be unpacked, or is for a provider whose disks are not known here.
pub(crate) async fn unpack(
    path: &Path,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<(PathBuf, ImageFormat), ImageError> {
    progress("unpacking the box".into());
    let (from, to) = (path.to_owned(), scratch.join("box"));
    let unpacked = tokio::task::spawn_blocking(move || take_out(&from, &to)).await;
    let taken = unpacked.map_err(io::Error::other).and_then(|taken| taken);
    let Taken { provider, disk } = taken.map_err(|error| {
        ImageError::Unusable(format!("{} cannot be unpacked: {error}", path.display()))
    })?;
    match (provider.as_str(), disk) {
        ("libvirt", Some(disk)) => Ok((disk.clone(), foreign::format_of(&disk)?)),
        ("virtualbox", Some(disk)) => from_vmdk(&disk, scratch, progress).await,
        (provider, _) => Err(ImageError::Unusable(format!(
            "{} is a box for `{provider}` without a disk that can be used: boxes for `libvirt` \
             and `virtualbox` can",
            path.display()
        ))),
    }
}

/// Whether a file is a box, as far as a look tells: an archive that is packed, or one with
/// the description in it. An image of containers is neither.
pub(crate) fn is_one(path: &Path) -> bool {
    let look = || -> io::Result<bool> {
        let mut head = [0; MAGIC_AT + MAGIC.len()];
        let packed = open(path)?.1;
        open(path)?.0.read_exact(&mut head)?;
        let archive = head.ends_with(MAGIC);
        Ok(archive && (packed || names(path)?.iter().any(|name| name == METADATA)))
    };
    look().unwrap_or(false)
}

/// What an archive holds, unpacked, and whether it was packed.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, bool)> {
    let mut file = BufReader::new(File::open(path)?);
    match io::BufRead::fill_buf(&mut file)?.starts_with(GZIP) {
        true => Ok((Box::new(MultiGzDecoder::new(file)), true)),
        false => Ok((Box::new(file), false)),
    }
}

/// The plain names in an archive that is not packed.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let entries = archive.entries_with_seek()?;
    entries.map(|entry| Ok(plain_name(&entry?))).collect()
}

/// The name of a plain file at the top of an archive; empty of anything else.
fn plain_name<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let name = name.strip_prefix("./").unwrap_or(&name);
    match entry.header().entry_type().is_file() && !name.contains('/') {
        true => name.to_owned(),
        false => String::new(),
    }
}

/// What a box was found to hold.
struct Taken {
    provider: String,
    disk: Option<PathBuf>,
}

/// Reads a box once, from its beginning to its end.
fn take_out(path: &Path, to: &Path) -> io::Result<Taken> {
    let mut taken = Taken {
        provider: String::new(),
        disk: None,
    };
    for entry in tar::Archive::new(open(path)?.0).entries()? {
        let mut entry = entry?;
        let name = plain_name(&entry);
        if name == METADATA {
            let metadata: Metadata = serde_json::from_reader((&mut entry).take(LONGEST))?;
            taken.provider = metadata.provider;
        } else if taken.disk.is_none() && is_disk(&name) {
            if entry.size() > LARGEST {
                return Err(io::Error::other(format!("`{name}` is too large")));
            }
            nestlab_sys::cow::write(&mut entry, to)?;
            taken.disk = Some(to.to_owned());
        }
    }
    match taken.provider.is_empty() {
        true => Err(io::Error::other(format!("there is no `{METADATA}` in it"))),
        false => Ok(taken),
    }
}

fn is_disk(name: &str) -> bool {
    LIBVIRT.contains(&name) || name.ends_with(VMDK)
}

async fn from_vmdk(
    disk: &Path,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<(PathBuf, ImageFormat), ImageError> {
    check_vmdk(disk)?;
    progress("converting the disk".into());
    let converted = scratch.join("converted");
    let mut command = program("qemu-img");
    // The disk may name another that it is a layer over, which would be any file of this machine
    // or of another: it is told that it has none.
    let source = json!({
        "driver": "vmdk",
        "backing": null,
        "file": { "driver": "file", "filename": disk },
    });
    command.args(["convert", "-O", "qcow2"]);
    command.arg(format!("json:{source}")).arg(&converted);
    let work = Work::start(command, "qemu-utils", Streams::None)?;
    work.finish("Cannot convert the disk of the box", progress)
        .await?;
    Ok((converted, ImageFormat::Qcow2))
}

/// A VMDK may be a mere description that names other files, any of this machine's. What is
/// a disk by itself begins with a magic number and a capacity that is not zero: QEMU
/// (block/vmdk.c) takes one without for a description.
fn check_vmdk(disk: &Path) -> Result<(), ImageError> {
    let mut head = [0; 20];
    let read = File::open(disk).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(ImageError::io("read the disk of the box"))?;
    let (magic, sectors) = (head.starts_with(b"KDMV"), &head[12..20]);
    let sectors = u64::from_le_bytes(sectors.try_into().expect("eight bytes"));
    if !magic || sectors == 0 {
        return Err(ImageError::Unusable(
            "The disk of the box is in several files: only boxes with one can be used".into(),
        ));
    }
    match sectors > LARGEST / 512 {
        true => Err(ImageError::Unusable(format!(
            "The disk of the box is larger than {}",
            ByteSize::bytes(LARGEST)
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const LIBVIRT_BOX: &[u8] = br#"{"provider": "libvirt", "format": "qcow2", "virtual_size": 1}"#;

    #[tokio::test]
    async fn the_disk_of_a_libvirt_box_is_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let disk = vec![7; 9000];
        let plain = archive(&[
            ("./Vagrantfile", b""),
            ("./box.img", &disk),
            ("./metadata.json", LIBVIRT_BOX),
        ]);
        for bytes in [packed(&plain), plain] {
            let path = folder.path().join("a.box");
            std::fs::write(&path, bytes).unwrap();
            assert!(is_one(&path));
            let unpacked = unpack(&path, folder.path(), &|_| {}).await;
            let (found, format) = unpacked.unwrap();
            assert_eq!(format, ImageFormat::Raw);
            assert_eq!(std::fs::read(&found).unwrap(), disk);
            std::fs::remove_file(found).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_box_that_can_be_used_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.box");
        let no_disk = archive(&[("metadata.json", LIBVIRT_BOX)]);
        let described = archive(&[
            ("metadata.json", br#"{"provider": "virtualbox"}"#),
            (
                "a.vmdk",
                b"# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n",
            ),
        ]);
        let empty = archive(&[
            ("metadata.json", br#"{"provider": "virtualbox"}"#),
            (
                "a.vmdk",
                b"KDMV\x01\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0 FLAT \"/etc/shadow\"",
            ),
        ]);
        let other = archive(&[("metadata.json", br#"{"provider": "hyperv"}"#)]);
        let hidden = archive(&[
            ("metadata.json", LIBVIRT_BOX),
            ("folder/box.img", b"not at the top"),
        ]);
        for (bytes, words) in [
            (packed(&no_disk), "without a disk"),
            (packed(&described), "several files"),
            (packed(&empty), "several files"),
            (packed(&other), "`hyperv`"),
            (packed(&hidden), "without a disk"),
            (packed(&archive(&[("a", b"b")])), "no `metadata.json`"),
            (packed(b"no archive"), "cannot be unpacked"),
            (packed(&no_disk)[..30].to_vec(), "cannot be unpacked"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let scratch = tempfile::tempdir().unwrap();
            let refused = unpack(&path, scratch.path(), &|_| {}).await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn an_image_of_containers_is_no_box() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, archive(&[("manifest.json", b"[]")])).unwrap();
        assert!(!is_one(&path));
    }
}
