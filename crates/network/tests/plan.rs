//! What is planned for a layer, as `ip` and `nft` are to read it.

use nestlab_model::{Layer, Network, NetworkMode, NetworkName, NodeName};
use nestlab_network::{bridge_name, plan, tap_name};

fn network(name: &str, subnet: &str, mode: NetworkMode, mtu: u16) -> Network {
    let subnet: ipnet::Ipv4Net = subnet.parse().unwrap();
    Network {
        name: NetworkName::new(name).unwrap(),
        subnet,
        gateway: subnet.hosts().next().unwrap().into(),
        mtu,
        mode,
    }
}

fn layer(networks: Vec<Network>) -> Layer {
    Layer {
        networks,
        nodes: Vec::new(),
    }
}

#[test]
fn a_network_with_a_way_out() {
    let layer = layer(vec![network(
        "mesh",
        "10.10.10.0/24",
        NetworkMode::Nat,
        1400,
    )]);
    let plan = plan(&layer, "lab1", &[]);
    insta::assert_snapshot!(plan.ip, @r#"
    link add name nb-5a80da71e1a7 address 52:44:62:fd:98:cb type bridge forward_delay 0 stp_state 0 mcast_snooping 0
    link set dev nb-5a80da71e1a7 alias nestlab:lab1:network:mesh
    addr replace 10.10.10.1/24 dev nb-5a80da71e1a7
    link set dev nb-5a80da71e1a7 mtu 1400 up
    "#);
    insta::assert_snapshot!(plan.nft, @r#"
    table inet nestlab-lab1
    delete table inet nestlab-lab1
    table inet nestlab-lab1 {
      chain way-out {
        ip daddr 100.127.254.3 udp dport 53 return
        ip daddr 100.127.254.3 tcp dport 53 return
        ip daddr 100.127.254.0/24 oifname "uplink0" drop
      }
      chain forward {
        type filter hook forward priority filter; policy accept;
        jump way-out
        iifname "nb-5a80da71e1a7" oifname "nb-5a80da71e1a7" accept
        iifname "nb-5a80da71e1a7" oifname != { "nb-5a80da71e1a7" } accept
        oifname "nb-5a80da71e1a7" ct state established,related accept
        iifname { "nb-5a80da71e1a7" } drop
        oifname { "nb-5a80da71e1a7" } drop
      }
      chain output {
        type filter hook output priority filter; policy accept;
        jump way-out
      }
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.10.10.0/24 oifname != { "nb-5a80da71e1a7" } masquerade
      }
    }
    "#);
}

#[test]
fn networks_of_both_modes() {
    let layer = layer(vec![
        network("front", "10.10.10.0/24", NetworkMode::Nat, 1500),
        network("back", "10.10.20.0/24", NetworkMode::Isolated, 9000),
    ]);
    insta::assert_snapshot!(plan(&layer, "lab1", &["ens3".to_owned()]).nft, @r#"
    table inet nestlab-lab1
    delete table inet nestlab-lab1
    table inet nestlab-lab1 {
      chain way-out {
        ip daddr 100.127.254.3 udp dport 53 return
        ip daddr 100.127.254.3 tcp dport 53 return
        ip daddr 100.127.254.0/24 oifname "uplink0" drop
      }
      chain forward {
        type filter hook forward priority filter; policy accept;
        jump way-out
        iifname "nb-498d13373564" oifname "nb-498d13373564" accept
        iifname "nb-498d13373564" oifname { "ens3" } accept
        oifname "nb-498d13373564" ct state established,related accept
        iifname "nb-1be228620d58" oifname "nb-1be228620d58" accept
        iifname { "nb-498d13373564", "nb-1be228620d58" } drop
        oifname { "nb-498d13373564", "nb-1be228620d58" } drop
      }
      chain output {
        type filter hook output priority filter; policy accept;
        jump way-out
      }
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.10.10.0/24 oifname { "ens3" } masquerade
      }
    }
    "#);
}

#[test]
fn a_layer_without_networks_takes_old_rules_away() {
    let plan = plan(&Layer::default(), "lab1", &[]);
    assert_eq!(plan.ip, "");
    insta::assert_snapshot!(plan.nft, @r#"
    table inet nestlab-lab1
    delete table inet nestlab-lab1
    "#);
}

#[test]
fn interface_names_fit_and_differ() {
    let node = NodeName::new("n".repeat(63)).unwrap();
    let (one, two) = (
        NetworkName::new("one").unwrap(),
        NetworkName::new("two").unwrap(),
    );
    let names = [
        bridge_name("lab1", &one),
        bridge_name("lab1", &two),
        bridge_name("lab2", &one),
        tap_name("lab1", &node, &one),
        tap_name("lab1", &node, &two),
        tap_name("lab2", &node, &one),
    ];
    for (at, name) in names.iter().enumerate() {
        // IFNAMSIZ - 1 of linux/if.h.
        assert!(name.len() <= 15, "{name}");
        assert!(!names[..at].contains(name), "{names:?}");
    }
}
