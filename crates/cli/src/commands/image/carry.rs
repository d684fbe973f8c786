//! Images that are carried by hand: from a file into the store, from there into a file.

use super::{document, no_image, open, stored, told};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use nestlab_model::ImageName;
use serde_json::json;
use std::path::Path;

/// `nestlab image import`
pub(super) fn import(context: &Context, file: &Path, name: Option<ImageName>) -> Result<u8, Error> {
    let name = match name {
        Some(name) => name,
        None => name_of(file)?,
    };
    let builtin = nestlab_model::builtin_images();
    if builtin.contains_key(&name) {
        let message = format!("`{name}` is the name of a built-in image");
        return Err(Error::new(Code::Usage, message).hint("Give another one: `--name NAME`"));
    }
    let store = open(&context.dirs()?)?;
    let image = context.block_on(async {
        let progress = |message: String| context.say(&format!("{name}: {message}"));
        let imported = store.import(&name, file, &progress).await;
        imported.map_err(|error| told(format!("Cannot import `{}`", file.display()), &error))
    })?;
    if context.global.json {
        output::json(&document(&image));
    }
    context.say(&format!(
        "{name} is there; a node takes it with `image: {name}`"
    ));
    Ok(0)
}

/// `trusty.box` is `trusty`.
fn name_of(file: &Path) -> Result<ImageName, Error> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    ImageName::new(stem.to_lowercase()).map_err(|error| {
        let message = format!("`{}` gives no name for an image", file.display());
        Error::caused(message, &error)
            .code(Code::Usage)
            .hint("Give one: `--name NAME`")
    })
}

/// `nestlab image export`
pub(super) fn export(context: &Context, name: &str, file: &Path) -> Result<u8, Error> {
    let images = stored(&context.dirs()?)?;
    let found = images.iter().find(|image| image.name.as_str() == name);
    let image = found.ok_or_else(|| no_image(name, images.iter().map(|image| &image.name)))?;
    if file.exists() {
        let message = format!("`{}` is there already", file.display());
        return Err(Error::new(Code::Usage, message).hint("Remove it, or take another name"));
    }
    let fail =
        |error: std::io::Error| Error::caused(format!("Cannot write `{}`", file.display()), &error);
    // Half a disk must not look like a whole one.
    let part = file.with_added_extension("part");
    let copied = nestlab_sys::cow::copy(&image.disk, &part)
        .map(drop)
        .and_then(|()| std::fs::rename(&part, file));
    if let Err(error) = copied {
        let _ = std::fs::remove_file(&part);
        return Err(fail(error));
    }
    if context.global.json {
        output::json(&json!({ "image": document(image), "written": file }));
    }
    context.say(&format!("{name} is written to {}", file.display()));
    Ok(0)
}
