//! The store: finished images and kits by digest.
//!
//! ```text
//! images/DIGEST/{disk.raw|disk.qcow2, image.json}
//! kits/…          see `kit`
//! templates/…     the engine's: machines that have booted
//! locks/          one file per thing that is being made
//! memos/          digests of large files, by number, size and time
//! downloads/      parts of files that are being fetched
//! tmp/            what is being made; whatever nobody holds is swept
//! ```

use crate::builder::Progress;
use crate::workplace::{self, Scratch};
use crate::{ImageError, derived, digest, foreign, oci, recipe, registry, vagrant_box};
use nestlab_model::{ByteSize, Digest, ImageName, ImageSpec};
use nestlab_sys::lock::FileLock;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The format of an image's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// The bytes of the disk themselves.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The name under which it was first asked for.
    pub name: ImageName,
    /// What it is.
    pub digest: Digest,
    /// Its file.
    pub disk: PathBuf,
    /// The file's format.
    pub format: ImageFormat,
    /// The size of the disk it shows.
    pub virtual_size: ByteSize,
    /// Whether its file system was made here, and not brought by somebody.
    #[serde(default)]
    pub ours: bool,
    /// What it holds, by [`Store::is_sound`]'s way to tell; `None` of one that an older
    /// program made.
    #[serde(default)]
    pub content: Option<Digest>,
}

impl Image {
    /// Bytes that it takes on this machine's disk.
    pub fn disk_usage(&self) -> ByteSize {
        ByteSize::bytes(std::fs::metadata(&self.disk).map_or(0, |m| m.blocks() * 512))
    }
}

/// An image's disk that has just been made, and is to be kept.
struct Made {
    file: PathBuf,
    format: ImageFormat,
    /// See [`Image::ours`].
    ours: bool,
}

impl Made {
    /// One whose file system was made here.
    fn here(file: PathBuf) -> Self {
        Self {
            file,
            format: ImageFormat::Raw,
            ours: true,
        }
    }

    /// One that somebody brought.
    fn elsewhere(file: PathBuf, format: ImageFormat) -> Self {
        Self {
            file,
            format,
            ours: false,
        }
    }
}

/// What a disk is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    /// An image for containers.
    Oci,
    /// A box of Vagrant's.
    Box,
}

fn packing(file: &Path) -> Packing {
    if !file.is_dir() && vagrant_box::is_one(file) {
        return Packing::Box;
    }
    match oci::is_one(file) {
        true => Packing::Oci,
        false => Packing::None,
    }
}

async fn unpack(
    packing: Packing,
    file: &Path,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Made, ImageError> {
    if packing == Packing::Oci {
        return Ok(Made::here(oci::convert(file, scratch, progress).await?));
    }
    let (disk, format) = vagrant_box::unpack(file, scratch, progress).await?;
    Ok(Made::elsewhere(disk, format))
}

/// A folder of images.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// How addresses begin, and how those of their mirrors do.
    mirrors: BTreeMap<String, String>,
}

impl Store {
    /// Opens a store, made if missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, ImageError> {
        for folder in ["images", "kits", "locks", "memos", "tmp"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path)
                .map_err(ImageError::io(format!("make {}", path.display())))?;
        }
        Ok(Self {
            root,
            mirrors: BTreeMap::new(),
        })
    }

    /// The same, which fetches from mirrors: what begins like the first is fetched from where
    /// the second says. An image is named by its own address all the same.
    #[must_use]
    pub fn with_mirrors(self, mirrors: BTreeMap<String, String>) -> Self {
        Self { mirrors, ..self }
    }

    /// Where what has an address is fetched from. Of several mirrors the most special is taken.
    pub(crate) fn mirrored<'a>(&self, url: &'a str) -> Cow<'a, str> {
        let fits = |(from, to): (&String, &String)| {
            let rest = url.strip_prefix(from.as_str())?;
            Some((from.len(), format!("{to}{rest}")))
        };
        let best = self.mirrors.iter().filter_map(fits).max();
        best.map_or(Cow::Borrowed(url), |(_, mirrored)| Cow::Owned(mirrored))
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it is kept what backends were proved to do on this machine.
    pub fn proved_file(&self) -> PathBuf {
        self.root.join("proved.json")
    }

    /// Finds an image, or makes it: once, however many ask.
    ///
    /// # Errors
    /// See [`ImageError`]. What was half-made is gone or is swept later.
    pub async fn ensure(
        &self,
        name: &ImageName,
        spec: &ImageSpec,
        progress: Progress<'_>,
    ) -> Result<Image, ImageError> {
        let digest = self.digest_of(spec).await?;
        if let Some(image) = self.get(&digest) {
            return Ok(image);
        }
        let _lock = self.lock(&format!("image-{}", digest.short())).await?;
        if let Some(image) = self.get(&digest) {
            return Ok(image);
        }
        self.sweep();
        let scratch = self.scratch()?;
        progress(format!("making the image {name}"));
        let made = self.make(name, spec, &scratch.path, progress).await?;
        self.keep(name, digest, made)
    }

    /// The finished image of a spec, if there is one.
    pub async fn find(&self, spec: &ImageSpec) -> Option<Image> {
        let digest = self.digest_of(spec).await.ok()?;
        self.get(&digest)
    }

    /// Names the image of a spec: a recipe by what it is made from, anything
    /// else by its bytes.
    pub(crate) async fn digest_of(&self, spec: &ImageSpec) -> Result<Digest, ImageError> {
        match spec {
            ImageSpec::Recipe(recipe) => recipe::digest(recipe),
            ImageSpec::Derived(derived) => {
                let base = Box::pin(self.digest_of(&derived.base)).await?;
                derived::digest(derived, &base)
            }
            ImageSpec::File {
                sha256: Some(digest),
                ..
            }
            | ImageSpec::Url { sha256: digest, .. }
            | ImageSpec::Oci { digest, .. } => Ok(*digest),
            ImageSpec::File { path, sha256: None } if path.is_dir() => {
                digest::of_file(&oci::index_of(path))
            }
            ImageSpec::File { path, sha256: None } => self.remembered_digest(path).await,
            ImageSpec::Published { url, .. } => Err(not_pinned(url)),
            ImageSpec::OciTag { reference } => Err(not_pinned(&reference.address())),
        }
    }

    async fn make(
        &self,
        name: &ImageName,
        spec: &ImageSpec,
        scratch: &Path,
        progress: Progress<'_>,
    ) -> Result<Made, ImageError> {
        self.need_room()?;
        match spec {
            ImageSpec::Recipe(recipe) => {
                let made = recipe::build(name.as_str(), recipe, self, scratch, progress);
                Ok(Made::here(made.await?))
            }
            ImageSpec::Derived(derived) => {
                let base = Box::pin(self.ensure(&derived.from, &derived.base, progress)).await?;
                let made = derived::build(name.as_str(), derived, &base, self, scratch, progress);
                Ok(Made::here(made.await?))
            }
            ImageSpec::File { path, sha256 } => {
                self.brought(path, *sha256, scratch, progress).await
            }
            ImageSpec::Url { url, sha256 } => {
                let file = foreign::fetch(self, url, sha256, scratch, progress).await?;
                match packing(&file) {
                    Packing::None => {
                        let format = foreign::format_of(&file)?;
                        Ok(Made::elsewhere(file, format))
                    }
                    packing => unpack(packing, &file, scratch, progress).await,
                }
            }
            ImageSpec::Oci { reference, digest } => {
                let layout = registry::fetch(self, reference, *digest, progress).await?;
                let disk = oci::convert(&layout, scratch, progress).await;
                // Of what cannot be used, nothing is kept either.
                remove(&layout)?;
                Ok(Made::here(disk?))
            }
            ImageSpec::Published { url, .. } => Err(not_pinned(url)),
            ImageSpec::OciTag { reference } => Err(not_pinned(&reference.address())),
        }
    }

    /// What is made of a file of the user's.
    async fn brought(
        &self,
        path: &Path,
        sha256: Option<Digest>,
        scratch: &Path,
        progress: Progress<'_>,
    ) -> Result<Made, ImageError> {
        match packing(path) {
            Packing::None => {
                let (file, format) = foreign::copy_in(path, sha256, scratch).await?;
                Ok(Made::elsewhere(file, format))
            }
            packing => {
                foreign::check(path, &path.display().to_string(), sha256).await?;
                unpack(packing, path, scratch, progress).await
            }
        }
    }

    fn keep(&self, name: &ImageName, digest: Digest, made: Made) -> Result<Image, ImageError> {
        let Made { file, format, ours } = made;
        let new = self.scratch()?;
        let file_name = match format {
            ImageFormat::Raw => "disk.raw",
            ImageFormat::Qcow2 => "disk.qcow2",
        };
        let folder = self.image_folder(&digest);
        let cannot = || format!("keep the image `{name}`");
        let virtual_size = foreign::virtual_size(&file, format)?;
        let content = digest::of_content(&file).map_err(ImageError::io(cannot()))?;
        std::fs::rename(file, new.path.join(file_name)).map_err(ImageError::io(cannot()))?;
        let image = Image {
            name: name.clone(),
            digest,
            disk: folder.join(file_name),
            format,
            virtual_size,
            ours,
            content: Some(content),
        };
        let text = serde_json::to_vec_pretty(&image).expect("images are plain data");
        std::fs::write(new.path.join("image.json"), text).map_err(ImageError::io(cannot()))?;
        std::fs::rename(&new.path, &folder).map_err(ImageError::io(cannot()))?;
        Ok(image)
    }

    pub(crate) fn image_folder(&self, digest: &Digest) -> PathBuf {
        self.root.join("images").join(digest.hex())
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Image> {
        read_image(&self.image_folder(digest))
    }

    /// All finished images.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let folder = self.root.join("images");
        let entries = std::fs::read_dir(&folder)
            .map_err(ImageError::io(format!("read {}", folder.display())))?;
        let mut images: Vec<Image> = entries
            .flatten()
            .filter_map(|entry| read_image(&entry.path()))
            .collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// Removes every image that is not in use, every kit but the one that was
    /// asked for last and those that these kernels are of, all templates, and what
    /// is half-made. Returns how much room that gave.
    /// A machine that still runs on a removed file keeps it until it ends.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub async fn prune(
        &self,
        in_use: &[Digest],
        kernels: &[PathBuf],
    ) -> Result<ByteSize, ImageError> {
        self.sweep();
        let mut freed = ByteSize::ZERO;
        for image in self.list()? {
            if in_use.contains(&image.digest) {
                continue;
            }
            let _lock = self
                .lock(&format!("image-{}", image.digest.short()))
                .await?;
            freed = freed.saturating_add(image.disk_usage());
            remove(&self.image_folder(&image.digest))?;
        }
        freed = freed.saturating_add(self.prune_templates()?);
        Ok(freed.saturating_add(self.prune_kits(kernels).await?))
    }

    /// Removes templates, which are made again when they are wanted. Their clones
    /// have their own names for what they need.
    fn prune_templates(&self) -> Result<ByteSize, ImageError> {
        let mut freed = ByteSize::ZERO;
        let entries = std::fs::read_dir(self.root.join("templates"));
        for template in entries.into_iter().flatten().flatten() {
            let path = template.path();
            if template.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let files = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let blocks: u64 = files
                .filter_map(|file| Some(file.metadata().ok()?.blocks()))
                .sum();
            freed = freed.saturating_add(ByteSize::bytes(blocks * 512));
            remove(&path)?;
        }
        Ok(freed)
    }

    /// Where what is being fetched lies until it is whole.
    pub(crate) fn download_path(&self, name: &str) -> Result<PathBuf, ImageError> {
        let folder = self.root.join("downloads");
        std::fs::create_dir_all(&folder)
            .map_err(ImageError::io(format!("make {}", folder.display())))?;
        Ok(folder.join(name))
    }

    /// Waits for the lock on a thing that is to be made.
    pub(crate) async fn lock(&self, name: &str) -> Result<FileLock, ImageError> {
        let path = self.root.join("locks").join(name);
        FileLock::acquire(&path)
            .await
            .map_err(ImageError::io(format!("lock {}", path.display())))
    }

    /// A new folder below `tmp/`, ours alone, gone when dropped unless it was
    /// renamed.
    pub(crate) fn scratch(&self) -> Result<Scratch, ImageError> {
        Scratch::new(&self.root.join("tmp"), 0o700)
    }

    /// Removes what makers that are gone have left half-made.
    pub(crate) fn sweep(&self) {
        workplace::sweep(&self.root.join("tmp"));
    }

    /// A full disk is said before the work, not in its middle.
    pub(crate) fn need_room(&self) -> Result<(), ImageError> {
        workplace::need_room(&self.root)
    }
}

fn not_pinned(url: &str) -> ImageError {
    ImageError::Unusable(format!("It is not known yet what {url} hashes to"))
}

fn read_image(folder: &Path) -> Option<Image> {
    let text = std::fs::read(folder.join("image.json")).ok()?;
    let mut image: Image = serde_json::from_slice(&text).ok()?;
    // The store may have been moved since.
    image.disk = folder.join(image.disk.file_name()?);
    image.disk.exists().then_some(image)
}

pub(crate) fn remove(folder: &Path) -> Result<(), ImageError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ImageError::io(format!(
            "remove {}",
            folder.display()
        ))(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_mirror_comes_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let mirrors = [
            ("https://a.example/", "http://m.example/a/"),
            ("https://a.example/deep/", "file:///srv/"),
        ];
        let mirrors = mirrors.map(|(from, to)| (from.to_owned(), to.to_owned()));
        let store = Store::open(folder.path().into()).unwrap();
        let store = store.with_mirrors(mirrors.into());
        for (url, expected) in [
            ("https://a.example/x", "http://m.example/a/x"),
            ("https://a.example/deep/x", "file:///srv/x"),
            ("https://a.example.net/x", "https://a.example.net/x"),
            ("https://b.example/x", "https://b.example/x"),
        ] {
            assert_eq!(store.mirrored(url), expected);
        }
    }
}
