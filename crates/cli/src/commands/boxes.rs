//! `nestlab box`: images, in the words of Vagrant.

use super::image;
use crate::cli::{BoxVerb, ImageVerb};
use crate::context::Context;
use crate::error::Error;
use std::path::PathBuf;

pub fn run(context: &Context, verb: BoxVerb) -> Result<u8, Error> {
    image::run(
        context,
        match verb {
            BoxVerb::List { .. } => ImageVerb::Ls,
            BoxVerb::Add { address, name, .. } => match PathBuf::from(&address) {
                file if file.is_file() => ImageVerb::Import { file, name },
                _ => ImageVerb::Pull {
                    names: vec![context.image_of_box(&address)?],
                    upgrade: false,
                },
            },
            BoxVerb::Remove { names, .. } => ImageVerb::Rm {
                names: names
                    .iter()
                    .map(|name| context.image_of_box(name))
                    .collect::<Result<_, _>>()?,
            },
            BoxVerb::Prune { .. } => ImageVerb::Prune,
            BoxVerb::Update => ImageVerb::Pull {
                names: Vec::new(),
                upgrade: true,
            },
            BoxVerb::Outdated { .. } => {
                context.say("`nestlab image pull --upgrade` takes what publishers have today");
                return Ok(0);
            }
        },
    )
}
