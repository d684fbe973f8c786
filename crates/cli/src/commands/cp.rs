//! `nestlab cp`: files and folders into a node or out of it, named as by
//! `docker cp`: into a folder that exists, or under the name that is given.
//!
//! Everything travels as a tar archive. What comes out of a guest is hostile:
//! it is unpacked into a fresh folder, which it cannot leave, and only then
//! moved to its place.

use crate::cli::CpArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_api::client::{ByteReader, Client};
use nestlab_model::NodePath;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use tokio_util::io::SyncIoBridge;

/// Bytes under way between the archive's writer and the wire.
const BUFFER: usize = 64 * 1024;

/// One side of a copy.
enum Side {
    Here(PathBuf),
    There(NodePath, String),
}

pub fn run(context: &Context, args: CpArgs) -> Result<u8, Error> {
    let (source, target) = (parse(&args.source)?, parse(&args.target)?);
    context.block_on(async {
        match (source, target) {
            (Side::Here(source), Side::There(node, target)) => {
                let client = super::client(context).await?;
                copy_in(context, &client, &source, &node, &target).await?;
            }
            (Side::There(node, source), Side::Here(target)) => {
                let client = super::client(context).await?;
                copy_out(&client, &node, &source, &target).await?;
            }
            (Side::Here(_), Side::Here(_)) => {
                return Err(
                    Error::new(Code::Usage, "Neither side of the copy is in a node")
                        .hint("Write `NODE:PATH` for a path in a node"),
                );
            }
            (Side::There(..), Side::There(..)) => {
                return Err(
                    Error::new(Code::Usage, "Both sides of the copy are in nodes")
                        .hint("Copy to a folder of this machine first"),
                );
            }
        }
        Ok(0)
    })
}

/// `NODE:PATH`, unless a slash comes first that is not part of a node's path:
/// `./a:b` and `/a:b` are here.
fn parse(text: &str) -> Result<Side, Error> {
    let here = || Ok(Side::Here(PathBuf::from(text)));
    if text.starts_with(['/', '.']) {
        return here();
    }
    let Some((node, path)) = text.split_once(':') else {
        return here();
    };
    let node: NodePath = node.parse().map_err(|error| {
        Error::caused(format!("`{text}` is not `NODE:PATH`"), &error)
            .code(Code::Usage)
            .hint(format!("For a file of this machine write `./{text}`"))
    })?;
    let absolute = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(Side::There(node, absolute))
}

/// What a folder's name stands for when written with `/.` behind it.
fn means_content(text: &str) -> bool {
    text == "." || text.ends_with("/.")
}

async fn copy_in(
    context: &Context,
    client: &Client,
    source: &Path,
    node: &NodePath,
    target: &str,
) -> Result<(), Error> {
    let metadata = fs::metadata(source)
        .map_err(|error| Error::caused(format!("Cannot read `{}`", source.display()), &error))?;
    let look = "if [ -d \"$1\" ]; then echo folder; elif [ -e \"$1\" ]; then echo file; fi";
    let kind = super::exec::capture(client, node, look, target).await?;
    if metadata.is_dir() && kind == "file" {
        return Err(Error::new(
            Code::Failed,
            format!("`{node}:{target}` is a file, not a folder"),
        ));
    }
    let content = metadata.is_dir() && means_content(&source.to_string_lossy());
    let (folder, name) = if kind == "folder" || target.ends_with('/') {
        let name = if content {
            String::new()
        } else {
            base_name(source)?
        };
        (target.trim_end_matches('/').to_owned(), name)
    } else if metadata.is_dir() {
        (target.to_owned(), String::new())
    } else {
        let (folder, name) = target.rsplit_once('/').unwrap_or(("", target));
        (folder.to_owned(), name.to_owned())
    };
    let folder = if folder.is_empty() {
        "/".to_owned()
    } else {
        folder
    };
    send(context, client, source, node, &folder, name).await
}

async fn send(
    context: &Context,
    client: &Client,
    source: &Path,
    node: &NodePath,
    folder: &str,
    name: String,
) -> Result<(), Error> {
    let (reader, writer) = tokio::io::duplex(BUFFER);
    let bridge = SyncIoBridge::new(writer);
    let from = source.to_owned();
    let packing = tokio::task::spawn_blocking(move || pack(&from, Path::new(&name), bridge));
    let sent = client.at(node).put_files(folder, reader).await;
    let skipped = match packing.await {
        Ok(Ok(skipped)) => skipped,
        // The far side gave up first: its own words say why.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Vec::new(),
        Ok(Err(error)) => {
            return Err(Error::caused(
                format!("Cannot read `{}`", source.display()),
                &error,
            ));
        }
        Err(error) => return Err(Error::caused("Cannot pack the files", &error)),
    };
    for path in skipped {
        context.warn(&format!(
            "`{}` is a socket, pipe or device: left out",
            path.display()
        ));
    }
    match sent {
        Ok(()) => Ok(()),
        Err(error) => Err(super::explain(client, node, error.into()).await),
    }
}

/// Writes a file or folder as an archive under another name; an empty name
/// stands for the content alone. Returns what was left out.
fn pack(source: &Path, name: &Path, to: impl Write) -> io::Result<Vec<PathBuf>> {
    let mut archive = tar::Builder::new(to);
    archive.follow_symlinks(false);
    let mut skipped = Vec::new();
    // What is named itself may be a link; links inside are kept as links.
    let resolved = fs::canonicalize(source)?;
    add(&mut archive, &resolved, name, &mut skipped)?;
    archive.into_inner()?.flush()?;
    Ok(skipped)
}

fn add(
    archive: &mut tar::Builder<impl Write>,
    path: &Path,
    name: &Path,
    skipped: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        if name != Path::new("") {
            archive.append_dir(name, path)?;
        }
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            add(
                archive,
                &entry.path(),
                &name.join(entry.file_name()),
                skipped,
            )?;
        }
    } else if kind.is_file() || kind.is_symlink() {
        archive.append_path_with_name(path, name)?;
    } else {
        skipped.push(path.to_owned());
    }
    Ok(())
}

async fn copy_out(
    client: &Client,
    node: &NodePath,
    source: &str,
    target: &Path,
) -> Result<(), Error> {
    let content = means_content(source);
    let trimmed = source.trim_end_matches("/.").trim_end_matches('/');
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let reader = match client.at(node).get_files(trimmed).await {
        Ok(reader) => reader,
        Err(error) => return Err(super::explain(client, node, error.into()).await),
    };
    let what = format!("Cannot copy `{node}:{source}` to `{}`", target.display());
    let target = target.to_owned();
    let name = Path::new(trimmed).file_name().map(ToOwned::to_owned);
    let unpacking = tokio::task::spawn_blocking(move || receive(reader, name, &target, content));
    match unpacking.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::caused(what, &error)),
        Err(error) => Err(Error::caused(what, &error)),
    }
}

/// Takes what a guest sends. Of a file or folder that was asked for by a `name`, that is the name
/// it gets here: the guest may send another.
fn receive(
    reader: ByteReader,
    name: Option<OsString>,
    target: &Path,
    content: bool,
) -> io::Result<()> {
    let into_folder = target.is_dir();
    let parent = if into_folder {
        target
    } else {
        parent_of(target)
    };
    let fresh = tempfile::Builder::new()
        .prefix(".nestlab-cp-")
        .tempdir_in(parent)?;
    unpack(SyncIoBridge::new(reader), fresh.path())?;
    let mut entries = fs::read_dir(fresh.path())?.collect::<Result<Vec<_>, _>>()?;
    let (Some(entry), true) = (entries.pop(), entries.is_empty()) else {
        return Err(io::Error::other(
            "The archive does not hold exactly one file or folder",
        ));
    };
    if entry.file_type()?.is_symlink() {
        // Put here, it would lead the next copy to wherever the guest says.
        return Err(io::Error::other(
            "It is a symbolic link: copy what it leads to, or the folder that it is in",
        ));
    }
    let is_folder = entry.file_type()?.is_dir();
    if is_folder && content {
        fs::create_dir_all(target)?;
        return merge(&entry.path(), target);
    }
    match (into_folder, name) {
        (false, _) => merge(&entry.path(), target),
        (true, Some(name)) => merge(&entry.path(), &target.join(name)),
        (true, None) => Err(io::Error::other(
            "What has no name cannot be put into a folder: name a target that is not there yet",
        )),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Unpacks an archive from a guest: files, folders and links only, none of
/// them outside.
fn unpack(reader: impl io::Read, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(false);
    archive.set_overwrite(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let known = kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link();
        if known && !entry.unpack_in(into)? {
            let name = entry.path()?.display().to_string();
            return Err(io::Error::other(format!(
                "The archive's `{name}` leads outside"
            )));
        }
    }
    Ok(())
}

/// Moves a tree to its place; folders that are there already keep what they
/// have beside it.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(from)?.is_dir();
    let there = fs::symlink_metadata(to).ok();
    match there {
        Some(there) if is_folder && there.is_dir() => {
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                merge(&entry.path(), &to.join(entry.file_name()))?;
            }
            Ok(())
        }
        Some(there) if is_folder || there.is_dir() => {
            let (is, want) = if is_folder {
                ("file", "folder")
            } else {
                ("folder", "file")
            };
            let name = to.display();
            Err(io::Error::other(format!(
                "`{name}` is a {is}; it is not replaced by a {want}"
            )))
        }
        _ => fs::rename(from, to),
    }
}

/// The last name of a path, of the real one if it ends in dots.
fn base_name(path: &Path) -> Result<String, Error> {
    let named = path
        .components()
        .next_back()
        .is_some_and(|last| matches!(last, Component::Normal(_)));
    let real = if named {
        path.to_owned()
    } else {
        fs::canonicalize(path).unwrap_or_default()
    };
    let name = real
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| {
        Error::new(
            Code::Usage,
            format!("`{}` has no name to copy it under", path.display()),
        )
        .hint("Name a folder that does not exist yet as the target")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn packed(source: &Path, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(source, Path::new(name), &mut bytes).unwrap();
        bytes
    }

    fn tree(at: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![at.to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap().flatten() {
                found.push(entry.path().strip_prefix(at).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    todo.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn folders_travel_with_their_links() {
        let home = tempfile::tempdir().unwrap();
        let (source, target) = (home.path().join("a"), home.path().join("out"));
        fs::create_dir_all(source.join("sub")).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(source.join("sub/file"), "x").unwrap();
        symlink("sub/file", source.join("link")).unwrap();
        unpack(&packed(&source, "b")[..], &target).unwrap();
        assert_eq!(tree(&target), ["b", "b/link", "b/sub", "b/sub/file"]);
        assert_eq!(
            fs::read_link(target.join("b/link")).unwrap(),
            Path::new("sub/file")
        );
        // Once more on top of it: merged, not nested.
        fs::write(target.join("b/own"), "kept").unwrap();
        let fresh = home.path().join("fresh");
        fs::create_dir(&fresh).unwrap();
        unpack(&packed(&source, "b")[..], &fresh).unwrap();
        merge(&fresh.join("b"), &target.join("b")).unwrap();
        assert_eq!(
            tree(&target),
            ["b", "b/link", "b/own", "b/sub", "b/sub/file"]
        );
    }

    #[test]
    fn a_hostile_archive_stays_inside() {
        let home = tempfile::tempdir().unwrap();
        let into = home.path().join("into");
        fs::create_dir(&into).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, "door", "..").unwrap();
        let mut file = tar::Header::new_gnu();
        file.set_size(1);
        file.set_mode(0o644);
        archive
            .append_data(&mut file, "door/escaped", &b"x"[..])
            .unwrap();
        let bytes = archive.into_inner().unwrap();
        assert!(unpack(&bytes[..], &into).is_err());
        assert!(!home.path().join("escaped").exists());
    }

    #[test]
    fn sides_are_told_apart() {
        let there = |text: &str| match parse(text).unwrap() {
            Side::There(node, path) => format!("{node} {path}"),
            Side::Here(_) => "here".to_owned(),
        };
        assert_eq!(there("l1/consul-1:/etc/hosts"), "l1/consul-1 /etc/hosts");
        assert_eq!(there("l1:etc"), "l1 /etc");
        assert_eq!(there("./a:b"), "here");
        assert_eq!(there("/a:b"), "here");
        assert_eq!(there("file"), "here");
        assert!(parse("L1:/x").is_err());
    }
}
