//! The root of a container where no overlay can be mounted: on a file system that an overlay
//! cannot write to, such as another overlay. Then it has all files for itself, copied once.

use nestlab_backend::places::ALL;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// Copies what the root begins from. A copy that is interrupted is never taken for whole.
pub(crate) fn root(lower: &Path, folder: &Path) -> io::Result<()> {
    let half = folder.join("root.new");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    // cp(1) keeps owners, times, links, holes and attributes.
    let copied = Command::new("cp")
        .args(["--archive", "--reflink=auto", "--no-target-directory", "--"])
        .args([lower, &half])
        .output()?;
    match copied.status.success() {
        true => fs::rename(&half, folder.join(ALL)),
        false => {
            let words = String::from_utf8_lossy(&copied.stderr);
            let last = words.lines().last().unwrap_or_default().to_owned();
            Err(io::Error::other(last))
        }
    }
}
