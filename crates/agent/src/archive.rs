//! Tar archives made from and turned into files, without ever leaving the
//! folder: also used on the host for what a node sends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};
use tar::{Builder, EntryType, Header};

/// Packs a file or folder. Entries are named from the last part of the path.
/// Symbolic links stay links; sockets and devices are left out.
///
/// # Errors
/// Something cannot be read. A file that vanishes meanwhile is left out.
pub fn pack(writer: impl Write, path: &Path) -> io::Result<()> {
    let name = path
        .file_name()
        .map_or_else(|| Path::new(".").to_owned(), Into::into);
    let mut builder = Builder::new(writer);
    append(&mut builder, path, &name)?;
    builder.into_inner()?.flush()
}

fn append(builder: &mut Builder<impl Write>, path: &Path, name: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let kind = found.file_type();
    let mut header = Header::new_gnu();
    header.set_mode(found.mode() & 0o7777);
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
    header.set_size(0);
    if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        builder.append_data(&mut header, name, io::empty())?;
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            append(builder, &entry.path(), &name.join(entry.file_name()))?;
        }
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        builder.append_link(&mut header, name, fs::read_link(path)?)?;
    } else if kind.is_file() {
        append_file(builder, path, name, header)?;
    } else {
        debug_assert!(
            kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device()
        );
    }
    Ok(())
}

/// A file may grow or shrink while it is read; its entry has the size that was
/// announced all the same. Files of /proc say 0 and are read first.
fn append_file(
    builder: &mut Builder<impl Write>,
    path: &Path,
    name: &Path,
    mut header: Header,
) -> io::Result<()> {
    const MAX_PSEUDO_FILE: u64 = 1 << 20;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size == 0 {
        let mut content = Vec::new();
        file.take(MAX_PSEUDO_FILE).read_to_end(&mut content)?;
        header.set_size(content.len() as u64);
        return builder.append_data(&mut header, name, &content[..]);
    }
    header.set_size(size);
    let padded = Read::by_ref(&mut file).chain(io::repeat(0)).take(size);
    builder.append_data(&mut header, name, padded)
}

/// Unpacks into a folder, which is made if missing. Files belong to the user
/// that unpacks; permission bits and times are kept.
///
/// # Errors
/// The archive is broken, names something outside the folder, would write
/// through a symbolic link that leads outside, or holds a device.
pub fn unpack(mut reader: impl Read, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut archive = tar::Archive::new(&mut reader);
    // Folders get their permissions last, or nothing could be put into
    // those that are read-only.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        check(&name, entry.header().entry_type())?;
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(true);
        if entry.header().entry_type().is_dir() {
            folders.push(entry);
            let path = folder.join(&name);
            if !path.is_dir() {
                make_folder(folder, &name)?;
            }
        } else {
            place(&mut entry, folder, &name)?;
        }
    }
    folders.sort_by_cached_key(|entry| std::cmp::Reverse(entry.path_bytes().into_owned()));
    for mut entry in folders {
        let name = entry.path()?.into_owned();
        // `.` is the target itself, whose permissions are not the archive's.
        if name
            .components()
            .any(|part| matches!(part, Component::Normal(_)))
        {
            place(&mut entry, folder, &name)?;
        }
    }
    // Whatever follows the archive's end is taken, so that its sender can finish.
    io::copy(&mut reader, &mut io::sink()).map(drop)
}

/// Makes a folder with default permissions, by the same checks as any entry.
fn make_folder(folder: &Path, name: &Path) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, name, io::empty())?;
    let bytes = builder.into_inner()?;
    for entry in tar::Archive::new(&bytes[..]).entries()? {
        place(&mut entry?, folder, name)?;
    }
    Ok(())
}

fn place<R: Read>(entry: &mut tar::Entry<'_, R>, folder: &Path, name: &Path) -> io::Result<()> {
    let placed = entry.unpack_in(folder).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{}: {}", name.display(), root_cause(&error)),
        )
    })?;
    if placed {
        Ok(())
    } else {
        Err(refusal(name, "leads out of the folder"))
    }
}

/// The archive crate wraps errors in words that repeat the path.
fn root_cause(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn check(name: &Path, kind: EntryType) -> io::Result<()> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !name.components().all(inside) {
        return Err(refusal(name, "leads out of the folder"));
    }
    let known = kind.is_file()
        || kind.is_dir()
        || kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_contiguous()
        || kind.is_gnu_sparse();
    if known {
        Ok(())
    } else {
        Err(refusal(name, "is no file, folder or link"))
    }
}

fn refusal(name: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} {why}", name.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn folders_travel_with_modes_and_links() {
        let source = tempfile::tempdir().unwrap();
        let tree = source.path().join("tree");
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::write(tree.join("deep/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(tree.join("deep/run"), PermissionsExt::from_mode(0o750)).unwrap();
        fs::write(tree.join("deep/er/empty"), "").unwrap();
        symlink("deep/run", tree.join("link")).unwrap();
        fs::set_permissions(tree.join("deep/er"), PermissionsExt::from_mode(0o500)).unwrap();

        let mut bytes = Vec::new();
        pack(&mut bytes, &tree).unwrap();
        let target = tempfile::tempdir().unwrap();
        unpack(&bytes[..], target.path()).unwrap();
        unpack(&bytes[..], target.path()).unwrap();
        let copy = target.path().join("tree");
        assert_eq!(
            fs::read_to_string(copy.join("link")).unwrap(),
            "#!/bin/sh\n"
        );
        assert_eq!(
            fs::read_link(copy.join("link")).unwrap(),
            Path::new("deep/run")
        );
        assert_eq!(
            fs::metadata(copy.join("deep/run")).unwrap().mode() & 0o7777,
            0o750
        );
        assert_eq!(
            fs::metadata(copy.join("deep/er")).unwrap().mode() & 0o7777,
            0o500
        );
        assert_eq!(fs::read(copy.join("deep/er/empty")).unwrap(), b"");
    }

    fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, text: &str) {
        let mut header = Header::new_gnu();
        // Set directly: the builder itself refuses what a hostile one writes.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }

    #[test]
    fn nothing_is_written_outside() {
        let check = |entries: &[(EntryType, &str, &str)], why: &str| {
            let around = tempfile::tempdir().unwrap();
            let target = around.path().join("in");
            fs::create_dir(around.path().join("out")).unwrap();
            fs::write(around.path().join("out/victim"), "safe").unwrap();
            let mut builder = Builder::new(Vec::new());
            for (kind, name, link) in entries {
                let text = if kind.is_file() { "evil" } else { "" };
                let absolute = name.replace("ROOT", &around.path().display().to_string());
                entry(&mut builder, *kind, &absolute, link, text);
            }
            let result = unpack(&builder.into_inner().unwrap()[..], &target);
            assert!(result.is_err(), "{why}");
            let victim = fs::read_to_string(around.path().join("out/victim")).unwrap();
            assert_eq!(victim, "safe", "{why}");
            assert_eq!(
                fs::read_dir(around.path().join("out")).unwrap().count(),
                1,
                "{why}"
            );
        };
        let (file, link, hard) = (EntryType::Regular, EntryType::Symlink, EntryType::Link);
        check(&[(file, "../out/victim", "")], "parent");
        check(&[(file, "ROOT/out/victim", "")], "absolute");
        check(
            &[(link, "a", "../out"), (file, "a/new", "")],
            "through a link",
        );
        check(
            &[(link, "a", "../out"), (EntryType::Directory, "a/new", "")],
            "folder through a link",
        );
        check(
            &[(hard, "a", "../out/victim"), (file, "a/x", "")],
            "hard link",
        );
        check(&[(EntryType::Char, "null", "")], "device");
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced() {
        let around = tempfile::tempdir().unwrap();
        let target = around.path().join("in");
        fs::create_dir(&target).unwrap();
        fs::write(around.path().join("victim"), "safe").unwrap();
        symlink("../victim", target.join("a")).unwrap();
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, EntryType::Regular, "a", "", "new");
        unpack(&builder.into_inner().unwrap()[..], &target).unwrap();
        assert_eq!(
            fs::read_to_string(around.path().join("victim")).unwrap(),
            "safe"
        );
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "new");
    }
}
