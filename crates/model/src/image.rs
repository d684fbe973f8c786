//! What an image is made from.

use crate::{ByteSize, ImageName, Reference};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A SHA-256 digest, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// The text is not `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not `sha256:` followed by 64 hexadecimal digits")]
pub struct ParseDigestError(String);

impl Digest {
    /// The first twelve hexadecimal digits: enough for a serial or a short name.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// All 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let error = || ParseDigestError(text.to_owned());
        let hex = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        if hex.len() != 64 {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;
    fn try_from(text: String) -> Result<Self, ParseDigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// How an image comes to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSpec {
    /// Built here from Debian packages.
    Recipe(Recipe),
    /// Another image, and what is put over it here.
    Derived(Derived),
    /// A qcow2 or raw disk image in a file of this machine.
    File {
        /// An absolute path.
        path: PathBuf,
        /// What the file must hash to, if the user said so.
        sha256: Option<Digest>,
    },
    /// A qcow2 or raw disk image to be fetched.
    Url {
        /// An http or https address.
        url: String,
        /// What the file must hash to.
        sha256: Digest,
    },
    /// One that its publisher replaces now and then. What it hashes to is found out, and
    /// then it is a [`Self::Url`]: nothing is made from it as it is.
    Published {
        /// An http or https address.
        url: String,
        /// The address of a file of checksums that names it: `SHA256SUMS` and the like.
        checksums: String,
    },
    /// An image for containers in a registry.
    Oci {
        /// Where it is.
        reference: Reference,
        /// What its manifest must hash to.
        digest: Digest,
    },
    /// One whose name may come to mean another: as with [`Self::Published`], it is found out
    /// first which it is.
    OciTag {
        /// Where it is.
        reference: Reference,
    },
}

impl ImageSpec {
    /// The address of what is not known yet: somebody else decides what is found there.
    pub fn unpinned(&self) -> Option<String> {
        match self {
            Self::Published { url, .. } => Some(url.clone()),
            Self::OciTag { reference } => Some(reference.address()),
            Self::Derived(derived) => derived.base.unpinned(),
            Self::Recipe(_) | Self::File { .. } | Self::Url { .. } | Self::Oci { .. } => None,
        }
    }

    /// Whether it comes from elsewhere, by a network.
    pub fn is_fetched(&self) -> bool {
        match self {
            Self::Recipe(_) | Self::File { .. } => false,
            Self::Derived(derived) => derived.base.is_fetched(),
            Self::Url { .. } | Self::Published { .. } | Self::Oci { .. } | Self::OciTag { .. } => {
                true
            }
        }
    }

    /// The same, once it is known what is found at its address.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        match self.clone() {
            Self::Published { url, .. } => Self::Url {
                url,
                sha256: digest,
            },
            Self::OciTag { reference } => Self::Oci { reference, digest },
            Self::Derived(derived) => Self::Derived(Derived {
                base: Box::new(derived.base.pinned(digest)),
                ..derived
            }),
            known => known,
        }
    }
}

impl From<Reference> for ImageSpec {
    fn from(reference: Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self::Oci { reference, digest },
            None => Self::OciTag { reference },
        }
    }
}

/// A root file system made of Debian packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The Debian suite, such as `bookworm`.
    pub suite: String,
    /// Packages added to the minimal system.
    pub packages: Vec<String>,
    /// Files added after the packages.
    pub files: Vec<RecipeFile>,
    /// Shell commands run in the new root, in order, after the files.
    pub commands: Vec<String>,
    /// The mirror; `None` takes this machine's own apt configuration on Debian
    /// and mmdebstrap's default elsewhere.
    pub mirror: Option<String>,
    /// A keyring file that signs the mirror.
    pub keyring: Option<PathBuf>,
    /// The size of the file system; grows at most to the node's `disk`.
    pub size: ByteSize,
}

impl Recipe {
    /// A recipe of one suite and some packages, everything else at its default.
    pub fn of(suite: &str, packages: &[&str]) -> Self {
        Self {
            suite: suite.to_owned(),
            packages: packages.iter().map(|&p| p.to_owned()).collect(),
            files: Vec::new(),
            commands: Vec::new(),
            mirror: None,
            keyring: None,
            size: ByteSize::gib(2),
        }
    }
}

/// Files and commands over another image, which has a root file system and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// What the other image is called.
    pub from: ImageName,
    /// How it comes to be.
    pub base: Box<ImageSpec>,
    /// Files added to it.
    pub files: Vec<RecipeFile>,
    /// Shell commands run in the root, in order, after the files.
    pub commands: Vec<String>,
    /// The size of the file system; that of the other image if none is given.
    pub size: Option<ByteSize>,
}

/// A file that a recipe puts into the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeFile {
    /// Where the bytes come from.
    pub source: FileSource,
    /// An absolute path in the image.
    pub target: String,
    /// Permission bits; 0644 for inline content and those of the source for files by default.
    pub mode: Option<u32>,
}

/// Where the bytes of a copied file come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileSource {
    /// The text itself.
    Inline(String),
    /// A file or folder of this machine, by absolute path.
    Host(PathBuf),
    /// A tar archive in the blob store of the level that reads it.
    Blob(Digest),
    /// A file to fetch and check.
    Url {
        /// An http or https address.
        url: String,
        /// What the file must hash to.
        sha256: Digest,
    },
}

/// The images that every lab can name without defining them: two recipes, and the stock
/// images of the [catalogue](crate::catalogue) for this processor.
///
/// `debian` and `hypervisor` are the same minimal Debian; the latter carries
/// what a parent needs on its network, and a runtime for containers. The inner QEMU comes
/// from the kit.
pub fn builtin_images() -> BTreeMap<ImageName, ImageSpec> {
    let base = ["iproute2"];
    let parent = ["iproute2", "nftables", "iputils-ping", "procps", "runc"];
    [
        ("debian", Recipe::of("bookworm", &base)),
        ("hypervisor", Recipe::of("bookworm", &parent)),
    ]
    .into_iter()
    .map(|(name, recipe)| {
        let name = ImageName::new(name).expect("built-in image names are valid");
        (name, ImageSpec::Recipe(recipe))
    })
    .chain(crate::catalogue(std::env::consts::ARCH))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_parse_and_print() {
        let text = format!("sha256:{}", "0af1".repeat(16));
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.short(), "0af10af10af1");
        assert!("sha256:xyz".parse::<Digest>().is_err());
        assert!("é".repeat(32).parse::<Digest>().is_err());
    }
}
