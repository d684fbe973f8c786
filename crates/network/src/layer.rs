//! One layer's networks, as they stand.

use crate::limits::{self, Limits};
use crate::plan::{self, Interface, bridge_name, tap_name};
use crate::{NetworkError, others, program};
use nestlab_model::{Layer, Network, NetworkName, NodeName};
use nestlab_sys::namespace::Namespaces;
use std::fs;

/// Modules that the rules and devices need; in a guest nothing loads them for us.
const MODULES: [&str; 9] = [
    "tun",
    "bridge",
    "nf_tables",
    "nf_conntrack",
    "nft_ct",
    "nft_chain_nat",
    "nft_masq",
    "nft_limit",
    "sch_tbf",
];

/// Where a layer's networks live.
#[derive(Debug, Clone)]
pub enum Place {
    /// The namespaces of a lab, on the host.
    Lab(Namespaces),
    /// This machine's own network: only inside a VM.
    Machine,
}

impl Place {
    fn namespaces(&self) -> Option<&Namespaces> {
        match self {
            Self::Lab(namespaces) => Some(namespaces),
            Self::Machine => None,
        }
    }
}

/// The networks of one layer. Dropping it leaves them.
#[derive(Debug, Clone)]
pub struct LayerNetwork {
    place: Place,
    tag: String,
    networks: Vec<Network>,
    limits: Limits,
}

impl LayerNetwork {
    /// Plans a layer without looking at anything; see [`plan::plan`].
    pub fn plan(layer: &Layer, tag: &str, uplinks: &[String]) -> plan::NetPlan {
        plan::plan(layer, tag, uplinks)
    }

    /// Makes the layer's bridges and rules exist as described and removes
    /// bridges of ours that it does not list. Idempotent. `tag` is unique among
    /// the layers of one place and has only letters, digits and `-`.
    ///
    /// # Errors
    /// `ip` or `nft` is missing or refuses.
    pub async fn up(place: Place, tag: &str, layer: &Layer) -> Result<Self, NetworkError> {
        let this = Self {
            place,
            tag: tag.to_owned(),
            networks: layer.networks.clone(),
            limits: limits::of_layer(layer, tag),
        };
        if matches!(this.place, Place::Machine) && !layer.networks.is_empty() {
            prepare_machine()?;
        }
        // Rules go by names, so it does not matter which is there first.
        tokio::try_join!(this.bridges(layer), this.rules(layer), this.limit_senders())?;
        for network in &this.networks {
            this.quiet(&bridge_name(tag, &network.name));
        }
        Ok(this)
    }

    async fn bridges(&self, layer: &Layer) -> Result<(), NetworkError> {
        let existing = self.interfaces().await?;
        let batch = plan::converge(layer, &self.tag, &existing);
        program::ip_batch(self.namespaces(), &batch, "make the bridges of the layer").await?;
        let ours = plan::tap_alias(&self.tag, "", "");
        let ours = ours.trim_end_matches(':');
        let ports = existing.iter().filter(|port| port.alias.starts_with(ours));
        let (limited, others): (Vec<_>, Vec<_>) = ports.partition(|port| port.is_limited);
        let wanted = others
            .into_iter()
            .filter(|port| self.is_limited(&port.name));
        let ports: Vec<&str> = limited
            .into_iter()
            .chain(wanted)
            .map(|port| port.name.as_str())
            .collect();
        self.set_rates(&ports).await
    }

    /// Whether the lab file says how much a port lets through.
    fn is_limited(&self, port: &str) -> bool {
        self.limits
            .get(port)
            .is_some_and(|limit| limit.rate.is_some())
    }

    /// Has a new port let no more through to its node than the lab file says.
    pub(crate) async fn limit_receiver(&self, port: &str) -> Result<(), NetworkError> {
        match self.is_limited(port) {
            true => self.set_rates(&[port]).await,
            false => Ok(()),
        }
    }

    async fn set_rates(&self, ports: &[&str]) -> Result<(), NetworkError> {
        if ports.is_empty() {
            return Ok(());
        }
        let program = ("tc", "iproute2");
        let inside = self.namespaces();
        let show = ["-json", "qdisc", "show"];
        let found = program::run(inside, program, &show, "", "list the rates of the ports").await?;
        let batch = limits::converge(ports.iter().copied(), &self.limits, &limits::rates(&found));
        if batch.is_empty() {
            return Ok(());
        }
        let action = "limit the rate of an endpoint";
        let set = program::run(inside, program, &["-batch", "-"], &batch, action).await;
        set.map(drop).map_err(limit_refused)
    }

    /// Has ports take no more from their nodes than the lab file says.
    async fn limit_senders(&self) -> Result<(), NetworkError> {
        let script = limits::rules(&self.tag, &self.limits);
        let set = program::nft(self.namespaces(), &script, "limit the rate of endpoints").await;
        match set {
            // A kernel that has no such rules has none of ours.
            Err(_) if self.limits.is_empty() => Ok(()),
            set => set.map_err(limit_refused),
        }
    }

    async fn rules(&self, layer: &Layer) -> Result<(), NetworkError> {
        if layer.networks.is_empty() {
            return Ok(());
        }
        let (inside, rules) = (self.namespaces(), plan::plan(layer, &self.tag, &[]).nft);
        program::nft(inside, &rules, "set the packet rules of the layer").await?;
        if matches!(self.place, Place::Machine) {
            others::pass_by(inside).await;
        }
        Ok(())
    }

    /// Makes the tap of an endpoint, a port of its network's bridge, and gives
    /// its name. Idempotent.
    ///
    /// # Errors
    /// The layer has no such network; /dev/net/tun is refused.
    pub async fn ensure_tap(
        &self,
        node: &NodeName,
        network: &NetworkName,
    ) -> Result<String, NetworkError> {
        let network = self.network(network)?;
        let tap = tap_name(&self.tag, node, &network.name);
        let found = self.interfaces().await?;
        let found = found.iter().find(|interface| interface.name == tap);
        let batch = plan::tap_lines(&self.tag, node, network, found);
        let action = format!("make the tap of `{node}` on network `{}`", network.name);
        program::ip_batch(self.place.namespaces(), &batch, &action)
            .await
            .map_err(|error| tun_refused(&tap, error))?;
        self.quiet(&tap);
        self.limit_receiver(&tap).await?;
        Ok(tap)
    }

    /// Removes the taps of a node. Idempotent.
    ///
    /// # Errors
    /// `ip` is missing or refuses.
    pub async fn remove_node(&self, node: &NodeName) -> Result<(), NetworkError> {
        let ours = plan::tap_alias(&self.tag, node.as_str(), "");
        self.remove(&ours, &format!("remove the taps of `{node}`"))
            .await
    }

    /// Removes every interface and rule of ours. Idempotent.
    ///
    /// # Errors
    /// `ip` or `nft` is missing or refuses.
    pub async fn down(&self) -> Result<(), NetworkError> {
        let ours = format!("nestlab:{}:", self.tag);
        self.remove(&ours, "remove the networks of the layer")
            .await?;
        let script = plan::no_rules(&self.tag);
        program::nft(
            self.place.namespaces(),
            &script,
            "remove the packet rules of the layer",
        )
        .await?;
        let none = Self {
            limits: Limits::new(),
            ..self.clone()
        };
        none.limit_senders().await
    }

    async fn remove(&self, alias: &str, action: &str) -> Result<(), NetworkError> {
        let ours = async || {
            let existing = self.interfaces().await?;
            let ours = existing
                .iter()
                .filter(|interface| interface.alias.starts_with(alias));
            let lines = ours.map(|interface| format!("link del dev {}\n", interface.name));
            Ok::<String, NetworkError>(lines.collect())
        };
        // A container that ends takes its own along, just then perhaps.
        let mut batch = ours().await?;
        while let Err(error) = program::ip_batch(self.namespaces(), &batch, action).await {
            let left = ours().await?;
            if left == batch {
                return Err(error);
            }
            batch = left;
        }
        Ok(())
    }

    pub(crate) fn network(&self, name: &NetworkName) -> Result<&Network, NetworkError> {
        let mut networks = self.networks.iter();
        let found = networks.find(|known| known.name == *name);
        found.ok_or_else(|| NetworkError::NoNetwork(name.to_string()))
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn namespaces(&self) -> Option<&Namespaces> {
        self.place.namespaces()
    }

    pub(crate) async fn interfaces(&self) -> Result<Vec<Interface>, NetworkError> {
        interfaces(self.place.namespaces()).await
    }

    /// Keeps IPv6, which is not offered, off an interface of ours. A lab's
    /// namespace has it off altogether.
    pub(crate) fn quiet(&self, interface: &str) {
        if matches!(self.place, Place::Machine) {
            let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
            let _ = fs::write(path, "1");
        }
    }
}

/// Whether there is an interface in the network of a process. Read from the kernel
/// (proc_pid_net(5)): a program that lists them costs as much as one that makes them.
pub(crate) fn process_has(process: u32, interface: &str) -> bool {
    let table = fs::read_to_string(format!("/proc/{process}/net/dev")).unwrap_or_default();
    let mut names = table.lines().filter_map(|line| line.split_once(':'));
    names.any(|(name, _)| name.trim() == interface)
}

/// Whether the network of a process leads out by an interface: the default route of IPv4.
pub(crate) fn process_leads_out_by(process: u32, interface: &str) -> bool {
    const EVERYWHERE: &str = "00000000";
    let table = fs::read_to_string(format!("/proc/{process}/net/route")).unwrap_or_default();
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(interface) && words.next() == Some(EVERYWHERE)
    })
}

/// The interfaces of a place.
pub(crate) async fn interfaces(place: Option<&Namespaces>) -> Result<Vec<Interface>, NetworkError> {
    // Only with `-d` are aliases told.
    let arguments = ["-d", "-j", "addr", "show"];
    let action = "list the interfaces";
    let text = program::run(place, ("ip", "iproute2"), &arguments, "", action).await?;
    let value: serde_json::Value =
        serde_json::from_str(text.trim()).map_err(|error| NetworkError::Command {
            action: action.to_owned(),
            message: error.to_string(),
        })?;
    Ok(value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(interface)
        .collect())
}

fn interface(value: &serde_json::Value) -> Option<Interface> {
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    let list = |key: &str| {
        value
            .get(key)
            .and_then(|v| v.as_array())
            .into_iter()
            .flatten()
    };
    let address = |entry: &serde_json::Value| {
        let v4 = entry.get("family")?.as_str()? == "inet";
        let (local, length) = (
            entry.get("local")?.as_str()?,
            entry.get("prefixlen")?.as_u64()?,
        );
        v4.then(|| format!("{local}/{length}"))
    };
    Some(Interface {
        name: text("ifname")?,
        alias: text("ifalias").unwrap_or_default(),
        mtu: value.get("mtu")?.as_u64()?,
        master: text("master"),
        up: list("flags").any(|flag| flag == "UP"),
        is_limited: text("qdisc").is_some_and(|kind| kind == "tbf"),
        addresses: list("addr_info").filter_map(address).collect(),
    })
}

/// Readies a VM's own kernel for the networks of what is inside it.
fn prepare_machine() -> Result<(), NetworkError> {
    for module in MODULES {
        if let Err(error) = nestlab_sys::kmod::load(module) {
            // What is really missing shows when it is used.
            tracing::debug!(module, %error, "module not loaded");
        }
    }
    let path = "/proc/sys/net/ipv4/ip_forward";
    // A container's has been set from outside, and may not be written.
    if fs::read_to_string(path).is_ok_and(|value| value.trim() == "1") {
        return Ok(());
    }
    fs::write(path, "1").map_err(NetworkError::io(format!("write {path}")))
}

/// The kernel has no token buckets, or no rules for bridges.
fn limit_refused(error: NetworkError) -> NetworkError {
    match error {
        NetworkError::Command { action, message } => NetworkError::LimitRefused { action, message },
        error => error,
    }
}

fn tun_refused(tap: &str, error: NetworkError) -> NetworkError {
    match error {
        NetworkError::Command { message, .. } if message.contains("/dev/net/tun") => {
            NetworkError::TunRefused {
                tap: tap.to_owned(),
                message,
            }
        }
        error => error,
    }
}
