//! The store: finished images and kits by digest.
//!
//! ```text
//! images/DIGEST/{disk.raw|disk.qcow2, image.json}
//! kits/…          see `kit`
//! locks/          one file per thing that is being made
//! tmp/            what is being made; whatever nobody holds is swept
//! ```

use crate::builder::Progress;
use crate::kit::file_digest;
use crate::{ImageError, recipe};
use nestlab_model::{ByteSize, Digest, ImageName, ImageSpec};
use nestlab_sys::lock::FileLock;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much room a build must find on the disk, in bytes.
const ROOM: u64 = 1 << 30;

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
}

impl Image {
    /// Bytes that it takes on this machine's disk.
    pub fn disk_usage(&self) -> ByteSize {
        ByteSize::bytes(std::fs::metadata(&self.disk).map_or(0, |m| m.blocks() * 512))
    }
}

/// A folder of images.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store, made if missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, ImageError> {
        for folder in ["images", "kits", "locks", "tmp"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path)
                .map_err(ImageError::io(format!("make {}", path.display())))?;
        }
        Ok(Self { root })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
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
        let digest = digest_of(spec)?;
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
        let (file, format) = self.make(name, spec, &scratch.0, progress).await?;
        self.keep(name, digest, &file, format)
    }

    async fn make(
        &self,
        name: &ImageName,
        spec: &ImageSpec,
        scratch: &Path,
        progress: Progress<'_>,
    ) -> Result<(PathBuf, ImageFormat), ImageError> {
        match spec {
            ImageSpec::Recipe(recipe) => {
                self.need_room()?;
                let file = recipe::build(name.as_str(), recipe, scratch, progress).await?;
                Ok((file, ImageFormat::Raw))
            }
            ImageSpec::File { path, sha256 } => copy_in(path, *sha256, scratch).await,
            ImageSpec::Url { url, sha256 } => {
                let file = self.download(url, sha256, progress).await?;
                copy_in(&file, Some(*sha256), scratch).await
            }
        }
    }

    fn keep(
        &self,
        name: &ImageName,
        digest: Digest,
        file: &Path,
        format: ImageFormat,
    ) -> Result<Image, ImageError> {
        let new = self.scratch()?;
        let file_name = match format {
            ImageFormat::Raw => "disk.raw",
            ImageFormat::Qcow2 => "disk.qcow2",
        };
        let folder = self.image_folder(&digest);
        let cannot = || format!("keep the image `{name}`");
        let virtual_size = virtual_size(file, format)?;
        std::fs::rename(file, new.0.join(file_name)).map_err(ImageError::io(cannot()))?;
        let image = Image { name: name.clone(), digest, disk: folder.join(file_name), format, virtual_size };
        let text = serde_json::to_vec_pretty(&image).expect("images are plain data");
        std::fs::write(new.0.join("image.json"), text).map_err(ImageError::io(cannot()))?;
        std::fs::rename(&new.0, &folder).map_err(ImageError::io(cannot()))?;
        Ok(image)
    }

    fn image_folder(&self, digest: &Digest) -> PathBuf {
        self.root.join("images").join(digest.hex())
    }

    fn get(&self, digest: &Digest) -> Option<Image> {
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
        let mut images: Vec<Image> =
            entries.flatten().filter_map(|entry| read_image(&entry.path())).collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// Removes every image and kit that is not in use, and what is half-made.
    /// Returns how much room that gave.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub async fn prune(&self, in_use: &[Digest]) -> Result<ByteSize, ImageError> {
        self.sweep();
        let mut freed = ByteSize::ZERO;
        for image in self.list()? {
            if in_use.contains(&image.digest) {
                continue;
            }
            let _lock = self.lock(&format!("image-{}", image.digest.short())).await?;
            freed = freed.saturating_add(image.disk_usage());
            remove(&self.image_folder(&image.digest))?;
        }
        Ok(freed)
    }

    /// Waits for the lock on a thing that is to be made.
    pub(crate) async fn lock(&self, name: &str) -> Result<FileLock, ImageError> {
        let path = self.root.join("locks").join(name);
        FileLock::acquire(&path).await.map_err(ImageError::io(format!("lock {}", path.display())))
    }

    /// A new folder below `tmp/`, gone when dropped unless it was renamed.
    pub(crate) fn scratch(&self) -> Result<Scratch, ImageError> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("tmp").join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(ImageError::io(format!("make {}", path.display())))?;
        Ok(Scratch(path))
    }

    /// Removes what processes that are gone have left half-made. Its names
    /// begin with the number of the process that makes it.
    fn sweep(&self) {
        let entries = std::fs::read_dir(self.root.join("tmp")).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
            let at_work = owner.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
            if !at_work {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// A full disk is said before the work, not in its middle.
    pub(crate) fn need_room(&self) -> Result<(), ImageError> {
        let stat = nix::sys::statvfs::statvfs(&self.root)
            .map_err(|error| ImageError::io("look for room in the store")(error.into()))?;
        let free = stat.blocks_available() * stat.fragment_size();
        if free >= ROOM {
            return Ok(());
        }
        let full = io::Error::from_raw_os_error(28); // ENOSPC
        Err(ImageError::io(format!(
            "make an image: {} has {} MiB free and {} MiB are needed",
            self.root.display(),
            free >> 20,
            ROOM >> 20
        ))(full))
    }

    /// Fetches a file with curl, going on where an earlier try was cut off.
    async fn download(
        &self,
        url: &str,
        sha256: &Digest,
        progress: Progress<'_>,
    ) -> Result<PathBuf, ImageError> {
        self.need_room()?;
        let folder = self.root.join("downloads");
        std::fs::create_dir_all(&folder)
            .map_err(ImageError::io(format!("make {}", folder.display())))?;
        let file = folder.join(sha256.hex());
        progress(format!("fetching {url}"));
        let mut command = crate::builder::program("curl");
        command.args(["--fail", "--location", "--silent", "--show-error", "--continue-at", "-", "--output"]);
        command.arg(&file).arg(url);
        crate::builder::Work::start(command, "curl")?
            .finish(&format!("Cannot fetch {url}"), progress)
            .await?;
        Ok(file)
    }
}

/// A folder of something that is being made.
pub(crate) struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn digest_of(spec: &ImageSpec) -> Result<Digest, ImageError> {
    match spec {
        ImageSpec::Recipe(recipe) => recipe::digest(recipe),
        ImageSpec::File { sha256: Some(digest), .. } | ImageSpec::Url { sha256: digest, .. } => {
            Ok(*digest)
        }
        ImageSpec::File { path, sha256: None } => file_digest(path),
    }
}

fn read_image(folder: &Path) -> Option<Image> {
    let image: Image = serde_json::from_slice(&std::fs::read(folder.join("image.json")).ok()?).ok()?;
    image.disk.exists().then_some(image)
}

/// Copies a user's disk image, so that nothing the user does to it later
/// changes what machines stand on.
async fn copy_in(
    path: &Path,
    wanted: Option<Digest>,
    scratch: &Path,
) -> Result<(PathBuf, ImageFormat), ImageError> {
    let copy = scratch.join("copy");
    let (from, to) = (path.to_owned(), copy.clone());
    let copied = tokio::task::spawn_blocking(move || std::fs::copy(from, to)).await;
    copied
        .map_err(io::Error::other)
        .and_then(|result| result)
        .map_err(ImageError::io(format!("copy {}", path.display())))?;
    let found = file_digest(&copy)?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        return Err(ImageError::Checksum {
            what: path.display().to_string(),
            found: found.to_string(),
            wanted: wanted.to_string(),
        });
    }
    let mut magic = [0; 4];
    std::fs::File::open(&copy)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut magic))
        .map_err(ImageError::io(format!("read {}", path.display())))?;
    let format = if &magic == b"QFI\xfb" { ImageFormat::Qcow2 } else { ImageFormat::Raw };
    Ok((copy, format))
}

/// The size of the disk that a file shows.
fn virtual_size(file: &Path, format: ImageFormat) -> Result<ByteSize, ImageError> {
    let cannot = || format!("read {}", file.display());
    match format {
        ImageFormat::Raw => {
            std::fs::metadata(file).map(|m| ByteSize::bytes(m.len())).map_err(ImageError::io(cannot()))
        }
        ImageFormat::Qcow2 => {
            let mut header = [0; 32];
            std::fs::File::open(file)
                .and_then(|mut file| io::Read::read_exact(&mut file, &mut header))
                .map_err(ImageError::io(cannot()))?;
            let size: [u8; 8] = header[24..32].try_into().expect("eight bytes of thirty-two");
            Ok(ByteSize::bytes(u64::from_be_bytes(size)))
        }
    }
}

fn remove(folder: &Path) -> Result<(), ImageError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ImageError::io(format!("remove {}", folder.display()))(error))
        }
        _ => Ok(()),
    }
}
