//! The provider `docker`: a node that is a container.

use super::At;
use crate::report::Mark;
use crate::vagrant::datum::{Datum, Log, What};
use crate::vagrant::notes::Notes;

/// What a container is, as far as it was said.
#[derive(Debug, Default)]
pub(in crate::vagrant) struct Container {
    pub image: At<String>,
    /// The words of the command.
    pub cmd: At<Vec<String>>,
    pub env: Vec<(String, String, Mark)>,
    pub ports: Vec<(String, Mark)>,
    pub volumes: Vec<(String, Mark)>,
}

/// What builds an image, which we do not.
const BUILDS: [&str; 5] = [
    "build_dir",
    "compose",
    "dockerfile",
    "git_repo",
    "vagrant_vagrantfile",
];

const IGNORED: [&str; 19] = [
    "auth_server",
    "build_args",
    "compose_configuration",
    "create_args",
    "email",
    "expose",
    "force_host_vm",
    "has_ssh",
    "host_vm_build_dir_options",
    "link",
    "links",
    "name",
    "password",
    "privileged",
    "pull",
    "remains_running",
    "stop_timeout",
    "username",
    "vagrant_machine",
];

const MEANT: [&str; 5] = ["image", "cmd", "env", "ports", "volumes"];

impl Container {
    pub(super) fn read(log: &Log, notes: &mut Notes<'_>) -> Self {
        let mut container = Self::default();
        for event in &log.events {
            let mark = event.mark;
            match (event.name.as_str(), &event.what) {
                ("image", What::Set(value)) => {
                    container.image = value.is_true().then(|| (value.show(), mark));
                }
                ("cmd", What::Set(value)) => {
                    let words: Vec<_> = value.items().into_iter().map(Datum::show).collect();
                    container.cmd = (!words.is_empty()).then_some((words, mark));
                }
                ("env", What::Set(value)) => {
                    for (key, value) in value.entries() {
                        container.set_env(key.show(), value.show(), mark);
                    }
                }
                ("env", What::Index(key, value)) => {
                    container.set_env(key.show(), value.show(), mark);
                }
                ("ports", What::Set(value)) => container.ports = texts(value, mark),
                ("volumes", What::Set(value)) => container.volumes = texts(value, mark),
                ("compose", What::Set(value)) if !value.is_true() => {}
                (name, _) if BUILDS.contains(&name) => {
                    let message =
                        format!("`docker.{name}` builds an image, which is not done here");
                    let hint = "build it with Docker, `docker save` it into a file, and name that with `--box-alias`";
                    notes.error("vagrant-unsupported", mark, message, hint);
                }
                (name, _) if IGNORED.contains(&name) => {
                    notes.ignore("provider `docker`", name, mark);
                }
                (name, _) => {
                    let known = MEANT.into_iter().chain(BUILDS).chain(IGNORED);
                    notes.unknown("docker", name, mark, known);
                }
            }
        }
        container
    }

    fn set_env(&mut self, key: String, value: String, mark: Mark) {
        self.env.retain(|(known, ..)| *known != key);
        self.env.push((key, value, mark));
    }
}

fn texts(value: &Datum, mark: Mark) -> Vec<(String, Mark)> {
    let texts = value.items().into_iter().map(Datum::show);
    texts.map(|text| (text, mark)).collect()
}
