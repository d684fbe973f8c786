//! Images that were brought by hand and can be named by every lab.
//!
//! ```text
//! names/NAME    the digest of the image, in its usual words
//! ```

use crate::builder::Progress;
use crate::store::remove;
use crate::{Image, ImageError, Store};
use nestlab_model::{Digest, ImageName, ImageSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

impl Store {
    /// Takes a file, or the folder of an image for containers, in under a name, instead of
    /// whatever had it.
    ///
    /// # Errors
    /// The file cannot be read, or holds no image.
    pub async fn import(
        &self,
        name: &ImageName,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<Image, ImageError> {
        let cannot = || ImageError::io(format!("read {}", file.display()));
        let path = std::path::absolute(file).map_err(cannot())?;
        std::fs::File::open(&path).map_err(cannot())?;
        let spec = ImageSpec::File { path, sha256: None };
        let image = self.ensure(name, &spec, progress).await?;
        let names = self.root().join("names");
        let keep = || ImageError::io(format!("keep the name `{name}`"));
        std::fs::create_dir_all(&names).map_err(keep())?;
        let text = format!("{}\n", image.digest);
        nestlab_sys::atomic::write_with_mode(&names.join(name.as_str()), text.as_bytes(), 0o644)
            .map_err(keep())?;
        Ok(image)
    }

    /// Removes an image, and the names that it was given.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub async fn forget(&self, image: &Image) -> Result<(), ImageError> {
        let _lock = self
            .lock(&format!("image-{}", image.digest.short()))
            .await?;
        for (name, digest) in names(self.root()) {
            if digest == image.digest {
                let file = self.root().join("names").join(name.as_str());
                std::fs::remove_file(&file)
                    .map_err(ImageError::io(format!("remove {}", file.display())))?;
            }
        }
        remove(&self.image_folder(&image.digest))
    }
}

/// The images below a store's folder that have a name of their own. Asking does not make a
/// store.
pub fn imported(store: &Path) -> BTreeMap<ImageName, ImageSpec> {
    let spec = |(name, digest): (ImageName, Digest)| {
        let folder = store.join("images").join(digest.hex());
        let path = disk_in(&folder)?;
        let sha256 = Some(digest);
        Some((name, ImageSpec::File { path, sha256 }))
    };
    names(store).into_iter().filter_map(spec).collect()
}

fn names(store: &Path) -> Vec<(ImageName, Digest)> {
    let entries = std::fs::read_dir(store.join("names"));
    let entries = entries.into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = ImageName::new(entry.file_name().into_string().ok()?).ok()?;
        let text = std::fs::read_to_string(entry.path()).ok()?;
        Some((name, text.trim().parse().ok()?))
    });
    named.collect()
}

fn disk_in(folder: &Path) -> Option<PathBuf> {
    let disks = ["disk.raw", "disk.qcow2"].map(|name| folder.join(name));
    disks.into_iter().find(|disk| disk.exists())
}
