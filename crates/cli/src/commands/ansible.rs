//! Playbooks: what Ansible on this machine applies to nodes, once the whole lab is up.
//!
//! Ansible sees the tree from above, as its inventory names nodes of every level. It
//! reaches them as everything here does, through their agents: a connection plugin calls
//! `exec` and `cp`. What was applied is marked on the node's own disk, so that forks,
//! snapshots and a node made anew all tell the truth.

pub mod inventory;

use super::ssh_config;
use super::up::Way;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::place::{Place, Record, private_dir};
use inventory::Host;
use nestlab_api::client::Client;
use nestlab_api::message::ExecRequest;
use nestlab_measure::doctor::packages;
use nestlab_model::{Lab, Layer, NodePath, Playbook, RunPolicy};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const PROGRAM: &str = "ansible-playbook";

/// The plugin's name, and its text.
const CONNECTION: &str = "nestlab";
const PLUGIN: &str = include_str!("ansible/connection.py");

/// Where a node keeps what was applied to it.
const MARKS: &str = "/var/lib/nestlab/ansible";

/// Playbooks of a lab, and which of them are meant.
#[derive(Default)]
pub struct Plays {
    /// All of the lab: nodes stand in their groups whatever is applied.
    all: Vec<Playbook>,
    /// With the policy that holds now.
    meant: Vec<Playbook>,
}

impl Plays {
    /// Those that somebody asks for.
    ///
    /// # Errors
    /// There are some, and no Ansible: better said before anything starts.
    pub fn of(lab: &Lab, way: &Way) -> Result<Self, Error> {
        let named = |path: &NodePath| way.paths.iter().any(|up| up == path || up.contains(path));
        let is_meant = |play: &Playbook| {
            play.run != RunPolicy::Never && (way.paths.is_empty() || named(&play.node))
        };
        let as_asked = |play: &Playbook| Playbook {
            run: way.provision.policy(&play.name, Playbook::KIND, play.run),
            ..play.clone()
        };
        let meant: Vec<_> = lab
            .playbooks
            .iter()
            .map(as_asked)
            .filter(is_meant)
            .collect();
        if !meant.is_empty() && !is_there() {
            let message =
                format!("Cannot find the program `{PROGRAM}`, which the lab file asks for");
            return Err(Error::new(Code::Needs, message)
                .hint("Install it: `apt install ansible-core`; `--no-provision` does without"));
        }
        Ok(Self {
            all: lab.playbooks.clone(),
            meant,
        })
    }

    /// Every node of the tree, also those without a playbook.
    fn hosts(&self, layer: &Layer) -> Vec<Host> {
        let nodes = layer.walk().into_iter();
        nodes
            .map(|(path, _)| {
                let groups = groups_of(&self.all, &path);
                host(path, groups)
            })
            .collect()
    }

    /// Applies what is due, in the order of the file.
    pub async fn run(
        &self,
        context: &Context,
        place: &Place,
        record: &Record,
        layer: &Layer,
        client: &Client,
    ) -> Result<(), Error> {
        if self.meant.is_empty() {
            return Ok(());
        }
        let kit = Kit::lay_out(place, record, &self.hosts(layer))?;
        for run in together(&self.meant) {
            let mark = mark(run[0])?;
            let mut due = Vec::new();
            for play in run {
                if play.run == RunPolicy::Always || !has(client, play, &mark).await? {
                    due.push(play);
                }
            }
            if let Some(play) = due.first() {
                let nodes: Vec<_> = due.iter().map(|play| &play.node).collect();
                kit.apply(context, play, &nodes).await?;
            }
            for play in due {
                in_node(
                    client,
                    &play.node,
                    &format!("mkdir -p {MARKS} && : >{mark}"),
                )
                .await?;
            }
        }
        Ok(())
    }
}

/// The groups that a node's playbooks put it into.
pub fn groups_of(playbooks: &[Playbook], node: &NodePath) -> BTreeSet<String> {
    let plays = playbooks.iter().filter(|play| play.node == *node);
    plays.flat_map(|play| play.groups.clone()).collect()
}

/// Playbooks that one run of Ansible applies to several nodes.
fn together(playbooks: &[Playbook]) -> Vec<Vec<&Playbook>> {
    let same = |a: &Playbook, b: &Playbook| {
        (&a.file, &a.name, a.run, &a.extra_vars, &a.args, &a.env)
            == (&b.file, &b.name, b.run, &b.extra_vars, &b.args, &b.env)
    };
    let mut runs: Vec<Vec<&Playbook>> = Vec::new();
    for play in playbooks {
        match runs.iter_mut().find(|run| same(run[0], play)) {
            Some(run) => run.push(play),
            None => runs.push(vec![play]),
        }
    }
    runs
}

/// The file in a node that says that this was applied, as it is now. What the playbook
/// includes is not looked at.
fn mark(play: &Playbook) -> Result<String, Error> {
    let cannot = |error| Error::caused(format!("Cannot read `{}`", play.file.display()), &error);
    let mut hasher = Sha256::new();
    hasher.update(fs::read(&play.file).map_err(cannot)?);
    hasher.update(format!("{:?}{:?}", play.extra_vars, play.args));
    let digest = nestlab_model::Digest(hasher.finalize().into());
    Ok(format!("{MARKS}/{}", digest.short()))
}

async fn has(client: &Client, play: &Playbook, mark: &str) -> Result<bool, Error> {
    let code = ask(client, &play.node, &format!("test -e {mark}")).await?;
    Ok(code == 0)
}

async fn in_node(client: &Client, node: &NodePath, command: &str) -> Result<(), Error> {
    match ask(client, node, command).await? {
        0 => Ok(()),
        code => {
            let message = format!("Cannot mark `{node}` as set up: exit {code}");
            Err(Error::new(Code::Failed, message))
        }
    }
}

async fn ask(client: &Client, node: &NodePath, command: &str) -> Result<i32, Error> {
    let request = ExecRequest {
        argv: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        ..ExecRequest::default()
    };
    Ok(client.at(node).run(request).await?.end.code())
}

fn is_there() -> bool {
    packages::is_there(PROGRAM, &std::env::var_os("PATH").unwrap_or_default())
}

/// What Ansible needs to know of a lab.
struct Kit {
    lab: String,
    program: PathBuf,
    plugins: PathBuf,
    inventory: PathBuf,
    /// Where the lab file is: `ansible.cfg` and roles may be beside it.
    folder: PathBuf,
}

impl Kit {
    fn lay_out(place: &Place, record: &Record, hosts: &[Host]) -> Result<Self, Error> {
        let folder = place.dirs.lab_state(&record.id).join("ansible");
        let plugins = folder.join("connection");
        private_dir(&folder)?;
        private_dir(&plugins)?;
        let kit = Self {
            lab: record.id.clone(),
            program: std::env::current_exe()
                .map_err(|error| Error::caused("Cannot find this program", &error))?,
            inventory: folder.join("inventory.json"),
            folder: place.file.parent().unwrap_or(Path::new("/")).to_owned(),
            plugins,
        };
        let inventory = inventory::document(hosts).to_string();
        write(&kit.inventory, &inventory)?;
        write(&kit.plugins.join(format!("{CONNECTION}.py")), PLUGIN)?;
        Ok(kit)
    }

    async fn apply(
        &self,
        context: &Context,
        play: &Playbook,
        nodes: &[&NodePath],
    ) -> Result<(), Error> {
        let names: Vec<_> = nodes.iter().map(|node| format!("`{node}`")).collect();
        let names = names.join(", ");
        context.say(&format!("applying {} to {names}", play.name));
        let mut command = self.command(play, nodes)?;
        // Its words are conversation, and only of interest where something goes wrong.
        let shown = !context.global.quiet;
        command.stdout(match shown {
            true => Stdio::from(std::io::stderr()),
            false => Stdio::piped(),
        });
        let cannot = |error| Error::caused(format!("Cannot run `{PROGRAM}`"), &error);
        let ended = command.spawn().map_err(cannot)?.wait_with_output().await;
        let ended = ended.map_err(cannot)?;
        if ended.status.success() {
            return Ok(());
        }
        crate::output::say(String::from_utf8_lossy(&ended.stdout).trim_end());
        let message = format!("The playbook {} failed for {names}", play.name);
        Err(Error::new(Code::Failed, message)
            .hint("The nodes run. Mend the playbook, then `nestlab up` applies it again"))
    }

    fn command(&self, play: &Playbook, nodes: &[&NodePath]) -> Result<Command, Error> {
        let limit: Vec<_> = nodes.iter().map(|node| ssh_config::host(node)).collect();
        let mut command = Command::new(PROGRAM);
        command.arg("--inventory").arg(&self.inventory);
        command.arg("--limit").arg(limit.join(","));
        if !play.extra_vars.is_empty() {
            let variables = json!(play.extra_vars).to_string();
            command.arg("--extra-vars").arg(variables);
        }
        command.args(&play.args).arg(&play.file);
        command.current_dir(&self.folder).envs(&play.env);
        command.env("ANSIBLE_CONNECTION_PLUGINS", &self.plugins);
        command.env("NESTLAB_PROGRAM", &self.program);
        command.env("NESTLAB_LAB", &self.lab);
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }
}

fn host(path: NodePath, groups: BTreeSet<String>) -> Host {
    let variables = json!({
        "ansible_connection": CONNECTION,
        // Agents run programs as root, and nobody needs to become it.
        "ansible_user": "root",
        "nestlab_node": path,
    });
    Host {
        path,
        groups,
        variables: variables.as_object().cloned().unwrap_or_default(),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    let cannot = |error| Error::caused(format!("Cannot write {}", file.display()), &error);
    fs::write(file, text).map_err(cannot)
}
