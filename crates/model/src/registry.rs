//! What an image in a registry is called.

use crate::{Digest, ImageName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The registry of a reference that names none, and its folder for names without one:
/// that is how Docker reads them.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_FOLDER: &str = "library";

/// What is meant by a reference without a tag.
const DEFAULT_TAG: &str = "latest";

/// How containers' tools mark a reference as one.
pub const REGISTRY_SCHEME: &str = "docker://";

/// The longest repository and tag that registries take (OCI distribution specification,
/// "Pulling manifests").
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// `docker.io/library/debian:12`: an image for containers in a registry, completely named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    wanted: Wanted,
}

/// Which image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Tag(String),
    Digest(Digest),
}

/// Why a text names no image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// The host is none.
    #[error("{0:?} is no host of a registry")]
    Registry(String),
    /// The name of the repository is none.
    #[error("{0:?} is no repository: it has a-z and 0-9, with `.`, `_` or `-` between them")]
    Repository(String),
    /// The tag is none.
    #[error("{0:?} is no tag")]
    Tag(String),
    /// The digest is none.
    #[error("{0:?} is not `sha256:` followed by 64 hexadecimal digits")]
    Digest(String),
}

impl Reference {
    /// The digest of its manifest, if that is what it names.
    pub fn digest(&self) -> Option<Digest> {
        match self.wanted {
            Wanted::Digest(digest) => Some(digest),
            Wanted::Tag(_) => None,
        }
    }

    /// The same repository's image with that digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            wanted: Wanted::Digest(digest),
            ..self.clone()
        }
    }

    /// Its address, as containers' tools write it.
    pub fn address(&self) -> String {
        format!("{REGISTRY_SCHEME}{self}")
    }

    /// Whether its registry is on this machine, where nobody is between us and it.
    pub fn is_on_loopback(&self) -> bool {
        let host = self.registry.split(':').next().unwrap_or_default();
        let address = host.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// A name for an image that has none but this.
    pub fn image_name(&self) -> ImageName {
        let wanted = match &self.wanted {
            Wanted::Tag(tag) => tag.clone(),
            Wanted::Digest(digest) => digest.short(),
        };
        let text = format!("{}-{}-{wanted}", self.registry, self.repository);
        let plain = |c: char| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '.') => c,
            _ => '-',
        };
        let text: String = text.chars().map(plain).collect();
        let parts = text.split('.').map(|part| part.trim_matches('-'));
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        // A part that is too long for a name loses its beginning, which says least.
        let short = |part: &&str| {
            part[part.len().saturating_sub(63)..]
                .trim_start_matches('-')
                .to_owned()
        };
        let text = parts.iter().map(short).collect::<Vec<_>>().join(".");
        ImageName::new(text).expect("it was made of parts that are names")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.wanted {
            Wanted::Tag(tag) => write!(f, ":{tag}"),
            Wanted::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        let text = text.strip_prefix(REGISTRY_SCHEME).unwrap_or(text);
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => {
                let wrong = || ParseReferenceError::Digest(digest.to_owned());
                let sound = digest.starts_with("sha256:");
                let digest = digest.parse().ok().filter(|_| sound).ok_or_else(wrong)?;
                (text, Some(digest))
            }
            None => (text, None),
        };
        let (text, tag) = match text.rsplit_once(':') {
            // A colon before a slash is that of a port.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, DEFAULT_TAG),
        };
        if !is_tag(tag) {
            return Err(ParseReferenceError::Tag(tag.to_owned()));
        }
        let (registry, repository) = match text.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, rest.to_owned())
            }
            Some(_) => (DEFAULT_REGISTRY, text.to_owned()),
            None => (DEFAULT_REGISTRY, format!("{DEFAULT_FOLDER}/{text}")),
        };
        if !is_host(registry) {
            return Err(ParseReferenceError::Registry(registry.to_owned()));
        }
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_component) {
            let short = repository.strip_prefix("library/").unwrap_or(&repository);
            return Err(ParseReferenceError::Repository(short.to_owned()));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            wanted: digest.map_or_else(|| Wanted::Tag(tag.to_owned()), Wanted::Digest),
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;
    fn try_from(text: String) -> Result<Self, ParseReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok()),
        None => (text, true),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    port && host.split('.').all(label)
}

fn is_component(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_docker_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let at = |name: &str| format!("{name}@{digest}");
        let check = |text: &str, full: &str| {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(full.parse(), Ok(reference), "{text}");
        };
        check("debian", "docker.io/library/debian:latest");
        check("debian:12", "docker.io/library/debian:12");
        check("docker://debian:12", "docker.io/library/debian:12");
        check("a/b_c/d-e", "docker.io/a/b_c/d-e:latest");
        check("ghcr.io/a/b:v1.0-RC", "ghcr.io/a/b:v1.0-RC");
        check("localhost/a", "localhost/a:latest");
        check("r:5000/a:1", "r:5000/a:1");
        check("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest");
        check(&at("debian"), &at("docker.io/library/debian"));
        check(&at("debian:12"), &at("docker.io/library/debian"));
    }

    #[test]
    fn what_is_no_reference_is_told() {
        let check = |text: &str, word: &str| {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        };
        check("", "repository");
        check("Debian", "repository");
        check("a//b", "repository");
        check("../x", "registry");
        check("a/../b", "repository");
        check("-a", "repository");
        check("debian:", "tag");
        check("debian:-x", "tag");
        check("a b", "repository");
        check("r.x:port/a", "registry");
        check("debian@sha256:12", "hexadecimal");
        check(&format!("debian@{}", "0a".repeat(32)), "hexadecimal");
        check(&"a".repeat(256), "repository");
    }

    #[test]
    fn only_this_machine_is_on_loopback() {
        let check = |text: &str, expected: bool| {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.is_on_loopback(), expected, "{text}");
        };
        check("localhost:5000/a", true);
        check("127.3.2.1/a", true);
        check("debian", false);
        check("127.0.0.1.evil.example/a", false);
        check("localhost.evil.example/a", false);
    }

    #[test]
    fn every_reference_gives_a_name() {
        let check = |text: &str, expected: &str| {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.image_name().as_str(), expected);
        };
        check("debian:12", "docker.io-library-debian-12");
        check("localhost:5000/a_b:X_-", "localhost-5000-a-b-x");
        check(
            &format!("r.x/{}:1.2", "a".repeat(99)),
            &format!("r.{}-1.2", "a".repeat(61)),
        );
    }
}
