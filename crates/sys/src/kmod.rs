//! Kernel modules, in guests that have no kmod package.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The kernel unpacks the module itself (finit_module(2)).
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// Loads a module of the running kernel, and those it depends on first. One
/// that is loaded or built in is no error.
///
/// # Errors
/// `NotFound` if the kernel has no such module; as finit_module(2).
pub fn load(name: &str) -> io::Result<()> {
    if Path::new("/sys/module")
        .join(name.replace('-', "_"))
        .is_dir()
    {
        return Ok(());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    load_from(&Path::new("/lib/modules").join(release.trim()), name)
}

/// As [`load`], from a folder with a `modules.dep`.
///
/// # Errors
/// As [`load`].
pub fn load_from(folder: &Path, name: &str) -> io::Result<()> {
    let builtin = std::fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    if builtin
        .lines()
        .any(|line| module_name(line) == canonical(name))
    {
        return Ok(());
    }
    let table = std::fs::read_to_string(folder.join("modules.dep"))?;
    let files = files_of(&table, name).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("this kernel has no module `{name}`"),
        )
    })?;
    files.iter().try_for_each(|file| insert(&folder.join(file)))
}

fn insert(path: &PathBuf) -> io::Result<()> {
    let file = File::open(path)?;
    let compressed = path.extension().is_some_and(|extension| extension != "ko");
    let flags = if compressed {
        MODULE_INIT_COMPRESSED_FILE
    } else {
        0
    };
    // SAFETY: the descriptor is open and the parameters are an empty C string.
    let result = unsafe {
        nix::libc::syscall(
            nix::libc::SYS_finit_module,
            file.as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(()),
        error if error.raw_os_error() == Some(nix::libc::EEXIST) => Ok(()),
        error => Err(error),
    }
}

/// The files of a module, what it depends on first.
fn files_of(table: &str, name: &str) -> Option<Vec<String>> {
    let line = table.lines().find(|line| {
        line.split_once(':')
            .is_some_and(|(file, _)| module_name(file) == canonical(name))
    })?;
    let (file, dependencies) = line.split_once(':')?;
    // modules.dep lists them all, the deepest last.
    let mut seen = BTreeSet::new();
    let files = dependencies.split_ascii_whitespace().rev().chain([file]);
    Some(
        files
            .filter(|file| seen.insert(*file))
            .map(str::to_owned)
            .collect(),
    )
}

/// The name that a file of modules.dep stands for.
fn module_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    canonical(base.split('.').next().unwrap_or(base))
}

/// Hyphen and underscore mean the same in module names.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first() {
        let table = "kernel/net/stp.ko: kernel/llc.ko\nkernel/net/br-idge.ko.xz: kernel/net/stp.ko kernel/llc.ko\n";
        let files = files_of(table, "br_idge").unwrap();
        assert_eq!(
            files,
            [
                "kernel/llc.ko",
                "kernel/net/stp.ko",
                "kernel/net/br-idge.ko.xz"
            ]
        );
        assert_eq!(files_of(table, "tun"), None);
    }
}
