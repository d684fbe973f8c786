//! `nestlab image prune` and `rm`: what no lab needs goes.

use super::{no_image, open, stored, told};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::place::{Dirs, Record};
use nestlab_image::Image;
use nestlab_model::{Digest, ImageSpec};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The largest record that is looked into, in bytes.
const MAX_RECORD: u64 = 16 << 20;

pub(super) fn prune(context: &Context) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let images = stored(&dirs)?;
    let used = used(context, &dirs, &images);
    let is_kept = |image: &&Image| used.contains(&image.digest);
    let kept: Vec<Digest> = images.iter().filter(is_kept).map(|i| i.digest).collect();
    if images.is_empty() && !dirs.store.is_dir() {
        context.say("There are no images");
        return Ok(0);
    }
    let store = open(&dirs)?;
    let freed = context.block_on(async {
        let freed = store
            .prune(&kept, &kernels_of(&dirs, &dirs.records()))
            .await;
        freed.map_err(|error| told("Cannot remove all unused images".into(), &error))
    })?;
    let (removed, kept) = (images.len() - kept.len(), kept.len());
    if context.global.json {
        output::json(&json!({ "removed": removed, "kept": kept, "freed_bytes": freed }));
    } else {
        let freed = crate::render::bytes(freed.as_bytes());
        context.say(&format!(
            "{removed} removed, {freed} freed; {kept} kept for {} labs",
            dirs.records().len()
        ));
    }
    Ok(0)
}

/// `nestlab image rm`
pub(super) fn remove(context: &Context, names: &[String]) -> Result<u8, Error> {
    let dirs = context.dirs()?;
    let images = stored(&dirs)?;
    let mut meant = Vec::new();
    for name in names {
        let known = meant.len();
        meant.extend(images.iter().filter(|image| image.name.as_str() == name));
        if meant.len() == known {
            return Err(no_image(name, images.iter().map(|image| &image.name)));
        }
    }
    let labs = used_by_labs(context, &dirs, &images);
    if let Some(used) = meant.iter().find(|image| labs.contains(&image.digest)) {
        let message = format!("The image `{}` is a lab's", used.name);
        return Err(Error::new(Code::Usage, message)
            .hint("`nestlab ls` lists the labs; `nestlab destroy` removes one"));
    }
    let store = open(&dirs)?;
    context.block_on(async {
        for image in meant {
            let gone = store.forget(image).await;
            gone.map_err(|error| told(format!("Cannot remove `{}`", image.name), &error))?;
            context.say(&format!(
                "{} ({}) is removed",
                image.name,
                image.digest.short()
            ));
        }
        Ok(0)
    })
}

/// The images that are to stay: labs use them, or somebody has imported them.
fn used(context: &Context, dirs: &Dirs, images: &[Image]) -> BTreeSet<Digest> {
    let mut used = used_by_labs(context, dirs, images);
    let imported = nestlab_image::imported(&dirs.store);
    used.extend(imported.values().filter_map(|spec| match spec {
        ImageSpec::File { sha256, .. } => *sha256,
        _ => None,
    }));
    used
}

fn used_by_labs(context: &Context, dirs: &Dirs, images: &[Image]) -> BTreeSet<Digest> {
    let mut used = BTreeSet::new();
    for record in &dirs.records() {
        used.extend(names_of(context, dirs, record));
    }
    // An image is stored under the name it was first asked for: one that a lab
    // knows by another name must not be taken from it.
    let named = |name: &str| images.iter().any(|image| image.name.as_str() == name);
    let unclear = used.iter().any(|name| !named(name));
    let is_used = |image: &&Image| unclear || used.contains(image.name.as_str());
    images.iter().filter(is_used).map(|i| i.digest).collect()
}

/// Names of images that a lab uses, by its file and by what was last brought up.
fn names_of(context: &Context, dirs: &Dirs, record: &Record) -> BTreeSet<String> {
    let file = context.read(&record.file).ok().and_then(|read| read.lab);
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
