//! Makes a disk from which cloud-init is told what a machine is: for `scripts/bench`, which
//! boots one by hand.
//!
//!     seed-disk DISK FILE…

use std::path::Path;

/// What cloud-init looks for (its document "NoCloud").
const LABEL: &str = "CIDATA";

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (disk, files) = arguments.split_first().expect("seed-disk DISK FILE…");
    let mut contents = Vec::new();
    for file in files {
        let name = Path::new(file).file_name().unwrap_or_default();
        contents.push((name.to_string_lossy().into_owned(), std::fs::read(file)?));
    }
    let contents: Vec<(&str, &[u8])> = contents
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    std::fs::write(disk, nestlab_image::small_disk(LABEL, &contents)?)
}
