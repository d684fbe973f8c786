//! The init for minimal images: inside this program if `make build` put it
//! there, else next to it.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(has_init)]
const INIT: Option<&[u8]> = Some(include_bytes!(env!("NESTLAB_INIT_PATH")));
#[cfg(not(has_init))]
const INIT: Option<&[u8]> = None;

/// The init as a file, written into `folder` if it comes from inside.
///
/// # Errors
/// The folder cannot be written; `NotFound` if there is no init anywhere.
pub fn init(program: &Path, folder: &Path) -> io::Result<PathBuf> {
    let Some(bytes) = INIT else {
        return beside(program);
    };
    let path = folder.join("nestlab-init");
    // What stands there may be of another version, or half of one.
    if std::fs::read(&path).ok().as_deref() != Some(bytes) {
        nestlab_sys::dir::make_private(folder)?;
        nestlab_sys::atomic::write_with_mode(&path, bytes, 0o755)?;
    }
    Ok(path)
}

fn beside(program: &Path) -> io::Result<PathBuf> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let places = [
        folder.join("nestlab-init"),
        folder.join("../libexec/nestlab/nestlab-init"),
    ];
    places
        .into_iter()
        .find(|place| place.is_file())
        .ok_or_else(|| {
            let name = folder.display();
            io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "No `nestlab-init` inside this program or in `{name}`; `make build` makes both"
                ),
            )
        })
}
