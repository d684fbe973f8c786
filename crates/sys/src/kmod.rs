//! Loading kernel modules with what they need, without kmod: minimal images
//! do not have it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Loads a module of the running kernel and everything it depends on. One that
/// is loaded or built in already is no error.
///
/// # Errors
/// There is no such module, or the kernel refuses it.
pub fn load(name: &str) -> io::Result<()> {
    let release = nix::sys::utsname::uname().map_err(io::Error::from)?;
    let folder = Path::new("/lib/modules").join(release.release());
    if is_loaded(name) || is_builtin(&folder, name) {
        return Ok(());
    }
    let index = std::fs::read_to_string(folder.join("modules.dep"))?;
    let files = order(&index, name).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no kernel module is called {name}"))
    })?;
    files.iter().try_for_each(|file| insert(&folder.join(file)))
}

fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn module_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    plain(base.split(".ko").next().unwrap_or(base))
}

fn is_loaded(name: &str) -> bool {
    Path::new("/sys/module").join(plain(name)).exists()
}

fn is_builtin(folder: &Path, name: &str) -> bool {
    std::fs::read_to_string(folder.join("modules.builtin"))
        .is_ok_and(|text| text.lines().any(|line| module_name(line) == plain(name)))
}

/// The files to insert, dependencies first. modules.dep(5) lists each module's
/// dependencies with the nearest first, so they are inserted from the end.
fn order(index: &str, name: &str) -> Option<Vec<PathBuf>> {
    let (file, needs) = index
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(file, _)| module_name(file) == plain(name))?;
    let mut files: Vec<PathBuf> = needs.split_ascii_whitespace().rev().map(PathBuf::from).collect();
    files.push(PathBuf::from(file));
    Some(files)
}

fn insert(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let none = CString::default();
    match nix::kmod::finit_module(&file, &none, nix::kmod::ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(error) => Err(io::Error::new(
            io::Error::from(error).kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first() {
        let index = "kernel/net/a-b.ko: kernel/c.ko kernel/d.ko\nkernel/d.ko:\n";
        let files = order(index, "a_b").unwrap();
        assert_eq!(files, ["kernel/d.ko", "kernel/c.ko", "kernel/net/a-b.ko"].map(PathBuf::from));
        assert!(order(index, "x").is_none());
    }
}
