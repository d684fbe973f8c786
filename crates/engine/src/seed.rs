//! What a machine is told through cloud-init, if its image has that: a small disk in the
//! format of its NoCloud source, with who the machine is, its network, the keys of the
//! user, and what the user wants done. Images that were brought have one, and those whose
//! node asks for it.

use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::launch::Parts;
use crate::{BaseImage, Fault, firmware, provision};
use nestlab_api::client::Client;
use nestlab_api::message::LayerSpec;
use nestlab_backend::{Disk, DiskFormat};
use nestlab_model::{FirmwareChoice, NetworkMode, Node, ProvisionAction, Provisioner, RunPolicy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The disk's serial and its label: cloud-init looks for the latter.
pub(crate) const SERIAL: &str = "cidata";

/// The file of the disk, in a node's folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("cidata.iso")
}

/// Whether a node has the disk. One that a firmware starts gets its agent by it.
fn is_wanted(node: &Node, base: &BaseImage) -> bool {
    !base.ours || asks(node)
}

fn asks(node: &Node) -> bool {
    node.user_data.is_some() || matches!(node.boot.firmware, FirmwareChoice::Of(_))
}

/// Whether a node, or any inside it, has the disk.
pub(crate) fn is_wanted_within(node: &Node, parts: &Parts) -> bool {
    let within = node.inside.walk();
    let asked = within.iter().any(|(_, inner)| asks(inner));
    let brought = parts.inner.iter().any(|image| !image.ours);
    is_wanted(node, &parts.base) || asked || brought
}

/// Waits for cloud-init, and shows what it says meanwhile. Its exit code is 2 where
/// something went wrong that did not stop it (`cloud-init status --help`).
const WAIT: &str = r#"
command -v cloud-init >/dev/null || exit 0
tail -n +1 -F /var/log/cloud-init-output.log 2>/dev/null &
cloud-init status --wait >/dev/null 2>&1
code=$?
kill $! 2>/dev/null
[ $code = 0 ] && exit 0
cloud-init status --long
[ $code = 2 ]
"#;

impl Engine {
    /// Makes the disk, if the node has one.
    pub(crate) async fn seed(
        &self,
        cell: &NodeCell,
        node: &Node,
        parts: &Parts,
    ) -> Result<Option<Disk>, Fault> {
        let path = path(&cell.folder);
        let cannot = || Fault::io(format!("Cannot make {}", path.display()));
        if !is_wanted(node, &parts.base) {
            let _ = std::fs::remove_file(&path);
            return Ok(None);
        }
        let spec = self.spec()?;
        let resolver = self.0.ground.resolver().await;
        let meta = meta_data(&spec, cell, node).to_string();
        let network = network_config(&spec, node, resolver).to_string();
        let user = node.user_data.as_deref().unwrap_or("#cloud-config\n{}\n");
        let mut files = vec![
            ("meta-data", meta.as_bytes()),
            ("network-config", network.as_bytes()),
            ("user-data", user.as_bytes()),
        ];
        if firmware::of(node, &parts.base).is_some() {
            files.push(("vendor-data", firmware::AGENT.as_bytes()));
        }
        let disk = nestlab_image::small_disk(SERIAL, &files).map_err(cannot())?;
        nestlab_sys::atomic::write_with_mode(&path, &disk, 0o600).map_err(cannot())?;
        Ok(Some(Disk {
            serial: SERIAL.into(),
            path,
            format: DiskFormat::Raw,
            read_only: true,
        }))
    }

    /// Waits until cloud-init has done all that it was told, if the node has its disk.
    ///
    /// # Errors
    /// Something of it failed.
    pub(crate) async fn seed_has_grown(
        &self,
        cell: &NodeCell,
        agent: &Client,
    ) -> Result<(), Fault> {
        if !path(&cell.folder).exists() {
            return Ok(());
        }
        let step = Provisioner {
            name: "cloud-init".into(),
            run: RunPolicy::Always,
            action: ProvisionAction::Shell {
                script: WAIT.into(),
                args: Vec::new(),
            },
            env: BTreeMap::new(),
        };
        let done = provision::run_step(self, cell, &step, agent).await;
        done.map_err(|fault| {
            fault.with_hint(format!(
                "`nestlab exec {0} -- cat /var/log/cloud-init.log` tells all; it runs once per machine: mend `cloud_init`, then `nestlab destroy {0}` and `nestlab up`",
                cell.path
            ))
        })
    }
}

/// Another id makes cloud-init begin anew: the id of a machine is its place in its lab.
fn meta_data(spec: &LayerSpec, cell: &NodeCell, node: &Node) -> Value {
    let place = cell.path.to_string().replace('/', "-");
    json!({
        "instance-id": format!("nestlab-{}-{place}", spec.lab_id),
        "local-hostname": node.name.as_str(),
        "public-keys": spec.authorized_keys,
    })
}

/// The network as the agent will set it, which comes later (cloud-init's version 2).
fn network_config(spec: &LayerSpec, node: &Node, resolver: Option<IpAddr>) -> Value {
    let mut cards = serde_json::Map::new();
    let mut way_out = false;
    for (number, endpoint) in node.endpoints.iter().enumerate() {
        let Some(network) = spec.layer.network(&endpoint.network) else {
            continue;
        };
        let mut card = json!({
            "match": { "macaddress": endpoint.mac.to_string() },
            "addresses": [endpoint.address.to_string()],
            "mtu": network.mtu,
            // No router of a lab's speaks IPv6: a guest that waits for one is late for ssh.
            "accept-ra": false,
        });
        if network.mode == NetworkMode::Nat && !way_out {
            way_out = true;
            card["routes"] = json!([{ "to": "0.0.0.0/0", "via": network.gateway.to_string() }]);
            if let Some(resolver) = resolver {
                card["nameservers"] = json!({ "addresses": [resolver.to_string()] });
            }
        }
        cards.insert(format!("lan{number}"), card);
    }
    json!({ "version": 2, "ethernets": cards })
}
