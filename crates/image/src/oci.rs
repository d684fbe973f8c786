//! Images of containers: as `docker save` and its like write them, or as an OCI image layout
//! in an archive. Their layers become one file system, which containers and virtual machines
//! begin from as from a recipe's.
//!
//! Nothing in an archive is trusted: layers are unpacked in a [`root::Root`], sizes and
//! numbers are bounded, devices are left out, and what is named by a digest has it.

mod layer;
mod root;

use crate::ImageError;
use crate::builder::{Progress, Streams, Work, program};
use flate2::read::MultiGzDecoder;
use layer::Limits;
use nestlab_model::ByteSize;
use root::Root;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What `docker save` writes beside the layers.
const DOCKER: &str = "manifest.json";

/// What an OCI image layout has.
const INDEX: &str = "index.json";

/// Where archives have their magic number, and what it is (tar(5)).
const MAGIC_AT: u64 = 257;
const MAGIC: &[u8] = b"ustar";

/// The longest description that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// The most that an image may come to.
const LIMITS: Limits = Limits {
    bytes: 64 << 30,
    entries: 4_000_000,
};

/// The disk that the files of an image get, at least.
const DISK: ByteSize = ByteSize::gib(2);

/// How the kinds of compression of a layer begin.
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whether a file is an archive with an image for containers in it.
pub(crate) fn is_one(path: &Path) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut magic = [0; MAGIC.len()];
        file.seek(SeekFrom::Start(MAGIC_AT))?;
        file.read_exact(&mut magic)?;
        Ok(magic == MAGIC)
    };
    read().unwrap_or(false)
}

/// Makes a disk with an ext4 file system of all that an archive's image holds.
pub(crate) async fn convert(
    archive: &Path,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    progress("unpacking the layers of the image".into());
    let tree = scratch.join("tree");
    std::fs::create_dir(&tree).map_err(ImageError::io("make a folder for the image"))?;
    let (from, to) = (archive.to_owned(), tree.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to)).await;
    let bytes = match unpacked {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let words = format!("{} cannot be unpacked: {error}", archive.display());
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

/// Unpacks all layers, the lowest first; gives the bytes of their files.
fn unpack(archive: &Path, to: &Path) -> io::Result<u64> {
    let members = Members::of(archive)?;
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

/// The files of an archive, by their names, and where each lies.
struct Members {
    archive: PathBuf,
    places: BTreeMap<String, (u64, u64)>,
}

#[derive(Deserialize)]
struct DockerImage {
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
}

impl Members {
    fn of(path: &Path) -> io::Result<Self> {
        let mut archive = tar::Archive::new(BufReader::new(File::open(path)?));
        let mut places = BTreeMap::new();
        let mut links = Vec::new();
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = plain(&entry.path()?.to_string_lossy());
            match entry.link_name()? {
                // Older versions of Docker link layers that are equal.
                Some(says) => links.push((name, says.to_string_lossy().into_owned())),
                None => {
                    places.insert(name, (entry.raw_file_position(), entry.size()));
                }
            }
        }
        for (name, says) in links {
            let beside = Path::new(&name)
                .parent()
                .unwrap_or(Path::new(""))
                .join(&says);
            let found = [plain(&says), folded(&beside)]
                .iter()
                .find_map(|to| places.get(to).copied());
            places.extend(found.map(|place| (name, place)));
        }
        Ok(Self {
            archive: path.to_owned(),
            places,
        })
    }

    /// The names of the layers, the lowest first.
    fn layers(&self) -> io::Result<Vec<String>> {
        if self.places.contains_key(DOCKER) {
            let images: Vec<DockerImage> = self.json(DOCKER)?;
            let [image] = images.as_slice() else {
                let words = format!("it holds {} images and not one", images.len());
                return Err(io::Error::other(words));
            };
            return Ok(image.layers.iter().map(|name| plain(name)).collect());
        }
        if !self.places.contains_key(INDEX) {
            let words =
                format!("it holds neither {DOCKER} nor {INDEX}: it is no image of containers");
            return Err(io::Error::other(words));
        }
        let index: Index = self.json(INDEX)?;
        let manifest = self.manifest(&index, 0)?;
        manifest
            .layers
            .iter()
            .map(|layer| blob(&layer.digest))
            .collect()
    }

    /// The manifest for this architecture; an index may lead to an index.
    fn manifest(&self, index: &Index, depth: u32) -> io::Result<Manifest> {
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let fits = |entry: &&Descriptor| {
            entry
                .platform
                .as_ref()
                .is_none_or(|platform| platform.architecture == own)
        };
        let found = index.manifests.iter().find(fits);
        let found =
            found.ok_or_else(|| io::Error::other(format!("it holds no image for {own}")))?;
        let name = blob(&found.digest)?;
        self.verify(&name)?;
        if let Ok(manifest) = self.json::<Manifest>(&name) {
            return Ok(manifest);
        }
        match depth {
            0..4 => self.manifest(&self.json(&name)?, depth + 1),
            _ => Err(io::Error::other("its indexes lead nowhere")),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let text = self.raw(name)?.take(LONGEST);
        serde_json::from_reader(text).map_err(|error| io::Error::other(format!("{name}: {error}")))
    }

    /// The bytes of a member.
    fn raw(&self, name: &str) -> io::Result<impl Read + use<>> {
        let missing = || io::Error::other(format!("{name} is missing"));
        let (start, size) = *self.places.get(name).ok_or_else(missing)?;
        let mut file = File::open(&self.archive)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(file).take(size))
    }

    /// A layer, unpacked from whatever it is packed with.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let mut head = Vec::new();
        self.raw(name)?.take(4).read_to_end(&mut head)?;
        let bytes = self.raw(name)?;
        if head.starts_with(ZSTD) {
            return Err(io::Error::other(
                "its layers are packed with zstd, which is not read yet",
            ));
        }
        Ok(match head.starts_with(GZIP) {
            true => Box::new(MultiGzDecoder::new(bytes)),
            false => Box::new(bytes),
        })
    }

    /// Refuses a member that is named by a digest and has another.
    fn verify(&self, name: &str) -> io::Result<()> {
        let Some(wanted) = name.strip_prefix("blobs/sha256/") else {
            return Ok(());
        };
        let mut hasher = Sha256::new();
        let mut bytes = self.raw(name)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match bytes.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        let found = nestlab_model::Digest(hasher.finalize().into());
        match found.hex() == wanted {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{name} is damaged: its digest is another"
            ))),
        }
    }
}

/// Where a layout has what has a digest.
fn blob(digest: &str) -> io::Result<String> {
    let hex = digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let hex =
        hex.ok_or_else(|| io::Error::other(format!("{digest:.80?} is no digest that is known")))?;
    Ok(format!("blobs/sha256/{hex}"))
}

fn plain(name: &str) -> String {
    name.trim_start_matches("./")
        .trim_start_matches('/')
        .to_owned()
}

/// A path in which `..` has been followed by its letters.
fn folded(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().filter_map(|part| part.to_str()) {
        match part {
            ".." => drop(parts.pop()),
            "." | "/" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
