//! Images as trees of files, which containers begin from.
//!
//! A file system is read by a library, and its files are made in a [`Root`]: their names, which
//! may come from a stranger's image, are bytes and nothing else. Told to a program such as
//! debugfs(8) they would be words of its own language.

use crate::builder::Progress;
use crate::oci::root::{Owner, Root};
use crate::store::Store;
use crate::{ImageError, ImageFormat};
use ext4_view::{Ext4, Ext4Error, FileType, Metadata};
use nestlab_model::Digest;
use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder of an image's files, below the image's own.
/// The number is raised when it is unpacked otherwise.
const TREE: &str = "tree-3";

/// What begins an ext4 file system, and where (ext4 documentation, "The Super Block").
const MAGIC: [u8; 2] = [0x53, 0xef];
const MAGIC_AT: u64 = 1024 + 56;

impl Store {
    /// Finds the files of an image, or unpacks them: once, however many ask.
    ///
    /// # Errors
    /// The image holds no ext4 file system, or has been brought by somebody whose names
    /// of files we do not trust; see also [`ImageError`].
    pub async fn ensure_tree(
        &self,
        digest: &Digest,
        progress: Progress<'_>,
    ) -> Result<PathBuf, ImageError> {
        let gone = || ImageError::Unusable("The image is gone".into());
        let image = self.get(digest).ok_or_else(gone)?;
        let tree = self.image_folder(digest).join(TREE);
        if tree.exists() {
            return Ok(tree);
        }
        let _lock = self.lock(&format!("image-{}", digest.short())).await?;
        if tree.exists() {
            return Ok(tree);
        }
        if image.format != ImageFormat::Raw || !holds_ext4(&image.disk) {
            return Err(ImageError::Unusable(format!(
                "The image {} holds a whole disk; a container begins from a single file system, as recipes make it",
                image.name
            )));
        }
        if !image.ours {
            return Err(ImageError::Unusable(format!(
                "The image {} was brought as a file; on this machine a container begins from a recipe's",
                image.name
            )));
        }
        self.need_room()?;
        self.sweep();
        progress(format!("unpacking the image {}", image.name));
        let scratch = self.scratch()?;
        let new = scratch.path.join(TREE);
        std::fs::create_dir(&new).map_err(ImageError::io("make a folder for the image"))?;
        let (disk, to) = (image.disk.clone(), new.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack(&disk, &to)).await;
        let unpacked = unpacked.unwrap_or_else(|error| Err(io::Error::other(error)));
        unpacked.map_err(ImageError::io("unpack the image"))?;
        std::fs::rename(&new, &tree).map_err(ImageError::io("keep the image's files"))?;
        Ok(tree)
    }
}

fn holds_ext4(disk: &Path) -> bool {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; 2];
    let read = std::fs::File::open(disk).and_then(|disk| disk.read_exact_at(&mut magic, MAGIC_AT));
    read.is_ok() && magic == MAGIC
}

/// Copies all files of an ext4 file system into a folder. Who is not root owns them all.
fn unpack(disk: &Path, to: &Path) -> io::Result<()> {
    let disk = File::open(disk)?;
    let system = Ext4::load(Box::new(disk.try_clone()?)).map_err(io::Error::other)?;
    // Of a file that has several names each gets a copy: a few names of a large one would fill
    // any disk.
    let left = disk.metadata()?.len().saturating_mul(2);
    let mut copy = Copy {
        system,
        root: Root::open(to)?,
        left,
    };
    let top = copy.system.metadata("/").map_err(io::Error::other)?;
    copy.below(Path::new("/"))?;
    std::fs::set_permissions(
        to,
        std::os::unix::fs::PermissionsExt::from_mode(owner(&top).mode),
    )
}

/// A copy that is being made.
struct Copy {
    system: Ext4,
    root: Root,
    /// Bytes that may still be written.
    left: u64,
}

impl Copy {
    fn below(&mut self, folder: &Path) -> io::Result<()> {
        for entry in self.read(|system| system.read_dir(bytes(folder)))? {
            let entry = entry.map_err(io::Error::other)?;
            let name = entry.file_name();
            let name: &[u8] = name.as_ref();
            if name == b"." || name == b".." {
                continue;
            }
            let path = folder.join(OsStr::from_bytes(name));
            let metadata = entry.metadata().map_err(io::Error::other)?;
            self.one(&path, &metadata).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        }
        Ok(())
    }

    fn one(&mut self, path: &Path, metadata: &Metadata) -> io::Result<()> {
        let Some(spot) = self.root.spot(path)? else {
            return Ok(());
        };
        let owner = owner(metadata);
        match metadata.file_type() {
            FileType::Directory => {
                // As it should be only once all is in it: we may not be allowed to write to it.
                let open = Owner {
                    mode: 0o700,
                    ..owner
                };
                spot.make_folder(open, &[])?;
                self.below(path)?;
                spot.make_folder(owner, &[])
            }
            FileType::Regular => {
                let mut file = spot.make_file()?;
                self.contents(path, metadata.len(), &mut file)?;
                spot.settle(&file, owner, &[])?;
                file.set_times(times(metadata))
            }
            FileType::Symlink => {
                let says = self.read(|system| system.read_link(bytes(path)))?;
                let says = Path::new(OsStr::from_bytes(says.as_ref()));
                spot.make_link(says, owner)
            }
            // Devices, pipes and sockets are made by whoever runs in a container.
            _ => Ok(()),
        }
    }

    /// Copies what a file holds; what is zero becomes a hole.
    fn contents(&mut self, path: &Path, length: u64, to: &mut File) -> io::Result<()> {
        let mut from = self.read(|system| system.open(bytes(path)))?;
        let mut block = [0; BLOCK];
        loop {
            let read = from.read_bytes(&mut block).map_err(io::Error::other)?;
            match &block[..read] {
                [] => return to.set_len(length),
                zeros if zeros.iter().all(|byte| *byte == 0) => {
                    to.seek(SeekFrom::Current(read as i64))?;
                }
                bytes => {
                    let left = self.left.checked_sub(read as u64);
                    self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
                    to.write_all(bytes)?;
                }
            }
        }
    }

    fn read<T>(&self, how: impl FnOnce(&Ext4) -> Result<T, Ext4Error>) -> io::Result<T> {
        how(&self.system).map_err(io::Error::other)
    }
}

/// Bytes that are read at a time: the library gives no more than a block of the file system.
const BLOCK: usize = 4096;

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn owner(metadata: &Metadata) -> Owner {
    Owner {
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: u32::from(metadata.mode()) & 0o7777,
    }
}

fn times(metadata: &Metadata) -> FileTimes {
    let modified = metadata.modified();
    let seconds = u64::try_from(modified.seconds()).unwrap_or(0);
    let since = Duration::new(seconds, modified.nanoseconds());
    FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::Command;

    /// Names that would be words to a program that is told them.
    #[test]
    fn names_are_names_and_nothing_else() {
        let world = tempfile::tempdir().unwrap();
        let (tree, out) = (world.path().join("tree"), world.path().join("out"));
        let outside = world.path().join("outside");
        let told = format!("x\"\ndump /file {}\nls \"", outside.display());
        let folder = tree.join(&told);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir(&out).unwrap();
        std::fs::write(tree.join("file"), "text").unwrap();
        std::fs::write(folder.join("\nls -p \"..\u{1}\\"), "").unwrap();
        std::fs::write(tree.join("holes"), vec![0; 10_000]).unwrap();
        symlink("../../outside", tree.join("link")).unwrap();
        let special = tree.join("special");
        std::fs::write(&special, "program").unwrap();
        std::fs::set_permissions(&special, PermissionsExt::from_mode(0o4755)).unwrap();

        let disk = world.path().join("disk");
        let made = Command::new("/usr/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-d"])
            .args([&tree, &disk])
            .arg("16M")
            .status();
        if !made.is_ok_and(|made| made.success()) {
            eprintln!("SKIPPED: mke2fs is not installed");
            return;
        }
        unpack(&disk, &out).unwrap();

        assert!(!outside.exists());
        assert_eq!(std::fs::read(out.join("file")).unwrap(), b"text");
        assert_eq!(std::fs::read(out.join("holes")).unwrap(), vec![0; 10_000]);
        let again = out.join(&told);
        assert_eq!(std::fs::read_dir(again).unwrap().count(), 1);
        let link = std::fs::read_link(out.join("link")).unwrap();
        assert_eq!(link, Path::new("../../outside"));
        let (before, after) = (
            special.metadata().unwrap(),
            out.join("special").metadata().unwrap(),
        );
        assert_eq!(after.mode(), before.mode());
        assert_eq!(after.uid(), before.uid());
        assert_eq!(after.mtime(), before.mtime());
    }

    #[test]
    fn what_is_no_file_system_is_refused() {
        let world = tempfile::tempdir().unwrap();
        let disk = world.path().join("disk");
        std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
        unpack(&disk, world.path()).unwrap_err();
    }
}
