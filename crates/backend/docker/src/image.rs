//! Images of an engine, made from what Nestlab has already: the files that a container
//! begins from, as one archive.
//!
//! A disk is mounted by a process of its own, in a mount namespace of its own, which then
//! becomes tar(1): nobody else sees the mount, and nothing has to be unmounted.

use crate::api::{Api, Body};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use nestlab_backend::{BackendError, Lower};
use nestlab_sys::mount;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio_util::io::ReaderStream;

/// The hidden command that writes the files of a folder or disk to its standard output
/// as an archive.
pub const ROLE: &str = "__archive";

/// What tells the two apart in its arguments.
const FOLDER: &str = "folder";
const DISK: &str = "disk";

/// Images of ours are known by this.
const PREFIX: &str = "nestlab";

/// Where a disk is mounted, where nobody else sees it. One of them is on every Linux.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// How long an engine may take to unpack an image.
const IMPORT: Duration = Duration::from_secs(900);

/// How often, and how far apart, it is looked whether an engine has made something of half an
/// archive.
const HALF_LOOKS: u32 = 10;
const HALF_LOOK: Duration = Duration::from_millis(100);

/// An archive with nothing in it (tar(5)): two blocks of zeros.
const NOTHING: &[u8] = &[0; 1024];

/// An image to be had.
pub(crate) struct Wanted<'a> {
    /// As [`nestlab_backend::ContainerSpec::image`].
    pub image: &'a str,
    pub root: &'a Lower,
    /// This program, which can play [`ROLE`].
    pub program: &'a Path,
    /// Where what it says goes.
    pub log: &'a Path,
}

/// What an engine calls an image.
pub(crate) fn reference(image: &str) -> String {
    format!("{PREFIX}/{image}")
}

/// Has the engine hold an image, and gives its name there.
pub(crate) async fn ensure(api: &Api, wanted: &Wanted<'_>) -> Result<String, BackendError> {
    let name = reference(wanted.image);
    let known = api.get(&format!("/images/{name}/json")).await?;
    if known.accepted_or_gone()?.is_some() {
        return Ok(name);
    }
    // Podman takes what comes until a connection breaks for a whole image: only one that has
    // come to its end gets the name by which it is found.
    let half = format!("{PREFIX}-half/{}", wanted.image);
    let packer = pack(wanted).map_err(BackendError::io("pack the image's files"))?;
    let mut sent = bring(api, &half, archive(packer)).await;
    if sent.is_ok() {
        sent = name_whole(api, &half, &name).await;
    }
    if sent.is_err() {
        remove_half(api, &half).await;
    }
    let said = std::fs::read_to_string(wanted.log).unwrap_or_default();
    let said = said.lines().rfind(|line| !line.trim().is_empty());
    sent.map_err(|error| match said {
        Some(words) => BackendError::Refused {
            command: "pack the image's files".into(),
            message: words.chars().take(300).collect(),
        },
        None => error,
    })?;
    Ok(name)
}

async fn name_whole(api: &Api, half: &str, name: &str) -> Result<(), BackendError> {
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
    let path = format!("/images/{half}/tag?repo={repository}&tag={tag}");
    api.post(&path).await?.accepted()?;
    // Its other name stays.
    let forgotten = api.delete(&format!("/images/{half}")).await?;
    forgotten.accepted().map(drop)
}

/// Removes what an engine has made of half an archive, some moments after that broke off.
async fn remove_half(api: &Api, half: &str) {
    for _ in 0..HALF_LOOKS {
        let removed = api.delete(&format!("/images/{half}")).await;
        if removed.is_ok_and(|answer| answer.accepted().is_ok()) {
            return;
        }
        tokio::time::sleep(HALF_LOOK).await;
    }
}

/// Has the engine hold an image without any file.
pub(crate) async fn ensure_empty(api: &Api, name: &str) -> Result<(), BackendError> {
    let body = http_body_util::Full::new(Bytes::from_static(NOTHING));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    bring(api, name, body).await
}

async fn bring(api: &Api, name: &str, archive: Body) -> Result<(), BackendError> {
    // With the tag in it: Podman does not look at one that is told apart.
    let path = format!("/images/create?fromSrc=-&repo={name}");
    let answer = api.post_stream(&path, archive, IMPORT).await?.accepted()?;
    match answer.late_error() {
        None => Ok(()),
        Some(message) => Err(BackendError::Refused {
            command: format!("import {name}"),
            message,
        }),
    }
}

fn pack(wanted: &Wanted<'_>) -> io::Result<Child> {
    let (kind, path) = match wanted.root {
        Lower::Folder(path) => (FOLDER, path),
        Lower::Disk(path) => (DISK, path),
    };
    let mut command = Command::new(wanted.program);
    command
        .args([ROLE, kind])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(wanted.log)?)
        .kill_on_drop(true);
    command.spawn()
}

/// What a packer writes. It ends well only if the packer has: half an archive looks like a
/// whole one to an engine.
fn archive(mut packer: Child) -> Body {
    let output = packer.stdout.take().map(ReaderStream::new);
    let chunks = futures::stream::iter(output).flatten();
    let end = futures::stream::once(async move {
        match packer.wait().await {
            Ok(status) if status.success() => Ok(Bytes::new()),
            Ok(status) => Err(io::Error::other(format!("the packer ended with {status}"))),
            Err(error) => Err(error),
        }
    });
    let frames = chunks.chain(end).map(|chunk| chunk.map(Frame::data));
    StreamBody::new(frames).boxed_unsync()
}

/// Writes the archive that the arguments ask for; see [`ROLE`].
///
/// # Errors
/// The disk cannot be mounted, or there is no tar(1).
pub fn run(arguments: &[OsString]) -> Result<Infallible, String> {
    let [kind, path] = arguments else {
        return Err("a kind and a path are needed".to_owned());
    };
    let path = PathBuf::from(path);
    let folder = match kind.to_str() {
        Some(FOLDER) => path,
        Some(DISK) => mounted(&path)
            .map_err(|error| format!("cannot mount {}: {error}", path.display()))?
            .to_owned(),
        _ => return Err(format!("{kind:?} cannot be packed")),
    };
    let error = std::process::Command::new("tar")
        .args([
            "--create",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
        ])
        .args([
            "--one-file-system",
            "--warning=no-file-ignored",
            "--directory",
        ])
        .arg(&folder)
        .arg(".")
        .exec();
    Err(format!("cannot run tar: {error}"))
}

fn mounted(device: &Path) -> io::Result<&'static Path> {
    let mut places = PLACES.iter().map(Path::new);
    let place = places.find(|place| place.is_dir());
    let place = place.ok_or_else(|| io::Error::other("there is no folder to mount it on"))?;
    mount::own_namespace()?;
    mount::device(device, place, "ext4", true)?;
    Ok(place)
}
