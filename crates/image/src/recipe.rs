//! From a recipe to a root file system in one raw file.
//!
//! mmdebstrap makes the tree in a user namespace, and mke2fs packs it within
//! that same namespace, so that owners come out right without root.

use crate::builder::{Progress, Streams, Work, mirror, mmdebstrap};
use crate::workplace::Workplace;
use crate::{ImageError, Store, digest as hash, foreign};
use nestlab_model::{Digest, FileSource, Recipe, RecipeFile};
use sha2::{Digest as _, Sha256};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Raised when the same recipe is built differently.
const BUILDER: &str = "nestlab-recipe-2";

/// Names the image of a recipe: what it is made from, not what came out. Two
/// builds of one recipe on two days are one image, until it is pruned.
pub(crate) fn digest(recipe: &Recipe) -> Result<Digest, ImageError> {
    let mut hasher = Sha256::new();
    hasher.update(BUILDER);
    hasher.update(serde_json::to_vec(recipe).expect("recipes are plain data"));
    hash_files(&mut hasher, &recipe.files)?;
    Ok(Digest(hasher.finalize().into()))
}

/// Adds what those of a recipe's files hold that lie on this machine.
pub(crate) fn hash_files(hasher: &mut Sha256, files: &[RecipeFile]) -> Result<(), ImageError> {
    for file in files {
        if let FileSource::Host(path) = &file.source {
            hash_tree(hasher, path)?;
        }
    }
    Ok(())
}

/// Adds the names and bytes of a file, or of everything below a folder.
fn hash_tree(hasher: &mut Sha256, path: &Path) -> Result<(), ImageError> {
    let cannot = || format!("read {}", path.display());
    hasher.update(path.as_os_str().as_encoded_bytes());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(ImageError::io(cannot()))?;
        let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        below.sort();
        return below.iter().try_for_each(|path| hash_tree(hasher, path));
    }
    hasher.update(hash::of_file(path)?.0);
    Ok(())
}

/// Builds the image in `scratch`, a folder of our own that nobody else can enter.
/// Returns the file.
pub(crate) async fn build(
    name: &str,
    recipe: &Recipe,
    store: &Store,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, ImageError> {
    let image = scratch.join("disk.raw");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&image);
    let file = file.map_err(ImageError::io(format!("make {}", image.display())))?;
    let open = |mode| {
        std::fs::set_permissions(&image, Permissions::from_mode(mode)).map_err(ImageError::io(
            format!("set the permissions of {}", image.display()),
        ))
    };
    // The namespace's root is nobody here. Others cannot reach the file: the
    // folders above it are ours alone.
    open(0o666)?;
    let place = Workplace::new(scratch)?;
    let files = stage_files(&recipe.files, store, scratch, progress).await?;

    let mut command = mmdebstrap(recipe, "minbase", &place);
    command.arg("--format=null");
    command.arg("--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*");
    for file in &files {
        // Read by mmdebstrap as us, so that the file may lie anywhere.
        command.arg(format!("--customize-hook=tar-in {} /", quote(file)));
    }
    for line in &recipe.commands {
        let line = quote_text(line);
        command.arg(format!(
            "--customize-hook=chroot \"$1\" env HOME=/root sh -ec {line}"
        ));
    }
    command.arg(format!("--customize-hook={}", pack_hook(recipe)));
    command.arg(&recipe.suite);
    command.arg("-").args(mirror(recipe));
    Work::start(command, "mmdebstrap", Streams::Input(file.into()))?
        .finish(&format!("Cannot build the image `{name}`"), progress)
        .await?;
    open(0o444)?;
    Ok(image)
}

/// Packs the tree through a bind mount that shows it without the /proc and /sys
/// that mmdebstrap has mounted in it. The image is the hook's standard input.
/// The journal is large enough for the kernel to grow the file system online.
fn pack_hook(recipe: &Recipe) -> String {
    format!(
        "set -e; mount --bind \"$1\" \"$1/mnt\"; \
         mke2fs -q -F -t ext4 -b 4096 -J size=16 -m 1 -E root_owner=0:0,lazy_itable_init=1 \
         -d \"$1/mnt\" /proc/self/fd/0 {}K >&2; \
         umount \"$1/mnt\"",
        recipe.size.as_bytes().div_ceil(1024)
    )
}

/// Packs the recipe's own files, each as an archive that unpacks to its place.
pub(crate) async fn stage_files(
    files: &[RecipeFile],
    store: &Store,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Vec<PathBuf>, ImageError> {
    let mut staged = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let path = scratch.join(format!("file-{number}.tar"));
        match &file.source {
            FileSource::Url { url, sha256 } => {
                let fetched = foreign::fetch(store, url, sha256, scratch, progress).await?;
                let here = RecipeFile {
                    source: FileSource::Host(fetched),
                    target: file.target.clone(),
                    mode: file.mode.or(Some(0o644)),
                };
                stage(&here, &path)?;
            }
            _ => stage(file, &path)?,
        }
        staged.push(path);
    }
    Ok(staged)
}

fn stage(file: &RecipeFile, path: &Path) -> Result<(), ImageError> {
    let cannot = || format!("pack the recipe's file for {}", file.target);
    let target = file.target.trim_start_matches('/');
    if target.is_empty() || target.split('/').any(|part| part == "..") {
        return Err(ImageError::Unusable(format!(
            "{:?} is no place in an image",
            file.target
        )));
    }
    let mut archive = std::fs::File::create(path)
        .map(tar::Builder::new)
        .map(owned_by_root)
        .map_err(ImageError::io(cannot()))?;
    let packed = match &file.source {
        FileSource::Inline(text) => append(
            &mut archive,
            target,
            text.as_bytes(),
            file.mode.unwrap_or(0o644),
        ),
        FileSource::Host(from) if from.is_dir() => archive.append_dir_all(target, from),
        FileSource::Host(from) => std::fs::read(from).and_then(|bytes| {
            let own = std::fs::metadata(from)?.permissions().mode() & 0o7777;
            append(&mut archive, target, &bytes, file.mode.unwrap_or(own))
        }),
        FileSource::Blob(_) | FileSource::Url { .. } => {
            return Err(ImageError::Unusable(format!(
                "The file for {} must lie on this machine: download it and name it with `source:`",
                file.target
            )));
        }
    };
    packed
        .and_then(|()| archive.finish())
        .map_err(ImageError::io(cannot()))
}

/// Whoever owns the files here, in the image it is root.
fn owned_by_root(mut archive: tar::Builder<std::fs::File>) -> tar::Builder<std::fs::File> {
    archive.mode(tar::HeaderMode::Deterministic);
    archive
}

fn append(
    archive: &mut tar::Builder<std::fs::File>,
    target: &str,
    bytes: &[u8],
    mode: u32,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, target, bytes)
}

fn quote(path: &Path) -> String {
    quote_text(&path.to_string_lossy())
}

/// One word for a shell.
fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_follows_content_not_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let mut recipe = Recipe::of("bookworm", &["iproute2"]);
        recipe.files.push(RecipeFile {
            source: FileSource::Host(file.clone()),
            target: "/etc/a".into(),
            mode: None,
        });
        let first = digest(&recipe).unwrap();
        assert_eq!(digest(&recipe).unwrap(), first);
        std::fs::write(&file, "two").unwrap();
        assert_ne!(digest(&recipe).unwrap(), first);
    }

    #[test]
    fn words_for_the_shell_are_quoted() {
        assert_eq!(quote_text("it's"), "'it'\\''s'");
    }
}
