//! `nestlab inventory`: the nodes of a lab for Ansible and whatever else reads its
//! inventories, to be reached by ssh.

use super::ansible::groups_of;
use super::ansible::inventory::{Host, document};
use super::ssh_config::{Reached, reach};
use crate::cli::SshConfigArgs;
use crate::context::Context;
use crate::error::Error;
use crate::output;
use nestlab_model::{NodePath, Playbook};
use serde_json::json;
use std::path::Path;

pub fn run(context: &Context, args: SshConfigArgs) -> Result<u8, Error> {
    let reached = context.block_on(reach(context, &args))?;
    let config = keep(&reached)?;
    let playbooks = playbooks(context)?;
    let hosts = reached.nodes.iter();
    let hosts: Vec<Host> = hosts
        .map(|(path, _)| host(path, &config, &playbooks, args.user.as_deref()))
        .collect();
    output::json(&document(&hosts));
    Ok(0)
}

/// A file with the settings, so that ssh can be told of it.
fn keep(reached: &Reached) -> Result<std::path::PathBuf, Error> {
    let file = reached.folder.join("config");
    let cannot = |error| Error::caused(format!("Cannot write {}", file.display()), &error);
    std::fs::write(&file, &reached.config).map_err(cannot)?;
    Ok(file)
}

/// A lab whose file is gone, as that of a fork may be, has no groups of its own.
fn playbooks(context: &Context) -> Result<Vec<Playbook>, Error> {
    match context.place()?.existing_file() {
        Ok(file) => Ok(context.load(file)?.playbooks),
        Err(_) => Ok(Vec::new()),
    }
}

fn host(path: &NodePath, config: &Path, playbooks: &[Playbook], user: Option<&str>) -> Host {
    let variables = json!({
        "ansible_user": user.unwrap_or("root"),
        "ansible_ssh_common_args": format!("-F '{}'", config.display()),
    });
    Host {
        path: path.clone(),
        groups: groups_of(playbooks, path),
        variables: variables.as_object().cloned().unwrap_or_default(),
    }
}
