//! Images as trees of files, which containers begin from.

use crate::builder::{Progress, Streams, Work, program};
use crate::store::Store;
use crate::{ImageError, ImageFormat};
use nestlab_model::Digest;
use std::fs::Permissions;
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The folder of an image's files, below the image's own.
/// The number is raised when it is unpacked otherwise.
const TREE: &str = "tree-2";

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
        unpack(&image.disk, &new).await?;
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
async fn unpack(disk: &Path, to: &Path) -> Result<(), ImageError> {
    let quoted = to.display().to_string();
    if quoted.contains('"') {
        let words = format!("The store's path holds a quotation mark: {quoted}");
        return Err(ImageError::Unusable(words));
    }
    let mut command = program("debugfs");
    command
        .arg("-R")
        .arg(format!("rdump / \"{quoted}\""))
        .arg(disk);
    Work::start(command, "e2fsprogs", Streams::None)?
        .finish("Cannot unpack the image", &|_| {})
        .await?;
    restore_special_modes(disk, to).await
}

/// `rdump` copies the bits of a mode that say who may read, write and execute, but not those
/// that make a program run as its owner, or a folder as /tmp is: these come after.
async fn restore_special_modes(disk: &Path, tree: &Path) -> Result<(), ImageError> {
    let cannot = || "read the modes of the image's files".to_owned();
    let mut commands = as_file(&folders(tree)).map_err(ImageError::io(cannot()))?;
    commands.rewind().map_err(ImageError::io(cannot()))?;
    let mut list = program("debugfs");
    // Its commands are its input.
    list.arg("-f")
        .arg("-")
        .arg(disk)
        .stdin(commands)
        .stdout(Stdio::piped());
    let listed = list.output().await.map_err(ImageError::io(cannot()))?;
    for (path, mode) in special_modes(&String::from_utf8_lossy(&listed.stdout)) {
        let path = tree.join(path.trim_start_matches('/'));
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(ImageError::io(
            format!("set the mode of {}", path.display()),
        ))?;
    }
    Ok(())
}

/// A command for debugfs for every folder of a tree: list it for programs.
fn folders(tree: &Path) -> Vec<String> {
    let mut found = vec![PathBuf::new()];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        let entries = std::fs::read_dir(tree.join(&folder)).into_iter().flatten();
        let folders = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(folders.map(|entry| folder.join(entry.file_name())));
        next += 1;
    }
    let commands = found
        .iter()
        .map(|folder| format!("ls -p \"/{}\"", folder.display()));
    commands.collect()
}

fn as_file(lines: &[String]) -> std::io::Result<std::fs::File> {
    let mut file = nestlab_sys::process::memory_file()?;
    file.write_all(lines.join("\n").as_bytes())?;
    file.write_all(b"\n")?;
    Ok(file)
}

/// The files in a listing of debugfs whose modes hold more than who may do what. It echoes
/// its commands; an entry is `/INODE/MODE/USER/GROUP/NAME/SIZE/`, its mode octal.
fn special_modes(listing: &str) -> Vec<(String, u32)> {
    let mut folder = String::new();
    let mut found = Vec::new();
    for line in listing.lines() {
        if let Some((_, path)) = line.split_once("ls -p \"") {
            folder = path.trim_end_matches('"').to_owned();
            continue;
        }
        let fields: Vec<&str> = line.split('/').collect();
        let ["", _, mode, _, _, name, ..] = fields.as_slice() else {
            continue;
        };
        let Ok(mode) = u32::from_str_radix(mode, 8) else {
            continue;
        };
        let is_link = mode & 0o170_000 == 0o120_000;
        if mode & 0o7000 != 0 && !is_link && !matches!(*name, "." | "..") {
            found.push((
                format!("{}/{name}", folder.trim_end_matches('/')),
                mode & 0o7777,
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::special_modes;

    #[test]
    fn special_modes_are_read_from_a_listing() {
        let listing = "debugfs: ls -p \"/\"\n/2/040755/0/0/.//\n/12/041777/0/0/tmp//\n/13/040755/0/0/usr//\n\
                       debugfs: ls -p \"/usr/bin\"\n/20/104755/0/0/su/71912/\n/21/100755/0/0/ls/1/\n/22/127777/0/0/l/1/\n";
        let found = special_modes(listing);
        assert_eq!(
            found,
            [
                ("/tmp".to_owned(), 0o1777),
                ("/usr/bin/su".to_owned(), 0o4755)
            ]
        );
    }
}
