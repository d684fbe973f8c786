//! `nestlab image verify`: whether what the store holds is what it was.

use super::{document, no_image, open, stored, told};
use crate::context::Context;
use crate::error::Error;
use crate::output;
use nestlab_image::Image;
use serde_json::json;

pub(super) fn verify(context: &Context, names: &[String]) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let mut images = stored(&dirs)?;
    let known = |name: &&String| images.iter().any(|image| image.name.as_str() == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(no_image(unknown, images.iter().map(|image| &image.name)));
    }
    images.retain(|image| names.is_empty() || names.iter().any(|name| name == image.name.as_str()));
    if images.is_empty() {
        context.say("There are no images");
        return Ok(0);
    }
    let store = open(&dirs)?;
    let mut checked = Vec::new();
    context.block_on(async {
        for image in images {
            let sound = store.is_sound(&image).await;
            let sound =
                sound.map_err(|error| told(format!("Cannot read `{}`", image.name), &error));
            checked.push((sound?, image));
        }
        Ok(())
    })?;
    show(context, &checked);
    let damaged = checked.iter().any(|(sound, _)| *sound == Some(false));
    if damaged {
        context.say(
            "`nestlab image rm NAME` removes a damaged one; the next `nestlab up` makes it anew",
        );
    }
    Ok(u8::from(damaged))
}

fn show(context: &Context, checked: &[(Option<bool>, Image)]) {
    if context.global.json {
        let entry = |(sound, image): &(Option<bool>, Image)| json!({ "image": document(image), "sound": sound });
        output::json(&json!({ "checked": checked.iter().map(entry).collect::<Vec<_>>() }));
        return;
    }
    for (sound, image) in checked {
        let word = match sound {
            Some(true) => "sound",
            Some(false) => "DAMAGED",
            None => "not checked: an older program made it and kept no checksum",
        };
        output::data(&format!(
            "{} ({}): {word}\n",
            image.name,
            image.digest.short()
        ));
    }
}
