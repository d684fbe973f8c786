//! The examples of the repository load without a word, in every shape that
//! their comments promise.

use nestlab_labfile::{Loaded, OsFiles, Severity, load};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn example(name: &str, sets: &[(&str, &str)]) -> Loaded {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let examples = root
        .ancestors()
        .nth(2)
        .expect("the crate lies in the workspace")
        .join("examples");
    let sets: BTreeMap<_, _> = sets
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(&OsFiles, &examples.join(name).join("nestlab.yaml"), &sets)
}

fn check(name: &str, sets: &[(&str, &str)]) -> nestlab_model::Lab {
    let loaded = example(name, sets);
    let bad = loaded
        .diagnostics
        .iter()
        .any(|d| d.severity < Severity::Note);
    assert!(!bad, "{}", loaded.render(&PathBuf::new(), false));
    loaded.lab.expect("a lab without errors")
}

#[test]
fn hello_loads() {
    assert_eq!(check("hello", &[]).layer.nodes.len(), 1);
}

#[test]
fn docker_loads() {
    assert_eq!(check("docker", &[]).layer.walk().len(), 3);
}

#[test]
fn flat_loads() {
    let lab = check("flat", &[]);
    let ports: Vec<_> = lab
        .layer
        .nodes
        .iter()
        .map(|node| node.ports[0].to_string())
        .collect();
    assert_eq!(ports, ["8500:8500", "8501:8500", "8502:8500"]);
}

#[test]
fn consul_ha_loads_in_every_shape() {
    let lab = check("consul-ha", &[]);
    assert_eq!(lab.layer.walk().len(), 4);
    let reference = [("cpus", "4"), ("memory", "6GiB"), ("server_memory", "1GiB")];
    check("consul-ha", &reference);
    check("consul-ha", &[("servers", "5"), ("memory", "3GiB")]);
    check(
        "consul-ha",
        &[("server_image", "consul-release"), ("acl", "true")],
    );
}

#[test]
fn consul_servers_know_each_other() {
    let lab = check("consul-ha", &[]);
    let consul = lab.layer.descend(&"l1/consul-2".parse().unwrap()).unwrap();
    assert_eq!(
        consul.provision[0].env["PEERS"],
        "10.10.10.11 10.10.10.12 10.10.10.13"
    );
    let nestlab_model::ProvisionAction::Shell { script, args } = &consul.provision[0].action else {
        panic!("a script");
    };
    assert!(script.starts_with("#!/bin/sh"));
    assert_eq!(args, &["consul-2", "10.10.10.12", "3"]);
}

#[test]
fn the_playground_loads_with_and_without_a_machine_inside() {
    assert_eq!(check("playground", &[]).layer.walk().len(), 2);
    let more = check("playground", &[("inner_machines", "2")]);
    assert_eq!(more.layer.walk().len(), 4);
}
