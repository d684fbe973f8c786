//! One layer of an OCI image, laid over those below it (OCI image specification,
//! "Image Layer Filesystem Changeset").

use super::extension::Extension;
use super::root::{Owner, Root};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// How an entry begins that takes away one of the layers below.
const WHITEOUT: &[u8] = b".wh.";

/// What follows that in the entry that takes away all that the layers below have in its
/// folder.
const OPAQUE: &str = ".wh..opq";

/// What the layers of an image may come to, all together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of files.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// Unpacks a layer. `left` is what may still come, and is less afterwards.
pub(super) fn apply(layer: impl Read, root: &Root, left: &mut Limits) -> io::Result<()> {
    let mut archive = Archive::new(layer);
    // What this layer has brought: whiteouts speak of those below it.
    let mut brought = BTreeSet::new();
    let mut said = Extension::default();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        left.take(entry.size())?;
        if said.take(entry.header().entry_type(), &mut entry)? {
            continue;
        }
        let said = std::mem::take(&mut said);
        let path = match &said.path {
            Some(path) => path.clone(),
            None => entry.path()?.into_owned(),
        };
        unpack(&mut entry, &path, &said, root, &mut brought)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown(&path))))?;
    }
    Ok(())
}

impl Limits {
    /// Takes off one entry of so many bytes.
    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let entries = self.entries.checked_sub(1);
        self.entries = entries.ok_or_else(|| too_much("too many files"))?;
        let bytes = self.bytes.checked_sub(bytes);
        self.bytes = bytes.ok_or_else(|| too_much("too large"))?;
        Ok(())
    }
}

fn unpack(
    entry: &mut Entry<'_, impl Read>,
    path: &Path,
    said: &Extension,
    root: &Root,
    brought: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    if said.size.is_some_and(|size| size != entry.size()) {
        return Err(io::Error::other("files of more than 8 GiB are not read"));
    }
    let owner = owner(entry, said)?;
    let Some(spot) = root.spot(path)? else {
        return Ok(());
    };
    if let Some(hidden) = spot.name().as_bytes().strip_prefix(WHITEOUT) {
        let folder = path.parent().unwrap_or(Path::new(""));
        return white_out(OsStr::from_bytes(hidden), folder, root, brought);
    }
    match entry.header().entry_type() {
        EntryType::Directory => spot.make_folder(owner, &said.attributes)?,
        EntryType::Regular | EntryType::Continuous => {
            let mut file = spot.make_file()?;
            io::copy(entry, &mut file)?;
            spot.settle(&file, owner, &said.attributes)?;
        }
        EntryType::GNUSparse => return Err(io::Error::other("files with holes are not read")),
        EntryType::Symlink => spot.make_link(&target(entry, said)?, owner)?,
        EntryType::Link => {
            let other = root
                .spot(&target(entry, said)?)?
                .ok_or_else(|| io::Error::other("a name for the root"))?;
            spot.make_name_for(&other)?;
        }
        // Machines and containers have devices and pipes of their own.
        _ => return Ok(()),
    }
    brought.insert(normal(path));
    Ok(())
}

fn owner(entry: &Entry<'_, impl Read>, said: &Extension) -> io::Result<Owner> {
    let header = entry.header();
    let number = |said: Option<u64>, own: io::Result<u64>| {
        u32::try_from(said.map_or(own, Ok)?).map_err(io::Error::other)
    };
    Ok(Owner {
        uid: number(said.uid, header.uid())?,
        gid: number(said.gid, header.gid())?,
        mode: header.mode()?,
    })
}

/// What a link says.
fn target(entry: &Entry<'_, impl Read>, said: &Extension) -> io::Result<PathBuf> {
    let own = entry.link_name()?.map(|says| says.into_owned());
    let says = said.link.clone().or(own);
    says.ok_or_else(|| io::Error::other("a link to nothing"))
}

fn white_out(
    hidden: &OsStr,
    folder: &Path,
    root: &Root,
    brought: &BTreeSet<PathBuf>,
) -> io::Result<()> {
    let folder = normal(folder);
    if hidden == OPAQUE {
        return empty(&folder, root, brought);
    }
    if hidden.is_empty() || hidden == "." || hidden == ".." {
        return Err(io::Error::other("it takes away a folder from within"));
    }
    let path = folder.join(hidden);
    if brought.contains(&path) {
        return Ok(());
    }
    match root.spot(&path)? {
        Some(spot) => spot.remove(),
        None => Ok(()),
    }
}

/// Takes away what layers below have in a folder.
fn empty(folder: &Path, root: &Root, brought: &BTreeSet<PathBuf>) -> io::Result<()> {
    let stays = |name: &OsStr| {
        let path = folder.join(name);
        brought
            .range(path.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(&path))
    };
    match root.spot(folder)? {
        Some(spot) => spot.remove_below(stays),
        None => Err(io::Error::other("it takes away the whole root")),
    }
}

/// A path without its beginning at the root or here.
fn normal(path: &Path) -> PathBuf {
    let names = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    });
    names.collect::<Vec<OsString>>().iter().collect()
}

fn too_much(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the image holds {what}"),
    )
}

/// A path for people: names in archives may hold anything.
fn shown(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .flat_map(char::escape_debug)
        .take(200)
        .collect()
}
