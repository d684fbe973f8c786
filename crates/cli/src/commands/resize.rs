//! `nestlab resize`: a disk of a node becomes larger.

use crate::cli::ResizeArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use nestlab_api::message::{Growth, Resized};
use nestlab_model::NodePath;

pub fn run(context: &Context, args: ResizeArgs) -> Result<u8, Error> {
    context.block_on(resize(context, args))
}

async fn resize(context: &Context, args: ResizeArgs) -> Result<u8, Error> {
    let Some((parent, name)) = args.path.split_last() else {
        let message = "`.` is this machine; its disks are its own";
        return Err(Error::new(Code::Usage, message));
    };
    let client = super::client(context).await?;
    super::check_path(&client.layer().await?.status, &args.path)?;
    let resized = client.at(&parent).resize(name, &args.disk).await?;
    if context.global.json {
        output::json(&serde_json::json!(resized));
    }
    tell(context, &args.path, &resized);
    Ok(0)
}

fn tell(context: &Context, path: &NodePath, resized: &Resized) {
    let Resized {
        disk,
        before,
        after,
        inside,
        unused,
    } = resized;
    context.say(&format!(
        "The disk `{disk}` of `{path}` grew from {before} to {after}"
    ));
    match (inside, unused) {
        (Some(growth), _) => context.say(&use_of(growth)),
        (None, Some(why)) => context.say(&format!("The node does not use the new room: {why}")),
        (None, None) => context.say("The node sees it when it comes up"),
    }
}

fn use_of(growth: &Growth) -> String {
    match (&growth.mounted, growth.usable) {
        (Some(place), Some(usable)) => format!("{place} has room for {usable} now"),
        _ => format!(
            "{} is not mounted; it has {} now",
            growth.device, growth.bytes
        ),
    }
}
