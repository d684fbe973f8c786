//! `nestlab.lock`, beside a lab file: what the files of publishers were when the lab first
//! took them. It belongs into version control, as other lock files do: then everybody's lab
//! begins from the same bytes.

use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_image::{ImageError, Store};
use nestlab_model::{Digest, ImageName, ImageSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FILE: &str = "nestlab.lock";

/// Raised when an older program would misunderstand the file.
const VERSION: u32 = 1;

/// The file as it is.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// What is found at an address.
    images: BTreeMap<String, Digest>,
}

/// What is known of the files of publishers.
pub struct Pins {
    file: PathBuf,
    images: BTreeMap<String, Digest>,
}

impl Pins {
    /// What is known for a lab file; nothing if nothing was ever pinned.
    pub fn beside(lab_file: &Path) -> Result<Self, Error> {
        let file = lab_file.with_file_name(FILE);
        let images = match std::fs::read(&file) {
            Ok(text) => read(&file, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                let message = format!("Cannot read `{}`", file.display());
                return Err(Error::caused(message, &error));
            }
        };
        Ok(Self { file, images })
    }

    /// Has images be what they were.
    pub fn apply(&self, images: &mut BTreeMap<ImageName, ImageSpec>) {
        for spec in images.values_mut() {
            let known = spec.unpinned().and_then(|at| self.images.get(&at));
            if let Some(digest) = known {
                *spec = spec.pinned(*digest);
            }
        }
    }

    /// Finds out what the rest of the images are, and writes it down. A folder in which
    /// nothing can be written is no error: the next time it is found out again.
    pub async fn complete(
        &mut self,
        context: &Context,
        store: &Store,
        images: &mut BTreeMap<ImageName, ImageSpec>,
    ) -> Result<(), Error> {
        let mut new = false;
        for (name, spec) in images.iter() {
            let Some(address) = spec.unpinned() else {
                continue;
            };
            let digest = find_out(context, store, name, spec).await?;
            new |= self.images.insert(address, digest) != Some(digest);
        }
        self.apply(images);
        if new && let Err(error) = self.write() {
            let file = self.file.display();
            context.warn(&format!("what images are is not kept in `{file}`: {error}"));
        }
        Ok(())
    }

    fn write(&self) -> std::io::Result<()> {
        let document = Document {
            version: VERSION,
            images: self.images.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        nestlab_sys::atomic::write_with_mode(&self.file, &text, 0o644)
    }
}

/// What a publisher has at an address today.
pub async fn find_out(
    context: &Context,
    store: &Store,
    name: &ImageName,
    spec: &ImageSpec,
) -> Result<Digest, Error> {
    let progress = |message: String| context.say(&format!("{name}: {message}"));
    let pinned = store.pin(spec, &progress).await;
    pinned.map_err(|error| {
        let message = format!("Cannot find out what the image `{name}` is");
        let told = Error::caused(message, &error);
        let told = match error {
            ImageError::MissingProgram { .. } => told.code(Code::Needs),
            _ => told,
        };
        match error.hint() {
            Some(hint) => told.hint(hint),
            None if matches!(spec, ImageSpec::OciTag { .. }) => told,
            None => told.hint("`url` with `sha256` in `images:` needs no list of checksums"),
        }
    })
}

fn read(file: &Path, text: &[u8]) -> Result<BTreeMap<String, Digest>, Error> {
    let unusable = |why: String| {
        let message = format!("Cannot use `{}`: {why}", file.display());
        Error::new(Code::Usage, message)
            .hint("Take it back from version control; without it the newest images are taken")
    };
    let document: Document =
        serde_json::from_slice(text).map_err(|error| unusable(error.to_string()))?;
    match document.version {
        VERSION => Ok(document.images),
        other => Err(unusable(format!("its version is {other}, not {VERSION}"))),
    }
}
