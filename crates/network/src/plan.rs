//! What a layer's networks come to, as text for `ip -batch` and `nft -f`. Pure.

use nestlab_model::{Layer, Mac, Network, NetworkMode, NetworkName, NodeName};
use nestlab_sys::dir::short_name;
use std::fmt::Write;

/// The subnet between the lab and its way out. From the range for carriers
/// (RFC 6598), so that it meets no lab's own.
pub(crate) const UPLINK_SUBNET: &str = "100.127.254.0/24";
/// The name server that the way out offers.
pub(crate) const UPLINK_RESOLVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(100, 127, 254, 3);

/// What is to be done for one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetPlan {
    /// Input of `ip -batch -` where nothing exists yet.
    pub ip: String,
    /// Input of `nft -f -`. May be applied again and again.
    pub nft: String,
    /// The bridge of each network.
    pub bridges: Vec<(NetworkName, String)>,
    /// The tap of each endpoint.
    pub taps: Vec<(NodeName, NetworkName, String)>,
}

/// The bridge of a network: at most 15 characters, the same at every call.
pub fn bridge_name(tag: &str, network: &NetworkName) -> String {
    format!("nb-{}", short_name(&[tag, network.as_str()]))
}

/// The tap of an endpoint: at most 15 characters, the same at every call.
pub fn tap_name(tag: &str, node: &NodeName, network: &NetworkName) -> String {
    format!("nt-{}", short_name(&[tag, node.as_str(), network.as_str()]))
}

/// Plans a layer. `uplinks` are the interfaces that lead out; if none are
/// given, every interface that is not the layer's own does.
pub fn plan(layer: &Layer, tag: &str, uplinks: &[String]) -> NetPlan {
    let name = |network: &Network| (network.name.clone(), bridge_name(tag, &network.name));
    let taps = layer.nodes.iter().flat_map(|node| {
        node.endpoints.iter().map(|endpoint| {
            let tap = tap_name(tag, &node.name, &endpoint.network);
            (node.name.clone(), endpoint.network.clone(), tap)
        })
    });
    NetPlan {
        ip: converge(layer, tag, &[]),
        nft: ruleset(layer, tag, uplinks),
        bridges: layer.networks.iter().map(name).collect(),
        taps: taps.collect(),
    }
}

/// An interface as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Interface {
    pub name: String,
    pub alias: String,
    pub mtu: u64,
    pub master: Option<String>,
    pub up: bool,
    /// Whether a rate is set for what it lets through.
    pub is_limited: bool,
    /// IPv4 addresses with prefix lengths.
    pub addresses: Vec<String>,
}

pub(crate) fn network_alias(tag: &str, network: &str) -> String {
    format!("nestlab:{tag}:network:{network}")
}

pub(crate) fn tap_alias(tag: &str, node: &str, network: &str) -> String {
    format!("nestlab:{tag}:node:{node}:{network}")
}

/// The commands that lead from what exists to what a layer wants.
pub(crate) fn converge(layer: &Layer, tag: &str, existing: &[Interface]) -> String {
    let mut batch = String::new();
    let wanted: Vec<_> = layer
        .networks
        .iter()
        .map(|n| bridge_name(tag, &n.name))
        .collect();
    let ours = network_alias(tag, "");
    for old in existing.iter().filter(|i| i.alias.starts_with(&ours)) {
        if !wanted.contains(&old.name) {
            line(&mut batch, format_args!("link del dev {}", old.name));
        }
    }
    for (network, bridge) in layer.networks.iter().zip(&wanted) {
        let found = existing.iter().find(|interface| interface.name == *bridge);
        bridge_lines(&mut batch, tag, network, bridge, found);
    }
    batch
}

fn bridge_lines(
    batch: &mut String,
    tag: &str,
    network: &Network,
    bridge: &str,
    found: Option<&Interface>,
) {
    let address = format!("{}/{}", network.gateway, network.subnet.prefix_len());
    if found.is_some_and(|i| {
        i.up && i.mtu == u64::from(network.mtu) && i.addresses == [address.clone()]
    }) {
        return;
    }
    if found.is_none() {
        // Its own Ethernet address, or it would change with every new port.
        let mac = Mac::derive(&[tag, network.name.as_str(), "bridge"]);
        line(
            batch,
            format_args!(
                "link add name {bridge} address {mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
            ),
        );
        let alias = network_alias(tag, network.name.as_str());
        line(batch, format_args!("link set dev {bridge} alias {alias}"));
    }
    for old in found
        .iter()
        .flat_map(|i| &i.addresses)
        .filter(|old| **old != address)
    {
        line(batch, format_args!("addr del {old} dev {bridge}"));
    }
    line(batch, format_args!("addr replace {address} dev {bridge}"));
    line(
        batch,
        format_args!("link set dev {bridge} mtu {} up", network.mtu),
    );
}

/// The commands that make a tap what it should be.
pub(crate) fn tap_lines(
    tag: &str,
    node: &NodeName,
    network: &Network,
    found: Option<&Interface>,
) -> String {
    let tap = tap_name(tag, node, &network.name);
    let bridge = bridge_name(tag, &network.name);
    let right = |i: &Interface| {
        i.up && i.mtu == u64::from(network.mtu) && i.master.as_deref() == Some(bridge.as_str())
    };
    let mut batch = String::new();
    if found.is_some_and(right) {
        return batch;
    }
    if found.is_none() {
        line(&mut batch, format_args!("tuntap add dev {tap} mode tap"));
        let alias = tap_alias(tag, node.as_str(), network.name.as_str());
        line(&mut batch, format_args!("link set dev {tap} alias {alias}"));
    }
    line(
        &mut batch,
        format_args!("link set dev {tap} mtu {} master {bridge} up", network.mtu),
    );
    batch
}

pub(crate) fn line(batch: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(batch, "{text}");
}

pub(crate) fn table(tag: &str) -> String {
    format!("inet nestlab-{tag}")
}

/// The script that removes the rules, whether there are any or not.
pub(crate) fn no_rules(tag: &str) -> String {
    let table = table(tag);
    format!("table {table}\ndelete table {table}\n")
}

fn ruleset(layer: &Layer, tag: &str, uplinks: &[String]) -> String {
    let mut text = no_rules(tag);
    let bridges: Vec<_> = layer
        .networks
        .iter()
        .map(|n| format!("\"{}\"", bridge_name(tag, &n.name)))
        .collect();
    if bridges.is_empty() {
        return text;
    }
    let ours = format!("{{ {} }}", bridges.join(", "));
    let out = if uplinks.is_empty() {
        format!("oifname != {ours}")
    } else {
        let names: Vec<_> = uplinks.iter().map(|name| format!("\"{name}\"")).collect();
        format!("oifname {{ {} }}", names.join(", "))
    };
    let (mut forward, mut masquerade) = (String::new(), String::new());
    for (network, bridge) in layer.networks.iter().zip(&bridges) {
        let _ = writeln!(forward, "    iifname {bridge} oifname {bridge} accept");
        if network.mode == NetworkMode::Nat {
            let subnet = network.subnet.trunc();
            let _ = writeln!(forward, "    iifname {bridge} {out} accept");
            let _ = writeln!(
                forward,
                "    oifname {bridge} ct state established,related accept"
            );
            let _ = writeln!(masquerade, "    ip saddr {subnet} {out} masquerade");
        }
    }
    // Of the way out's own addresses only its name server is for guests: the
    // others lead to services of the machine that runs the lab.
    let way_out = format!(
        "    ip daddr {UPLINK_RESOLVER} udp dport 53 {{verdict}}\n    ip daddr {UPLINK_RESOLVER} tcp dport 53 {{verdict}}\n    ip daddr {UPLINK_SUBNET} oifname \"{}\" drop\n",
        crate::gateway::INTERFACE
    );
    let _ = write!(
        text,
        "table {table} {{\n\
         \x20 chain way-out {{\n{rules}  }}\n\
         \x20 chain forward {{\n    type filter hook forward priority filter; policy accept;\n    jump way-out\n{forward}\
         \x20   iifname {ours} drop\n    oifname {ours} drop\n  }}\n\
         \x20 chain output {{\n    type filter hook output priority filter; policy accept;\n    jump way-out\n  }}\n\
         \x20 chain postrouting {{\n    type nat hook postrouting priority srcnat; policy accept;\n{masquerade}  }}\n}}\n",
        table = table(tag),
        rules = way_out.replace("{verdict}", "return"),
    );
    text
}
