//! Images of containers: as `docker save` and its like write them, or as an OCI image layout
//! in an archive or a folder. Their layers become one file system, which containers and
//! virtual machines begin from as from a recipe's.
//!
//! Nothing in an image is trusted: layers are unpacked in a [`root::Root`], sizes and
//! numbers are bounded, devices are left out, and what is named by a digest has it.

mod attributes;
mod extension;
mod layer;
mod members;
mod packing;
pub(crate) mod root;

use crate::ImageError;
use crate::builder::{Progress, Streams, Work, program};
use layer::Limits;
use members::Members;
use nestlab_model::ByteSize;
use root::Root;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What an OCI image layout has: the file that names all others.
const INDEX: &str = "index.json";

/// Where archives have their magic number, and what it is (tar(5)).
const MAGIC_AT: u64 = 257;
const MAGIC: &[u8] = b"ustar";

/// The most that an image may come to.
const LIMITS: Limits = Limits {
    bytes: 64 << 30,
    entries: 4_000_000,
};

/// The disk that the files of an image get, at least.
const DISK: ByteSize = ByteSize::gib(2);

/// The file of an image layout in a folder that says all of it: everything else is named
/// there by its digest.
pub(crate) fn index_of(folder: &Path) -> PathBuf {
    folder.join(INDEX)
}

/// Whether a file is an archive with an image for containers in it, or a folder is one.
pub(crate) fn is_one(path: &Path) -> bool {
    if path.is_dir() {
        return index_of(path).is_file();
    }
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut magic = [0; MAGIC.len()];
        file.seek(SeekFrom::Start(MAGIC_AT))?;
        file.read_exact(&mut magic)?;
        Ok(magic == MAGIC)
    };
    read().unwrap_or(false)
}

/// Makes a disk with an ext4 file system of all that an image holds.
pub(crate) async fn convert(
    image: &Path,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    progress("unpacking the layers of the image".into());
    let tree = scratch.join("tree");
    std::fs::create_dir(&tree).map_err(ImageError::io("make a folder for the image"))?;
    let (from, to) = (image.to_owned(), tree.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to)).await;
    let bytes = match unpacked {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let words = format!("{} cannot be unpacked: {error}", image.display());
            return Err(ImageError::Unusable(words));
        }
        Err(error) => return Err(ImageError::Unusable(error.to_string())),
    };
    progress("making the image's disk".into());
    let disk = scratch.join("disk");
    pack(&tree, &disk, bytes).await?;
    Ok(disk)
}

/// Files that belong to an ordinary user here belong to root in the image.
async fn pack(tree: &Path, disk: &Path, bytes: u64) -> Result<(), ImageError> {
    let mut command = match nestlab_sys::users::is_root() {
        true => program("mke2fs"),
        false => {
            let mut command = program("unshare");
            command.args(["--user", "--map-root-user", "mke2fs"]);
            command
        }
    };
    let size = DISK.as_bytes().max(bytes + bytes / 2);
    command.args([
        "-q", "-F", "-t", "ext4", "-b", "4096", "-J", "size=16", "-m", "1",
    ]);
    command.args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"]);
    command.arg(tree).arg(disk).arg(format!("{}K", size / 1024));
    Work::start(command, "e2fsprogs", Streams::None)?
        .finish("Cannot make the image's file system", &|_| {})
        .await
}

/// Puts what an archive holds over the files of an image, as a layer of its own.
pub(crate) fn put(archive: &Path, tree: &Path) -> io::Result<()> {
    layer::apply(
        File::open(archive)?,
        &Root::open(tree)?,
        &mut LIMITS.clone(),
    )
}

/// Unpacks all layers, the lowest first; gives the bytes of their files.
fn unpack(image: &Path, to: &Path) -> io::Result<u64> {
    let members = Members::of(image)?;
    let root = Root::open(to)?;
    let mut left = LIMITS;
    for name in members.layers()? {
        let layer = members.open(&name)?;
        layer::apply(layer, &root, &mut left)
            .map_err(|error| io::Error::new(error.kind(), format!("layer {name}: {error}")))?;
        members.verify(&name)?;
    }
    Ok(LIMITS.bytes - left.bytes)
}

#[cfg(test)]
mod tests;
