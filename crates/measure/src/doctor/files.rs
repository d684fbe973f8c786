//! What the file system can do on which the disks of machines lie.

use nestlab_model::doctor::{Check, Verdict};
use nestlab_sys::{bare, disk};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file that is nearly all a hole.
const HOLE: u64 = 8 << 20;

/// Tries it all in files of its own, which are gone afterwards.
pub(super) fn checks(folder: &Path) -> Vec<Check> {
    let scratch = Scratch(folder.join(format!(".nestlab-doctor-{}", std::process::id())));
    if let Err(error) = fs::create_dir(&scratch.0) {
        let check = Check::new("files", format!("made a folder in {}", folder.display()));
        return vec![
            check
                .found(Verdict::Broken, error.to_string())
                .means("labs cannot be written down")
                .mend(format!(
                    "Give yourself the right to write there: `ls -ld {}`",
                    folder.display()
                )),
        ];
    }
    vec![sparse(&scratch.0), clones(&scratch.0), direct(&scratch.0)]
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder of our own; what is left of it is told by `ls` and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sparse(folder: &Path) -> Check {
    let check = Check::new(
        "files.sparse",
        "wrote the end of a file and looked at its size",
    );
    match size_of_a_hole(&folder.join("sparse")) {
        Ok(bytes) if bytes < HOLE / 2 => check.found(Verdict::Ok, "holes take no room"),
        Ok(_) => check
            .found(Verdict::Degraded, "holes take room")
            .means("disks and memory of machines take their whole size from the start")
            .mend("Keep labs on ext4, XFS or btrfs: set XDG_STATE_HOME"),
        Err(error) => check.found(Verdict::Unproved, error.to_string()),
    }
}

fn size_of_a_hole(path: &Path) -> io::Result<u64> {
    let mut file = File::create(path)?;
    file.seek(SeekFrom::Start(HOLE))?;
    file.write_all(b"x")?;
    file.sync_all()?;
    disk::allocated_bytes(path)
}

/// Nothing rests on it: overlays share what is the same. It is told because copies of
/// images are free where it works.
fn clones(folder: &Path) -> Check {
    let check = Check::new("files.reflink", "copied a file by sharing its blocks");
    let (from, to) = (folder.join("from"), folder.join("to"));
    let copied = fs::write(&from, [1; 4096]).and_then(|()| disk::reflink(&from, &to));
    match copied {
        Ok(()) => check.found(Verdict::Ok, "it works"),
        Err(_) => check.found(Verdict::NotApplicable, "not here; overlays do not need it"),
    }
}

fn direct(folder: &Path) -> Check {
    let check = Check::new("files.direct", "opened a file past the page cache");
    match bare::open_direct(&folder.join("direct")) {
        Ok((_, true)) => check.found(Verdict::Ok, "it works"),
        Ok((_, false)) => check.found(Verdict::NotApplicable, "not here; machines use the cache"),
        Err(error) => check.found(Verdict::Unproved, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_file_system_is_fine_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let checks = checks(folder.path());
        let ids: Vec<_> = checks.iter().map(|check| check.id.as_str()).collect();
        assert_eq!(ids, ["files.sparse", "files.reflink", "files.direct"]);
        assert_eq!(checks[0].verdict, Verdict::Ok, "{checks:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_takes_nothing_is_broken() {
        let checks = checks(Path::new("/proc"));
        assert_eq!(checks[0].verdict, Verdict::Broken);
        assert_eq!(checks.len(), 1);
    }
}
