//! A folder that nothing leads out of: what archives of others are unpacked into.
//!
//! Every place is reached by openat2(2) with RESOLVE_IN_ROOT, in one step of the kernel:
//! links and `..` end at the folder, also if somebody changes them meanwhile. What is made
//! is made by its name in a folder that is held open, and never through a link.

use super::attributes;
use super::extension::Attribute;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{
    Gid, LinkatFlags, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat,
};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How deep folders may be: whoever removes them later goes down as deep.
const MAX_DEPTH: usize = 128;

/// A folder that nothing leads out of.
pub(crate) struct Root(OwnedFd);

/// A place in a root: a folder, held open, and a name in it.
pub(crate) struct Spot {
    folder: OwnedFd,
    name: OsString,
}

/// Who owns a file, and what they may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Owner {
    fn mode(self) -> Mode {
        Mode::from_bits_truncate(self.mode & 0o7777)
    }
}

impl Root {
    /// The folder at a path.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(AT_FDCWD, path, folder_flags(), Mode::empty())?))
    }

    /// Where a path of an archive leads, with the folders above it made if they are
    /// missing. `None` for the root itself.
    pub fn spot(&self, path: &Path) -> io::Result<Option<Spot>> {
        let mut names = plain_names(path)?;
        let Some(name) = names.pop() else {
            return Ok(None);
        };
        let mut above = PathBuf::new();
        let mut folder = self.folder(&above)?;
        for next in names {
            above.push(&next);
            folder = match self.folder(&above) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    mkdirat(&folder, next.as_os_str(), Mode::from_bits_truncate(0o755))?;
                    self.folder(&above)?
                }
                found => found?,
            };
        }
        Ok(Some(Spot { folder, name }))
    }

    /// The existing folder that a path leads to, links followed within the root.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let how = OpenHow::new()
            .flags(folder_flags())
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(&self.0, path, how)?)
    }
}

impl Spot {
    /// The name of its last part.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Makes a folder, or keeps the one that is there; a link is none.
    pub fn make_folder(&self, owner: Owner, attributes: &[Attribute]) -> io::Result<()> {
        match self.kind()? {
            Some(SFlag::S_IFDIR) => {}
            Some(_) => {
                self.remove()?;
                self.new_folder()?;
            }
            None => self.new_folder()?,
        }
        self.own(owner)?;
        let flags = folder_flags() | OFlag::O_NOFOLLOW;
        let folder = openat(&self.folder, self.name(), flags, Mode::empty())?;
        attributes::keep(&folder, attributes);
        Ok(fchmod(&folder, owner.mode())?)
    }

    fn new_folder(&self) -> io::Result<()> {
        Ok(mkdirat(
            &self.folder,
            self.name(),
            Mode::from_bits_truncate(0o700),
        )?)
    }

    /// Makes an empty file in place of whatever is there. Its owner and mode are set with
    /// [`Self::settle`] once it is written.
    pub fn make_file(&self) -> io::Result<File> {
        self.remove()?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(
            &self.folder,
            self.name(),
            flags,
            Mode::from_bits_truncate(0o600),
        )?;
        Ok(File::from(file))
    }

    /// Gives a file that was just made to its owner.
    pub fn settle(&self, file: &File, owner: Owner, attributes: &[Attribute]) -> io::Result<()> {
        if nestlab_sys::users::is_root() {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            fchown(file, Some(uid), Some(gid))?;
        }
        // After that: whoever gives a file away takes its capabilities and its rights to be
        // another from it. Before its mode, which may keep us from it.
        attributes::keep(file, attributes);
        Ok(fchmod(file, owner.mode())?)
    }

    /// Makes a link in place of whatever is there. What it says is not looked at: it is
    /// never followed out of the root.
    pub fn make_link(&self, says: &Path, owner: Owner) -> io::Result<()> {
        self.remove()?;
        symlinkat(says, &self.folder, self.name())?;
        self.own(owner)
    }

    /// Makes another name for a file that is there.
    pub fn make_name_for(&self, other: &Self) -> io::Result<()> {
        if other.kind()? != Some(SFlag::S_IFREG) {
            return Err(io::Error::other("it is another name for what is no file"));
        }
        self.remove()?;
        let (from, to) = (&other.folder, &self.folder);
        Ok(linkat(
            from,
            other.name(),
            to,
            self.name(),
            LinkatFlags::empty(),
        )?)
    }

    /// Removes whatever is there, with all below it. Nothing is no error.
    pub fn remove(&self) -> io::Result<()> {
        match self.kind()? {
            None => Ok(()),
            Some(SFlag::S_IFDIR) => {
                self.remove_below(|_| false)?;
                Ok(unlinkat(
                    &self.folder,
                    self.name(),
                    UnlinkatFlags::RemoveDir,
                )?)
            }
            Some(_) => Ok(unlinkat(
                &self.folder,
                self.name(),
                UnlinkatFlags::NoRemoveDir,
            )?),
        }
    }

    /// Removes what is in a folder, but for names that are to stay.
    pub fn remove_below(&self, stays: impl Fn(&OsStr) -> bool) -> io::Result<()> {
        let flags = folder_flags() | OFlag::O_NOFOLLOW;
        let folder = openat(&self.folder, self.name(), flags, Mode::empty())?;
        let mut entries = Dir::from_fd(folder.try_clone()?)?;
        let names: Vec<OsString> = entries
            .iter()
            .flatten()
            .map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
            .filter(|name| name != "." && name != "..")
            .collect();
        for name in names.into_iter().filter(|name| !stays(name)) {
            Self {
                folder: folder.try_clone()?,
                name,
            }
            .remove()?;
        }
        Ok(())
    }

    /// What is there, if anything; links are not followed.
    fn kind(&self) -> io::Result<Option<SFlag>> {
        match fstatat(&self.folder, self.name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(SFlag::from_bits_truncate(
                found.st_mode & SFlag::S_IFMT.bits(),
            ))),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Only root can give files away; of an ordinary user's image all are the user's.
    fn own(&self, owner: Owner) -> io::Result<()> {
        if !nestlab_sys::users::is_root() {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        Ok(fchownat(
            &self.folder,
            self.name(),
            Some(uid),
            Some(gid),
            flags,
        )?)
    }
}

fn folder_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

/// The parts of a path of an archive, which may say that it begins at the root or here.
fn plain_names(path: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other("`..` in a path of an archive"));
            }
        }
    }
    match names.len() > MAX_DEPTH {
        true => Err(io::Error::other("its folders are too deep")),
        false => Ok(names),
    }
}
