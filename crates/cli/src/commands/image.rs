//! `nestlab image`: what nodes boot from. The store needs no supervisor:
//! builds lock what they make, so this verb and an `up` may meet.

mod carry;
mod prune;
mod pull;
mod verify;

pub(super) use pull::pin;

use crate::cli::ImageVerb;
use crate::context::Context;
use crate::embedded;
use crate::error::{Code, Error};
use crate::machine::{self, Provider};
use crate::output;
use crate::place::Dirs;
use nestlab_image::{Image, ImageError, KitSources, Store};
use nestlab_model::{ImageName, ImageSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of boxes that have none, as Vagrant tells it.
const NO_VERSION: &str = "0";

pub fn run(context: &Context, verb: ImageVerb) -> Result<u8, Error> {
    match verb {
        ImageVerb::Ls => list(context),
        ImageVerb::Build { names } => build(context, &names),
        ImageVerb::Pull { names, upgrade } => pull::pull(context, &names, upgrade),
        ImageVerb::Import { file, name } => carry::import(context, &file, name),
        ImageVerb::Export { name, file } => carry::export(context, &name, &file),
        ImageVerb::Verify { names } => verify::verify(context, &names),
        ImageVerb::Rm { names } => prune::remove(context, &names),
        ImageVerb::Inspect { name } => inspect(context, &name),
        ImageVerb::Prune => prune::prune(context),
    }
}

fn list(context: &Context) -> Result<u8, Error> {
    let images = stored(&context.dirs()?)?;
    if context.global.json {
        output::json(&json!({ "images": images.iter().map(document).collect::<Vec<_>>() }));
        return Ok(0);
    }
    if context.global.machine_readable {
        tell_machines(context, &images);
        return Ok(0);
    }
    if images.is_empty() {
        context.say("No images; `nestlab image build` or `nestlab up` makes them");
        return Ok(0);
    }
    let head = ["IMAGE", "DIGEST", "SIZE", "ON DISK"]
        .map(str::to_owned)
        .to_vec();
    let rows = images.iter().map(|image| {
        vec![
            image.name.to_string(),
            image.digest.short(),
            crate::render::bytes(image.virtual_size.as_bytes()),
            crate::render::bytes(image.disk_usage().as_bytes()),
        ]
    });
    output::data(&output::table(
        &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
    ));
    Ok(0)
}

/// What `vagrant box list --machine-readable` writes.
fn tell_machines(context: &Context, images: &[Image]) {
    let provider = Provider::of_machines(context);
    for image in images {
        let (name, provider) = (image.name.as_str(), provider.name());
        machine::ui("", "info", &format!("{name} ({provider}, {NO_VERSION})"));
        machine::line("", "box-name", &[name]);
        machine::line("", "box-provider", &[provider]);
        machine::line("", "box-version", &[NO_VERSION]);
    }
}

fn build(context: &Context, names: &[String]) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let lab_file = context.place()?.existing_file()?.to_owned();
    let mut wanted = context.load(&lab_file)?.images;
    let is_named = |name: &ImageName| names.iter().any(|named| named == name.as_str());
    let unknown = |named: &&String| !wanted.keys().any(|name| name.as_str() == **named);
    if let Some(unknown) = names.iter().find(unknown) {
        return Err(no_image(unknown, wanted.keys()));
    }
    wanted.retain(|name, _| names.is_empty() || is_named(name));
    let store = open_to_fetch(context)?;
    let mut built = Vec::new();
    context.block_on(async {
        pin(context, &lab_file, &mut wanted).await?;
        for (name, spec) in &wanted {
            let progress = |message: String| context.say(&format!("{name}: {message}"));
            let image = store.ensure(name, spec, &progress).await;
            built.push(
                image.map_err(|error| told(format!("Cannot make the image `{name}`"), &error))?,
            );
        }
        if names.is_empty() {
            build_kit(context, &dirs, &store).await?;
        }
        Ok(())
    })?;
    if context.global.json {
        output::json(&json!({ "images": built.iter().map(document).collect::<Vec<_>>() }));
    } else {
        built.iter().for_each(|image| {
            context.say(&format!(
                "{} is there ({})",
                image.name,
                image.digest.short()
            ))
        });
    }
    Ok(0)
}

/// The kit is what `up` would make next.
async fn build_kit(context: &Context, dirs: &Dirs, store: &Store) -> Result<(), Error> {
    let fail = |error: std::io::Error| Error::caused("Cannot make the kit", &error);
    let agent = std::env::current_exe().map_err(fail)?;
    let init = embedded::init(&agent, &dirs.store.join("init")).map_err(fail)?;
    let progress = |message: String| context.say(&format!("kit: {message}"));
    let made = store
        .ensure_kit(&KitSources { agent, init }, &progress)
        .await;
    made.map(drop)
        .map_err(|error| told("Cannot make the kit".into(), &error))
}

fn inspect(context: &Context, name: &str) -> Result<u8, Error> {
    let stored = stored(&context.dirs()?)?;
    let stored: Vec<Value> = stored
        .iter()
        .filter(|image| image.name.as_str() == name)
        .map(document)
        .collect();
    // Outside a lab the built-in images and those of the store can be named.
    let specs = match context.place() {
        Ok(_) => specs(context)?,
        Err(_) => context.images_without_lab(),
    };
    let spec = specs
        .iter()
        .find(|(known, _)| known.as_str() == name)
        .map(|(_, spec)| spec);
    if spec.is_none() && stored.is_empty() {
        return Err(no_image(name, specs.keys()));
    }
    output::json(&json!({ "name": name, "made_from": spec, "stored": stored }));
    Ok(0)
}

/// The images of the lab at hand.
fn specs(context: &Context) -> Result<BTreeMap<ImageName, ImageSpec>, Error> {
    let place = context.place()?;
    Ok(context.load(place.existing_file()?)?.images)
}

/// What the store holds, under every name that it has; asking does not make one.
fn stored(dirs: &Dirs) -> Result<Vec<Image>, Error> {
    if !dirs.store.is_dir() {
        return Ok(Vec::new());
    }
    let images = open(dirs)?.list();
    let mut images = images.map_err(|error| told("Cannot list the images".into(), &error))?;
    for (name, spec) in nestlab_image::imported(&dirs.store) {
        let is_it = |image: &&Image| matches!(spec, ImageSpec::File { sha256, .. } if sha256 == Some(image.digest));
        let found = images.iter().find(is_it).cloned();
        images.extend(
            found
                .filter(|image| image.name != name)
                .map(|image| Image { name, ..image }),
        );
    }
    Ok(images)
}

/// The same, with the user's mirrors.
fn open_to_fetch(context: &Context) -> Result<Store, Error> {
    let mirrors = context.user_settings()?.image_mirrors;
    Ok(open(&context.dirs()?)?.with_mirrors(mirrors))
}

fn open(dirs: &Dirs) -> Result<Store, Error> {
    Store::open(dirs.store.clone()).map_err(|error| {
        told(
            format!("Cannot open the image store `{}`", dirs.store.display()),
            &error,
        )
    })
}

fn told(message: String, error: &ImageError) -> Error {
    let told = Error::caused(message, error);
    let told = match error {
        ImageError::MissingProgram { .. } => told.code(Code::Needs),
        _ => told,
    };
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn no_image<'a>(name: &str, known: impl Iterator<Item = &'a ImageName>) -> Error {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    Error::new(Code::Unknown, format!("No image is named `{name}`"))
        .hint(format!("Those of the lab's nodes: {}", known.join(", ")))
}

fn document(image: &Image) -> Value {
    json!({
        "name": image.name,
        "digest": image.digest,
        "file": image.disk,
        "format": image.format,
        "virtual_bytes": image.virtual_size,
        "disk_bytes": image.disk_usage(),
    })
}
