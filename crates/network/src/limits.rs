//! How fast endpoints may be, and what goes first. Pure.
//!
//! What a node receives leaves the layer by its port, so it waits there in a token bucket
//! (tc-tbf(8)), within which three bands are served one before the other. What it sends
//! comes in by its port, where nothing can wait: packets above the rate are dropped, as by
//! a provider's policer, which lets a second's worth through at once; and what goes first is
//! marked (nft(8), `meta priority`).

use crate::plan::{line, tap_name};
use nestlab_model::{BitRate, Layer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Longest that a packet may wait before it is dropped.
const LATENCY: &str = "50ms";

/// What may be sent at once is what is sent in this share of a second, and at least the
/// largest packet that a card hands on in one piece.
const BURST_SHARE: u64 = 50;
const LEAST_BURST: u64 = 65_536;

/// What is said of the speed of an endpoint, by its port.
pub(crate) type Limits = BTreeMap<String, Limit>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub rate: Option<BitRate>,
    priority: Option<u8>,
}

/// The ports of a layer that are limited.
pub(crate) fn of_layer(layer: &Layer, tag: &str) -> Limits {
    let endpoints = layer
        .nodes
        .iter()
        .flat_map(|node| node.endpoints.iter().map(move |endpoint| (node, endpoint)));
    let limited = endpoints.filter_map(|(node, endpoint)| {
        let limit = Limit {
            rate: endpoint.rate,
            priority: endpoint.priority,
        };
        let is_any = limit.rate.is_some() || limit.priority.is_some();
        is_any.then(|| (tap_name(tag, &node.name, &endpoint.network), limit))
    });
    limited.collect()
}

fn table(tag: &str) -> String {
    format!("bridge nestlab-{tag}")
}

/// The script that removes the rules, whether there are any or not.
pub(crate) fn no_rules(tag: &str) -> String {
    let table = table(tag);
    format!("table {table}\ndelete table {table}\n")
}

/// The rules for what nodes send, as a script for `nft -f`.
pub(crate) fn rules(tag: &str, limits: &Limits) -> String {
    let mut text = no_rules(tag);
    if limits.is_empty() {
        return text;
    }
    let _ = write!(
        text,
        "table {} {{\n  chain prerouting {{\n    type filter hook prerouting priority filter; policy accept;\n",
        table(tag)
    );
    for (port, limit) in limits {
        if let Some(rate) = limit.rate {
            let bytes = rate.bytes_per_second();
            let _ = writeln!(
                text,
                "    iifname \"{port}\" limit rate over {bytes} bytes/second drop"
            );
        }
        if let Some(priority) = limit.priority {
            let _ = writeln!(
                text,
                "    iifname \"{port}\" meta priority set 0:{priority}"
            );
        }
    }
    text.push_str("  }\n}\n");
    text
}

fn burst(rate: BitRate) -> u64 {
    (rate.bytes_per_second() / BURST_SHARE).max(LEAST_BURST)
}

/// The commands for `tc -batch` that lead some ports from the rates that they have to those
/// that they should have.
pub(crate) fn converge<'a>(
    ports: impl Iterator<Item = &'a str>,
    limits: &Limits,
    found: &BTreeMap<String, u64>,
) -> String {
    let mut batch = String::new();
    for port in ports {
        let rate = limits.get(port).and_then(|limit| limit.rate);
        let has = found.get(port).copied();
        if has == rate.map(BitRate::bytes_per_second) {
            continue;
        }
        // Changed in place, its bands would be lost.
        if has.is_some() {
            line(&mut batch, format_args!("qdisc del dev {port} root"));
        }
        if let Some(rate) = rate {
            let burst = burst(rate);
            line(
                &mut batch,
                format_args!(
                    "qdisc add dev {port} root handle 1: tbf rate {rate} burst {burst} latency {LATENCY}"
                ),
            );
            line(
                &mut batch,
                format_args!("qdisc add dev {port} parent 1:1 handle 10: pfifo_fast"),
            );
        }
    }
    batch
}

/// The bytes in a second of every port that has a token bucket, from what
/// `tc -json qdisc show` says.
pub(crate) fn rates(text: &str) -> BTreeMap<String, u64> {
    let value: Value = serde_json::from_str(text.trim()).unwrap_or_default();
    let buckets = value.as_array().into_iter().flatten();
    let buckets = buckets.filter(|qdisc| qdisc["kind"] == "tbf");
    buckets
        .filter_map(|qdisc| {
            let port = qdisc["dev"].as_str()?.to_owned();
            Some((port, qdisc["options"]["rate"].as_u64()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let limit = |rate: Option<&str>, priority| Limit {
            rate: rate.map(|rate| rate.parse().unwrap()),
            priority,
        };
        [
            ("nt-a".to_owned(), limit(Some("10mbit"), None)),
            ("nt-b".to_owned(), limit(Some("1gbit"), Some(6))),
            ("nt-c".to_owned(), limit(None, Some(1))),
        ]
        .into()
    }

    #[test]
    fn what_nodes_send_is_dropped_or_marked() {
        insta::assert_snapshot!(rules("lab1", &limits()), @r#"
        table bridge nestlab-lab1
        delete table bridge nestlab-lab1
        table bridge nestlab-lab1 {
          chain prerouting {
            type filter hook prerouting priority filter; policy accept;
            iifname "nt-a" limit rate over 1250000 bytes/second drop
            iifname "nt-b" limit rate over 125000000 bytes/second drop
            iifname "nt-b" meta priority set 0:6
            iifname "nt-c" meta priority set 0:1
          }
        }
        "#);
        assert_eq!(
            rules("lab1", &Limits::new()),
            "table bridge nestlab-lab1\ndelete table bridge nestlab-lab1\n"
        );
    }

    #[test]
    fn what_nodes_receive_waits() {
        let check = |found: &str| {
            let ports = ["nt-a", "nt-b", "nt-c", "nt-d"];
            converge(ports.into_iter(), &limits(), &rates(found))
        };
        insta::assert_snapshot!(check("[]"), @"
        qdisc add dev nt-a root handle 1: tbf rate 10mbit burst 65536 latency 50ms
        qdisc add dev nt-a parent 1:1 handle 10: pfifo_fast
        qdisc add dev nt-b root handle 1: tbf rate 1gbit burst 2500000 latency 50ms
        qdisc add dev nt-b parent 1:1 handle 10: pfifo_fast
        ");
        let others = r#"[{"kind":"noqueue","dev":"nt-c","root":true,"options":{}},
            {"kind":"tbf","dev":"nt-a","root":true,"options":{"rate":1250000,"burst":65535,"lat":50000}},
            {"kind":"tbf","dev":"nt-b","root":true,"options":{"rate":7}},
            {"kind":"tbf","dev":"nt-d","root":true,"options":{"rate":1250000}}]"#;
        insta::assert_snapshot!(check(others), @"
        qdisc del dev nt-b root
        qdisc add dev nt-b root handle 1: tbf rate 1gbit burst 2500000 latency 50ms
        qdisc add dev nt-b parent 1:1 handle 10: pfifo_fast
        qdisc del dev nt-d root
        ");
    }
}
