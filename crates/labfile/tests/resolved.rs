//! What a sound lab file becomes, and what holds for every lab.

mod common;

use common::loaded;
use nestlab_model::{FileSource, Firmware, FirmwareChoice, Lab, Layer, NodePath};
use proptest::prelude::*;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;

fn lab(yaml: &str) -> Lab {
    let loaded = loaded(yaml, &[]);
    let shown = loaded.render(Path::new("/lab"), false);
    loaded.lab.unwrap_or_else(|| panic!("{shown}"))
}

/// Networks and nodes with their addresses, one a line.
fn outline(lab: &Lab) -> String {
    let mut lines = Vec::new();
    outline_layer(&lab.layer, &NodePath::host(), &mut lines);
    lines.join("\n")
}

fn outline_layer(layer: &Layer, path: &NodePath, lines: &mut Vec<String>) {
    let indent = "  ".repeat(path.level());
    for network in &layer.networks {
        lines.push(format!(
            "{indent}[{}] {} via {} mtu {} {:?}",
            network.name, network.subnet, network.gateway, network.mtu, network.mode
        ));
    }
    for node in &layer.nodes {
        let addresses: Vec<_> = node
            .endpoints
            .iter()
            .map(|e| format!("{} {}", e.network, e.address))
            .collect();
        let addresses = match addresses.is_empty() {
            true => "no network".to_owned(),
            false => addresses.join(", "),
        };
        lines.push(format!("{indent}{} {} {addresses}", node.name, node.memory));
        outline_layer(&node.inside, &path.child(&node.name), lines);
    }
}

/// The sketch of the design, to the letter but for the script's place.
const SKETCH: &str = r#"
name: consul-ha
variables: { servers: 3 }
images: { consul-server: { recipe: { suite: bullseye, packages: [consul] } } }
nodes:
  l1:
    image: hypervisor
    cpus: 2
    memory: 3GiB
    nested: true
    ports: ["8500:consul-1:8500"]  # port here → a node inside, through every level
    inside:
      networks:
        mesh: { subnet: 10.10.10.0/24, mtu: 1500, mode: nat }
      nodes:
        consul:
          count: "{{ servers }}"   # consul-1 … consul-3
          image: consul-server
          cpus: 1
          memory: 384MiB
          networks: { mesh: { ip: "10.10.10.1{{ index }}" } }
          provision:
            - script: setup.sh
              args: ["{{ name }}", "{{ ip }}", "{{ servers }}"]
          ready: { http: "http://localhost:8500/v1/status/leader", matches: ":8300" }
"#;

#[test]
fn the_sketch_resolves() {
    insta::assert_snapshot!(outline(&lab(SKETCH)), @"
    [default] 10.200.0.0/24 via 10.200.0.1 mtu 1500 Nat
    l1 3GiB default 10.200.0.11/24
      [mesh] 10.10.10.0/24 via 10.10.10.1 mtu 1500 Nat
      consul-1 384MiB mesh 10.10.10.11/24
      consul-2 384MiB mesh 10.10.10.12/24
      consul-3 384MiB mesh 10.10.10.13/24
    ");
    let lab = lab(SKETCH);
    let consul = lab.layer.descend(&"l1/consul-3".parse().unwrap()).unwrap();
    insta::assert_debug_snapshot!(&consul.provision, @r##"
    [
        Provisioner {
            name: "setup.sh",
            run: Once,
            action: Shell {
                script: "#!/bin/sh\n",
                args: [
                    "consul-3",
                    "10.10.10.13",
                    "3",
                ],
            },
            env: {},
        },
    ]
    "##);
    insta::assert_debug_snapshot!(&consul.ready, @r#"
    Some(
        Probe {
            check: Http {
                url: "http://localhost:8500/v1/status/leader",
                matches: Some(
                    ":8300",
                ),
            },
            interval: 1s,
            timeout: 300s,
            hint: None,
        },
    )
    "#);
    let images: Vec<_> = lab.images.keys().map(ToString::to_string).collect();
    assert_eq!(images, ["consul-server", "hypervisor"]);
}

#[test]
fn a_group_of_none_is_a_group() {
    let lab = lab(r#"
name: t
variables: { n: 0 }
nodes:
  a: { image: debian, count: "{{ n }}", quorum: true, networks: [] }
  b: { image: debian, depends_on: [a], networks: [] }
"#);
    let names: Vec<_> = lab
        .layer
        .nodes
        .iter()
        .map(|node| node.name.to_string())
        .collect();
    assert_eq!(names, ["b"]);
    assert!(lab.layer.nodes[0].depends_on.is_empty());
}

#[test]
fn addresses_and_subnets_keep_clear_of_each_other() {
    let lab = lab(r#"
name: t
networks:
  taken: { subnet: 10.200.0.0/24 }
  small: { subnet: 10.0.0.0/29 }
nodes:
  a: { image: debian, networks: [taken, small] }
  b: { image: debian, networks: { taken: { ip: 10.200.0.1 }, small: {} } }
  c: { image: debian, networks: { taken: { ip: 10.200.0.12 } } }
  d: { image: debian, count: 1, networks: [taken] }
  none: { image: debian, networks: [] }
  l1:
    image: hypervisor
    memory: 4GiB
    nested: true
    inside:
      nodes:
        x: { image: debian }
        l2:
          image: hypervisor
          memory: 2GiB
          nested: true
          inside:
            networks: { deep: { subnet: 10.200.2.0/24, mode: isolated } }
            nodes: { y: { image: debian, networks: [deep] } }
"#);
    insta::assert_snapshot!(outline(&lab), @"
    [taken] 10.200.0.0/24 via 10.200.0.254 mtu 1500 Nat
    [small] 10.0.0.0/29 via 10.0.0.1 mtu 1500 Nat
    [default] 10.200.1.0/24 via 10.200.1.1 mtu 1500 Nat
    a 512MiB taken 10.200.0.11/24, small 10.0.0.2/29
    b 512MiB taken 10.200.0.1/24, small 10.0.0.3/29
    c 512MiB taken 10.200.0.12/24
    d-1 512MiB taken 10.200.0.13/24
    none 512MiB no network
    l1 4GiB default 10.200.1.11/24
      [default] 10.200.3.0/24 via 10.200.3.1 mtu 1500 Nat
      x 512MiB default 10.200.3.11/24
      l2 2GiB default 10.200.3.12/24
        [deep] 10.200.2.0/24 via 10.200.2.1 mtu 1500 Isolated
        y 512MiB deep 10.200.2.11/24
    ");
}

#[test]
fn sizes_and_sources_are_resolved() {
    let lab = lab(r#"
name: t
nodes:
  a:
    image: debian
    memory: 1000MB
    disks: { data: 1GiB }
    kernel: binary
    files: [{ source: ./folder, target: /srv/folder }, { content: "{{ name }}\n", target: /etc/x, mode: 0600 }]
    provision: [{ inline: "true" }, { inline: "false", run: always, env: { A: 1 } }, { script: setup.sh }, { script: setup.sh }]
"#);
    let node = &lab.layer.nodes[0];
    assert_eq!(node.memory.to_string(), "954MiB");
    let host = |path: &str| FileSource::Host(path.into());
    assert_eq!(node.boot.kernel, Some(host("/lab/binary")));
    assert_eq!(node.files[0].source, host("/lab/folder"));
    assert_eq!(node.files[1].source, FileSource::Inline("a\n".into()));
    assert_eq!(node.files[1].mode, Some(0o600));
    let names: Vec<_> = node
        .provision
        .iter()
        .map(|step| step.name.as_str())
        .collect();
    assert_eq!(names, ["inline-1", "inline-2", "setup.sh", "setup.sh-4"]);
}

/// Checks what holds for every lab that comes out.
fn assert_sound(layer: &Layer, above: &[ipnet::Ipv4Net]) {
    let mut subnets = above.to_vec();
    for network in &layer.networks {
        let overlap = |other: &ipnet::Ipv4Net| {
            other.contains(&network.subnet) || network.subnet.contains(other)
        };
        assert!(!subnets.iter().any(overlap), "{} overlaps", network.subnet);
        assert!(IpAddr::from(network.subnet.network()) != network.gateway);
        subnets.push(network.subnet);
    }
    let mut names = HashSet::new();
    let mut taken: HashSet<_> = layer
        .networks
        .iter()
        .map(|network| (&network.name, network.gateway))
        .collect();
    for node in &layer.nodes {
        assert!(names.insert(&node.name), "{} twice", node.name);
        for endpoint in &node.endpoints {
            let network = layer
                .network(&endpoint.network)
                .expect("a network of the layer");
            assert!(ipnet::IpNet::V4(network.subnet).contains(&endpoint.address.addr()));
            assert_eq!(endpoint.address.prefix_len(), network.subnet.prefix_len());
            assert!(
                taken.insert((&endpoint.network, endpoint.address.addr())),
                "address twice"
            );
        }
        for dependency in &node.depends_on {
            assert!(
                layer
                    .node(&dependency.node)
                    .is_some_and(|other| other.name != node.name)
            );
        }
        assert_sound(&node.inside, &subnets);
    }
}

/// Words of lab files in every order: near enough to sound to get far.
fn soup() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(vec![
        "name: t",
        "nodes:",
        "a:",
        "b:",
        "l1:",
        "inside:",
        "image: debian",
        "memory: 2GiB",
        "nested: true",
        "count: 0",
        "count: 3",
        "count: \"{{ n }}\"",
        "variables: { n: 2 }",
        "networks:",
        "mesh: { subnet: 10.0.0.0/24 }",
        "mesh:",
        "mesh: { ip: \"10.0.0.1{{ index }}\" }",
        "networks: [mesh]",
        "depends_on: [a, b]",
        "ports: [\"80:80\"]",
        "- x",
        "from: inner.yaml",
        "from: circle.yaml",
        "&a",
        "*a",
        "<<: *a",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "|",
        "{{ ip }}",
        "? ",
        "---",
        "%",
        "!!int",
        "provision:",
        "- inline: x",
        "ready: { tcp: 80 }",
        "#",
        "\t",
        "é",
        "~",
    ]);
    let line = (0usize..5, proptest::collection::vec(words, 1..3))
        .prop_map(|(indent, words)| format!("{}{}", "  ".repeat(indent), words.join(" ")));
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

/// Small trees of groups, most of them sound.
fn tree() -> impl Strategy<Value = String> {
    let group = (1u8..5, 0u8..4, any::<bool>(), 22u8..30);
    proptest::collection::vec(group, 1..5).prop_map(|groups| {
        let mut text = "name: t\nnetworks: { x: { subnet: 10.200.0.0/24 }, y: {} }\nnodes:\n".to_owned();
        for (number, (count, networks, inside, prefix)) in groups.into_iter().enumerate() {
            let networks = match networks {
                0 => "",
                1 => ", networks: [x, y]",
                2 => ", networks: []",
                _ => ", networks: { y: {}, x: { ip: \"10.200.0.1{{ index }}\" } }",
            };
            text += &format!("  g{number}: {{ image: debian, memory: 8GiB, count: {count}{networks}");
            if inside {
                text += &format!(
                    ", nested: true, inside: {{ networks: {{ z: {{ subnet: 10.77.0.0/{prefix} }} }}, \
                     nodes: {{ k: {{ image: debian, count: {count}, networks: [z] }}, l: {{ image: \
                     debian }} }} }}"
                );
            }
            text += " }\n";
        }
        text
    })
}

/// A machine in a machine in a machine …
fn tower(levels: u32) -> String {
    let mut text = "name: t\nnodes: ".to_owned();
    for level in 1..levels {
        let memory = (levels - level + 1) * 1024;
        text += &format!(
            "{{ n: {{ image: hypervisor, memory: {memory}MiB, nested: true, inside: {{ nodes: "
        );
    }
    text += "{ n: { image: debian } }";
    text + &" } } }".repeat(levels as usize - 1) + "\n"
}

#[test]
fn depth_is_free_up_to_an_end() {
    let lab = lab(&tower(32));
    assert_eq!(lab.layer.walk().len(), 32);
    let json = serde_json::to_string(&lab).unwrap();
    assert_eq!(serde_json::from_str::<Lab>(&json).unwrap(), lab);
    let high = loaded(&tower(33), &[]);
    assert_eq!(high.diagnostics[0].code, "too-deep");
}

fn assert_no_panic(text: &str) {
    let loaded = loaded(text, &[("n", "2")]);
    loaded.render(Path::new("/lab"), true);
    if let Some(lab) = &loaded.lab {
        assert_sound(&lab.layer, &[]);
        let json = serde_json::to_string(lab).unwrap();
        assert_eq!(&serde_json::from_str::<Lab>(&json).unwrap(), lab);
    } else {
        assert!(!loaded.diagnostics.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        assert_no_panic(&text);
    }

    #[test]
    fn any_soup_of_words_is_answered(text in soup()) {
        assert_no_panic(&text);
    }

    #[test]
    fn every_lab_that_comes_out_is_sound(text in tree()) {
        assert_no_panic(&text);
    }
}

#[test]
fn what_starts_a_machine_is_chosen() {
    let lab = lab(r#"name: t
nodes:
  a: { image: debian }
  b: { image: debian, firmware: bios }
  c: { image: debian, firmware: uefi }
  d: { image: debian, firmware: direct, cmdline: quiet }
"#);
    let choices = lab.layer.nodes.iter().map(|node| node.boot.firmware);
    assert!(choices.eq([
        FirmwareChoice::Auto,
        FirmwareChoice::Of(Firmware::Bios),
        FirmwareChoice::Of(Firmware::Uefi),
        FirmwareChoice::Direct,
    ]));
}
