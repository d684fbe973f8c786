//! The files that an image for containers consists of, in an archive or in a folder.

use super::{INDEX, packing};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

/// What `docker save` writes beside the layers.
const DOCKER: &str = "manifest.json";

/// The longest description that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// The files of an image, by their names.
pub(super) struct Members {
    places: BTreeMap<String, Place>,
}

/// Where the bytes of one are.
#[derive(Clone)]
struct Place {
    file: Rc<Path>,
    start: u64,
    size: u64,
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
    /// Looks through an archive or a folder.
    pub fn of(path: &Path) -> io::Result<Self> {
        let places = match path.is_dir() {
            true => Self::in_folder(path)?,
            false => Self::in_archive(path)?,
        };
        Ok(Self { places })
    }

    /// Only files, and not what links lead to: that might be anything.
    fn in_folder(path: &Path) -> io::Result<BTreeMap<String, Place>> {
        let mut places = BTreeMap::new();
        for below in ["", "blobs/sha256"] {
            for entry in std::fs::read_dir(path.join(below))? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                let name = entry.file_name().into_string();
                if let (true, Ok(name)) = (metadata.is_file(), name) {
                    let name = Path::new(below).join(name).to_string_lossy().into_owned();
                    let place = Place {
                        file: entry.path().into(),
                        start: 0,
                        size: metadata.len(),
                    };
                    places.insert(name, place);
                }
            }
        }
        // A folder is known by the digest of its index, which says all that is in it.
        places.remove(DOCKER);
        Ok(places)
    }

    fn in_archive(path: &Path) -> io::Result<BTreeMap<String, Place>> {
        let file: Rc<Path> = path.into();
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
                    let place = Place {
                        file: file.clone(),
                        start: entry.raw_file_position(),
                        size: entry.size(),
                    };
                    places.insert(name, place);
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
                .find_map(|to| places.get(to).cloned());
            places.extend(found.map(|place| (name, place)));
        }
        Ok(places)
    }

    /// The names of the layers, the lowest first.
    pub fn layers(&self) -> io::Result<Vec<String>> {
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
    fn raw(&self, name: &str) -> io::Result<impl BufRead + use<>> {
        let missing = || io::Error::other(format!("{name} is missing"));
        let place = self.places.get(name).ok_or_else(missing)?;
        let mut file = File::open(&place.file)?;
        file.seek(SeekFrom::Start(place.start))?;
        Ok(BufReader::new(file).take(place.size))
    }

    /// A layer, unpacked from whatever it is packed with.
    pub fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        packing::unpacked(self.raw(name)?)
    }

    /// Refuses a member that is named by a digest and has another.
    pub fn verify(&self, name: &str) -> io::Result<()> {
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
