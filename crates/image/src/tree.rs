//! Images as trees of files, which containers begin from.

use crate::builder::{Progress, Streams, Work, program};
use crate::store::Store;
use crate::{ImageError, ImageFormat};
use nestlab_model::Digest;
use std::path::{Path, PathBuf};

/// The folder of an image's files, below the image's own.
const TREE: &str = "tree";

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
        .await
}
