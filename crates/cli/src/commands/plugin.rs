//! `nestlab plugin`: what Vagrant needs plugins for is built in, or is not there at all.
//! Scripts that install them first shall not stop for those that are not missed.

use crate::cli::PluginArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_labfile::VAGRANT_PLUGINS;

pub fn run(context: &Context, args: &PluginArgs) -> Result<u8, Error> {
    let mut words = args.words.iter().map(String::as_str);
    let verb = words.next().unwrap_or("list");
    match verb {
        "install" | "update" => words
            .filter(|word| !word.starts_with('-'))
            .try_for_each(|name| install(context, name))?,
        "list" => context.say("There are no plugins, and none is needed"),
        _ => context.say(&format!("There are no plugins to {verb}")),
    }
    Ok(0)
}

fn install(context: &Context, name: &str) -> Result<(), Error> {
    if VAGRANT_PLUGINS.contains(&name) {
        context.say(&format!(
            "`{name}` is not needed: Nestlab does that by itself, or it has no meaning here"
        ));
        return Ok(());
    }
    let message = format!("Nestlab takes no plugins of Vagrant, such as `{name}`");
    Err(Error::new(Code::Usage, message)
        .hint("`nestlab validate` tells what of a Vagrantfile has no meaning here"))
}
