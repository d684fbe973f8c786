//! What comes from elsewhere: found out what it is, fetched, and kept.

use super::{document, no_image, open_to_fetch, told};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::pins::{self, Pins};
use nestlab_image::Store;
use nestlab_model::{ImageName, ImageSpec, REGISTRY_SCHEME, Reference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Images = BTreeMap<ImageName, ImageSpec>;

/// Finds out what the images of a lab are that only their publishers know.
pub(in crate::commands) async fn pin(
    context: &Context,
    lab_file: &Path,
    images: &mut Images,
) -> Result<(), Error> {
    let store = open_to_fetch(context)?;
    if !images.values().any(|spec| spec.unpinned().is_some()) {
        return Ok(());
    }
    let mut pins = Pins::beside(lab_file)?;
    pins.complete(context, &store, images).await
}

/// `nestlab image pull`
pub(super) fn pull(context: &Context, names: &[String], upgrade: bool) -> Result<u8, Error> {
    let (lab_file, known) = known(context, names, upgrade)?;
    let mut wanted = choose(&known, names)?;
    if wanted.is_empty() {
        context.say("Nothing of this lab is fetched; `nestlab image build` makes the rest");
    }
    let store = open_to_fetch(context)?;
    let fetched = context.block_on(async {
        match &lab_file {
            Some(file) => pin(context, file, &mut wanted).await?,
            None => find_out(context, &store, &mut wanted).await?,
        }
        fetch(context, &store, &wanted).await
    })?;
    if context.global.json {
        output::json(&json!({ "images": fetched }));
    }
    Ok(0)
}

/// The images that can be named here, and the lab file whose they are, if there is one.
fn known(
    context: &Context,
    names: &[String],
    upgrade: bool,
) -> Result<(Option<PathBuf>, Images), Error> {
    let place = match context.place() {
        Ok(place) => place,
        Err(_) if !names.is_empty() => return Ok((None, context.images_without_lab())),
        Err(error) => return Err(error),
    };
    let file = place.existing_file()?.to_owned();
    let lab = match upgrade {
        true => context.load_unpinned(&file)?,
        false => context.load(&file)?,
    };
    let mut known = match names.is_empty() {
        true => Images::new(),
        false => context.images_without_lab(),
    };
    known.extend(lab.images);
    Ok((Some(file), known))
}

/// Those that are meant: without names all that are fetched.
fn choose(known: &Images, names: &[String]) -> Result<Images, Error> {
    if names.is_empty() {
        let all = known.iter().filter(|(_, spec)| spec.is_fetched());
        return Ok(all
            .map(|(name, spec)| (name.clone(), spec.clone()))
            .collect());
    }
    let mut chosen = Images::new();
    for wanted in names {
        if wanted.starts_with(REGISTRY_SCHEME) {
            let reference = reference(wanted)?;
            chosen.insert(reference.image_name(), reference.into());
            continue;
        }
        let found = known.iter().find(|(name, _)| name.as_str() == wanted);
        let (name, spec) = found.ok_or_else(|| no_image(wanted, known.keys()))?;
        chosen.insert(name.clone(), spec.clone());
    }
    Ok(chosen)
}

fn reference(text: &str) -> Result<Reference, Error> {
    text.parse().map_err(|error| {
        let message = format!("`{text}` names no image in a registry");
        Error::caused(message, &error).code(Code::Usage)
    })
}

/// Without a lab there is no place to write it down.
async fn find_out(context: &Context, store: &Store, images: &mut Images) -> Result<(), Error> {
    for (name, spec) in images {
        if spec.unpinned().is_some() {
            *spec = spec.pinned(pins::find_out(context, store, name, spec).await?);
        }
    }
    Ok(())
}

async fn fetch(context: &Context, store: &Store, images: &Images) -> Result<Vec<Value>, Error> {
    let mut fetched = Vec::new();
    for (name, spec) in images {
        let progress = |message: String| context.say(&format!("{name}: {message}"));
        let image = store.ensure(name, spec, &progress).await;
        let image = image.map_err(|error| told(format!("Cannot pull `{name}`"), &error))?;
        context.say(&format!("{name} is there ({})", image.digest.short()));
        fetched.push(document(&image));
    }
    Ok(fetched)
}
