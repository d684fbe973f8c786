//! The machines of a Vagrantfile as Vagrant itself sees them in the end: every scope merged,
//! every override applied, defaults filled in. Nothing here is of Nestlab yet.

use super::datum::{Datum, Log, Options};
use crate::report::Mark;
use serde_json::{Value, json};

/// One machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub name: String,
    /// Where it is defined.
    pub mark: Mark,
    pub primary: bool,
    pub autostart: bool,
    /// What was assigned to `config.vm`.
    pub vm: Options,
    /// What was called on `config.vm` and is none of the below, such as `disk`.
    pub calls: Log,
    pub networks: Vec<Network>,
    /// The provider that counts, and what its blocks said.
    pub provider: String,
    pub hardware: Log,
    /// Another provider's blocks, for what the chosen one has none for.
    pub fallback: Option<(String, Log)>,
    pub steps: Vec<Step>,
    pub folders: Vec<(String, Options)>,
    pub triggers: Vec<Trigger>,
    /// Everything beside `config.vm`, by name: `ssh`, `vagrant`, those of plugins.
    pub sections: Vec<(String, Log)>,
}

/// A `config.vm.network`.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub kind: String,
    pub options: Options,
}

/// A `config.vm.provision`.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub name: Option<String>,
    pub kind: String,
    pub run: Option<String>,
    pub before: Option<Datum>,
    pub after: Option<Datum>,
    pub preserve_order: bool,
    pub log: Log,
}

/// A `config.trigger`, for one command.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    /// `before` or `after`.
    pub at: &'static str,
    pub command: String,
    pub log: Log,
}

impl Machine {
    pub fn section(&self, name: &str) -> Option<&Log> {
        let mut sections = self.sections.iter();
        sections
            .find(|(known, _)| known == name)
            .map(|(_, log)| log)
    }

    /// The machine as JSON, the way that `tests/vagrant/dump.rb` has Vagrant show its own.
    pub fn json(&self) -> Value {
        let networks = self.networks.iter().map(|network| {
            let mut options = network.options.clone();
            if options.text("id").is_some_and(|id| id.starts_with('\0')) {
                options.take("id");
            }
            json!([network.kind, options.json()])
        });
        let text = |name| self.vm.get(name).map(|value| value.datum.show());
        let folders = self
            .folders
            .iter()
            .map(|(id, options)| json!([id, options.json()]));
        json!({
            "name": self.name,
            "primary": self.primary,
            "autostart": self.autostart,
            "box": text("box"),
            "box_version": self.vm.get("box_version").map(|value| value.datum.json()),
            "box_url": self.vm.get("box_url").map(|urls| {
                urls.datum.items().iter().map(|url| url.json()).collect::<Vec<_>>()
            }),
            "hostname": text("hostname"),
            "networks": networks.collect::<Vec<_>>(),
            "provider": self.provider_json(),
            "provisioners": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "folders": folders.collect::<Vec<_>>(),
            "triggers": self.triggers.iter().map(Trigger::json).collect::<Vec<_>>(),
        })
    }

    fn provider_json(&self) -> Value {
        let options = self.hardware.options();
        let get = |name: &str, default: Value| {
            options
                .given(name)
                .map_or(default, |value| value.datum.json())
        };
        match self.provider.as_str() {
            "libvirt" => {
                let sizes = self.hardware.calls("storage").filter_map(|(args, _)| {
                    let options = args.last()?;
                    let disk = options.get("device").map(Datum::show).as_deref() != Some("cdrom");
                    let size = options.get("size").map_or("10G".into(), Datum::show);
                    disk.then_some(size)
                });
                json!({
                    "cpus": get("cpus", json!(1)),
                    "memory": get("memory", json!(512)),
                    "cpu_mode": get("cpu_mode", json!("host-model")),
                    "cpu_model": get("cpu_model", json!("")),
                    "nested": get("nested", json!(false)),
                    "machine_virtual_size": get("machine_virtual_size", json!(null)),
                    "nic_model_type": get("nic_model_type", json!(null)),
                    "driver": get("driver", json!("kvm")),
                    "disks": sizes.collect::<Vec<_>>(),
                })
            }
            "virtualbox" => {
                let commands = super::provider::customizations(&self.hardware);
                let commands = commands.map(|(event, words, _)| {
                    json!([
                        event,
                        words.iter().map(|word| word.json()).collect::<Vec<_>>()
                    ])
                });
                json!({ "customizations": commands.collect::<Vec<_>>() })
            }
            "docker" => json!({
                "image": get("image", json!(null)),
                "cmd": get("cmd", json!([])),
                "env": get("env", json!({})),
                "ports": get("ports", json!([])),
                "volumes": get("volumes", json!([])),
                "privileged": get("privileged", json!(false)),
                "name": get("name", json!(null)),
                "create_args": get("create_args", json!([])),
            }),
            _ => json!({}),
        }
    }
}

impl Step {
    fn json(&self) -> Value {
        let mut shown = json!({ "name": self.name, "type": self.kind, "run": self.run });
        let options = self.log.options();
        let get = |name: &str| {
            options
                .given(name)
                .map_or(json!(null), |value| value.datum.json())
        };
        match self.kind.as_str() {
            "shell" => {
                extend(&mut shown, shell_json(&options));
                shown["title"] = get("name");
            }
            "file" => ["source", "destination"]
                .iter()
                .for_each(|key| shown[*key] = get(key)),
            "ansible" | "ansible_local" => {
                shown["playbook"] = get("playbook");
                shown["limit"] = get("limit");
                shown["tags"] = get("tags");
                shown["extra_vars"] = get("extra_vars");
                shown["groups"] = options.get("groups").map_or(json!({}), |v| v.datum.json());
            }
            _ => {}
        }
        shown
    }
}

impl Trigger {
    fn json(&self) -> Value {
        let options = self.log.options();
        let only = options.get("only_on").map(|only| {
            only.datum
                .items()
                .iter()
                .map(|one| one.show())
                .collect::<Vec<_>>()
        });
        json!({
            "at": self.at,
            "command": self.command,
            "name": options.get("name").map(|name| name.datum.json()),
            "only_on": only,
            "remote": options.get("run_remote").map(|remote| {
                let mut inner = Options::new(remote.mark);
                for (key, value) in remote.datum.entries() {
                    inner.set(key.show(), value.clone(), remote.mark);
                }
                shell_json(&inner)
            }),
        })
    }
}

/// The options of a shell provisioner with Vagrant's defaults.
fn shell_json(options: &Options) -> Value {
    let get = |name: &str, default: Value| {
        options
            .given(name)
            .map_or(default, |value| value.datum.json())
    };
    let args = options.get("args").map(|args| match &args.datum {
        Datum::List(items) => items.iter().map(Datum::show).collect(),
        other => json!(other.show()),
    });
    json!({
        "inline": get("inline", json!(null)),
        "path": get("path", json!(null)),
        "args": args,
        "env": get("env", json!({})),
        "privileged": get("privileged", json!(true)),
        "reboot": get("reboot", json!(false)),
        "reset": get("reset", json!(false)),
        "upload_path": get("upload_path", json!(null)),
        "sensitive": get("sensitive", json!(false)),
    })
}

fn extend(one: &mut Value, other: Value) {
    if let (Value::Object(one), Value::Object(other)) = (one, other) {
        one.extend(other);
    }
}
