//! A container's attachment to a network: a pair of interfaces, one a port of the bridge,
//! the other in the container's own network.

use crate::layer::{self, LayerNetwork};
use crate::plan::{self, bridge_name, tap_alias, tap_name};
use crate::{NetworkError, program};
use ipnet::IpNet;
use nestlab_model::{Mac, Network, NetworkName, NodeName};
use nestlab_sys::namespace::Namespaces;
use std::net::IpAddr;

/// How often an end that is in the way is removed.
const REMOVALS: usize = 3;

/// An interface that a container is to have.
#[derive(Debug, Clone)]
pub struct Cable<'a> {
    /// The network on whose bridge the other end is.
    pub network: &'a NetworkName,
    /// Its name in the container.
    pub interface: &'a str,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its address, with the subnet's prefix length.
    pub address: IpNet,
    /// Where it sends what is for nobody near.
    pub gateway: Option<IpAddr>,
}

impl LayerNetwork {
    /// Gives a container, by one of its processes, an interface on a network. An
    /// earlier one of the same node on that network is gone then. Idempotent.
    ///
    /// # Errors
    /// The layer has no such network; the process is gone; `ip` refuses.
    pub async fn plug(
        &self,
        node: &NodeName,
        cable: &Cable<'_>,
        process: u32,
    ) -> Result<(), NetworkError> {
        let action = format!("plug `{node}` into network `{}`", cable.network);
        let network = self.network(cable.network)?;
        let inside = Namespaces::network_of_process(process).map_err(NetworkError::io(format!(
            "{action}: open the container's network"
        )))?;
        if !layer::process_has(process, cable.interface) {
            let port = tap_name(self.tag(), node, &network.name);
            let batch = ends(self.tag(), node, network, cable, process);
            self.lay(&port, &batch, &action).await?;
            self.quiet(&port);
            self.limit_receiver(&port).await?;
        }
        program::ip_batch(Some(&inside), &settings(cable), &action).await
    }

    /// Makes both ends. An earlier one of the same node has mostly gone with the container
    /// that it led to, so it is looked for only when it is in the way. The kernel may just be
    /// removing it: it is gone then when we look, or when we remove it.
    async fn lay(&self, port: &str, batch: &str, action: &str) -> Result<(), NetworkError> {
        let mut laid = program::ip_batch(self.namespaces(), batch, action).await;
        for _ in 0..REMOVALS {
            if laid.is_ok() {
                break;
            }
            let old = self.interfaces().await?;
            let batch = match old.iter().any(|old| old.name == port) {
                true => format!("link del dev {port}\n{batch}"),
                false => batch.to_owned(),
            };
            laid = program::ip_batch(self.namespaces(), &batch, action).await;
        }
        laid
    }
}

/// What is said in the layer's network.
fn ends(tag: &str, node: &NodeName, network: &Network, cable: &Cable<'_>, process: u32) -> String {
    let mut batch = String::new();
    let port = tap_name(tag, node, &network.name);
    let alias = tap_alias(tag, node.as_str(), network.name.as_str());
    let bridge = bridge_name(tag, &network.name);
    let (mtu, mac, name) = (network.mtu, cable.mac, cable.interface);
    plan::line(
        &mut batch,
        format_args!(
            "link add {port} mtu {mtu} type veth peer name {name} mtu {mtu} address {mac} netns {process}"
        ),
    );
    plan::line(
        &mut batch,
        format_args!("link set dev {port} alias {alias}"),
    );
    plan::line(
        &mut batch,
        format_args!("link set dev {port} master {bridge} up"),
    );
    batch
}

/// What is said in the container's own network.
fn settings(cable: &Cable<'_>) -> String {
    let mut batch = String::new();
    let (name, address) = (cable.interface, cable.address);
    plan::line(&mut batch, format_args!("link set dev lo up"));
    plan::line(
        &mut batch,
        format_args!("addr replace {address} dev {name}"),
    );
    plan::line(&mut batch, format_args!("link set dev {name} up"));
    if let Some(gateway) = cable.gateway {
        plan::line(
            &mut batch,
            format_args!("route replace default via {gateway}"),
        );
    }
    batch
}
