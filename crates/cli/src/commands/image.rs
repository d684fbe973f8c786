//! `nestlab image`: what nodes boot from. The store needs no supervisor:
//! builds lock what they make, so this verb and an `up` may meet.

use crate::cli::ImageVerb;
use crate::context::Context;
use crate::embedded;
use crate::error::{Code, Error};
use crate::output;
use crate::place::{Dirs, Record};
use nestlab_image::{Image, ImageError, KitSources, Store};
use nestlab_model::{Digest, ImageName, ImageSpec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The largest record that is looked into, in bytes.
const MAX_RECORD: u64 = 16 << 20;

pub fn run(context: &Context, verb: ImageVerb) -> Result<u8, Error> {
    match verb {
        ImageVerb::Ls => list(context),
        ImageVerb::Build { names } => build(context, &names),
        ImageVerb::Inspect { name } => inspect(context, &name),
        ImageVerb::Prune => prune(context),
    }
}

fn list(context: &Context) -> Result<u8, Error> {
    let images = stored(&context.dirs()?)?;
    if context.global.json {
        output::json(&json!({ "images": images.iter().map(document).collect::<Vec<_>>() }));
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

fn build(context: &Context, names: &[String]) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let all = specs(context)?;
    let wanted: BTreeMap<&ImageName, &ImageSpec> = all
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name.as_str()))
        .collect();
    if let Some(unknown) = names
        .iter()
        .find(|n| !wanted.keys().any(|name| name.as_str() == *n))
    {
        return Err(no_image(unknown, all.keys()));
    }
    let store = open(&dirs)?;
    let mut built = Vec::new();
    context.block_on(async {
        for (name, spec) in wanted {
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
        Err(_) => nestlab_model::builtin_images(),
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

fn prune(context: &Context) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let images = stored(&dirs)?;
    let records = dirs.records();
    let mut used = BTreeSet::new();
    for record in &records {
        used.extend(names_of(context, &dirs, record));
    }
    // An image is stored under the name it was first asked for: one that a lab
    // knows by another name must not be taken from it.
    let named = |name: &str| images.iter().any(|image| image.name.as_str() == name);
    let unclear = used.iter().any(|name| !named(name));
    let kept: Vec<Digest> = images
        .iter()
        .filter(|image| unclear || used.contains(image.name.as_str()))
        .map(|image| image.digest)
        .collect();
    if images.is_empty() && !dirs.store.is_dir() {
        context.say("There are no images");
        return Ok(0);
    }
    let store = open(&dirs)?;
    let freed = context.block_on(async {
        let freed = store.prune(&kept, &kernels_of(&dirs, &records)).await;
        freed.map_err(|error| told("Cannot remove all unused images".into(), &error))
    })?;
    let (removed, kept) = (images.len() - kept.len(), kept.len());
    if context.global.json {
        output::json(&json!({ "removed": removed, "kept": kept, "freed_bytes": freed }));
    } else {
        let freed = crate::render::bytes(freed.as_bytes());
        context.say(&format!(
            "{removed} removed, {freed} freed; {kept} kept for {} labs",
            records.len()
        ));
    }
    Ok(0)
}

/// Names of images that a lab uses, by its file and by what was last brought up.
fn names_of(context: &Context, dirs: &Dirs, record: &Record) -> BTreeSet<String> {
    let file = context.read(&record.file).lab;
    let mut names: BTreeSet<String> = file
        .iter()
        .flat_map(|lab| lab.images.keys().map(ToString::to_string))
        .collect();
    for folder in folders_of(dirs, record) {
        for value in documents(&folder) {
            if let Some(images) = value["images"].as_object() {
                names.extend(images.keys().cloned());
            }
        }
    }
    names
}

/// The kernels of machines that run or are saved: with them come their kits.
fn kernels_of(dirs: &Dirs, records: &[Record]) -> Vec<PathBuf> {
    let mut kernels = Vec::new();
    for folder in records.iter().flat_map(|record| folders_of(dirs, record)) {
        for node in children(&folder.join("nodes")) {
            for value in documents(&node) {
                for spec in [&value["saved"], &value["machine"]["spec"]] {
                    kernels.extend(spec["boot"]["kernel"].as_str().map(PathBuf::from));
                }
            }
        }
    }
    kernels
}

/// The folder of a lab and those of its snapshots.
fn folders_of(dirs: &Dirs, record: &Record) -> Vec<PathBuf> {
    let lab = dirs.lab_state(&record.id);
    let mut folders = children(&lab.join("snapshots"));
    folders.push(lab);
    folders
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The JSON documents in a folder that are not too long to be records.
fn documents(folder: &Path) -> Vec<Value> {
    let small = |path: &PathBuf| {
        let short = std::fs::metadata(path).is_ok_and(|file| file.len() <= MAX_RECORD);
        short
            && path
                .extension()
                .is_some_and(|extension| extension == "json")
    };
    let files = children(folder).into_iter().filter(small);
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
    files.filter_map(read).collect()
}

/// The images of the lab at hand.
fn specs(context: &Context) -> Result<BTreeMap<ImageName, ImageSpec>, Error> {
    let place = context.place()?;
    Ok(context.load(place.existing_file()?)?.images)
}

/// What the store holds; asking does not make one.
fn stored(dirs: &Dirs) -> Result<Vec<Image>, Error> {
    if !dirs.store.is_dir() {
        return Ok(Vec::new());
    }
    open(dirs)?
        .list()
        .map_err(|error| told("Cannot list the images".into(), &error))
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
