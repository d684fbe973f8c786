//! The kernel modules that the root disk and the link need. Their files and
//! their order were put into the initramfs with us.

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;

/// One path a line, each module behind those it needs.
const LIST: &str = "/modules.list";

/// Inserts every listed module. One that is there already is no error.
pub fn load_all() -> io::Result<()> {
    let list = std::fs::read_to_string(LIST)?;
    let none = CString::default();
    for path in list.lines().filter(|line| !line.is_empty()) {
        let file = File::open(path).map_err(|error| named(path, error))?;
        match finit_module(&file, &none, ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(named(path, error.into())),
        }
    }
    Ok(())
}

/// Where the kernel looks for the program that loads what it lacks.
const HELPER: &str = "/proc/sys/kernel/modprobe";

/// Has the kernel load modules through the kit's modprobe where the root has
/// none of its own.
pub fn offer_more() {
    let own = ["/sbin/modprobe", "/usr/sbin/modprobe"];
    if !own.iter().any(|path| Path::new(path).exists()) {
        let _ = std::fs::write(HELPER, "/run/nestlab/kit/tools/modprobe");
    }
}

fn named(path: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}
