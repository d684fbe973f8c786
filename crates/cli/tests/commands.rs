//! What verbs say when no lab runs: the real program in an empty environment.

mod common;

use common::Home;
use std::process::Command;

const LAB: &str = "\
name: demo
nodes:
  l1:
    image: hypervisor
    memory: 1GiB
    nested: true
    ports: [\"8080:a:80\"]
    inside:
      networks:
        mesh: { subnet: 10.10.10.0/24 }
      nodes:
        a: { image: debian, memory: 256MiB, networks: { mesh: { ip: 10.10.10.11 } } }
";

#[test]
fn a_lab_that_was_never_up() {
    let home = Home::with_lab(LAB);
    insta::assert_snapshot!(home.run("status"), @r"
    [0]
    The lab of `~/lab/nestlab.yaml` is not up; `nestlab up` brings it up
    ");
    insta::assert_snapshot!(home.run("exec l1 -- true"), @r"
    [3]
    ---
    error: The lab of `~/lab/nestlab.yaml` is not up
    hint: `nestlab up` brings it up
    ");
    insta::assert_snapshot!(home.run("destroy"), @r"
    [0]
    ---
    There is nothing to destroy: the lab was never brought up
    ");
    insta::assert_snapshot!(home.run("ls"), @r"
    [0]
    ---
    No labs; `nestlab up` in a lab's folder brings one up
    ");
    insta::assert_snapshot!(home.run("ls --json"), @r#"
    [0]
    {
      "labs": []
    }
    "#);
    insta::assert_snapshot!(home.run("up nowhere"), @r"
    [3]
    ---
    error: The lab file has no node `nowhere`
    hint: Its nodes: `l1`, `l1/a`
    ");
    assert!(!home.path("home/.local").exists(), "asking leaves no trace");
}

#[test]
fn a_plan_is_told_level_by_level() {
    let home = Home::with_lab(LAB);
    insta::assert_snapshot!(home.run("plan"), @r"
    [0]
    Lab `demo`

    Level 1
      network `default`: 10.200.0.0/24, nat, MTU 1500
      + l1  VM from `hypervisor`, 1 CPU, 1GiB, nested, 10.200.0.11 on `default`, port 8080:a:80

    Level 2
      network `mesh` in l1: 10.10.10.0/24, nat, MTU 1500
      + l1/a  VM from `debian`, 1 CPU, 256MiB, 10.10.10.11 on `mesh`

    2 to create
    ");
    insta::assert_snapshot!(home.run("validate"), @r"
    [0]
    ---
    `~/lab/nestlab.yaml` is valid: lab `demo`, 2 nodes, 2 levels
    ");
}

#[test]
fn mistakes_are_told_where_they_are() {
    let home = Home::with_lab("name: demo\nnodes:\n  a: { image: debian, memmory: 1GiB }\n");
    insta::assert_snapshot!(home.run("validate"), @r"
    [2]
    ---
    error[unknown-key]: Unknown key `memmory` in a node
     --> nestlab.yaml:3:23
      |
    3 |   a: { image: debian, memmory: 1GiB }
      |                       ^^^^^^^ not a key of the lab file here
      = hint: did you mean `memory`?
    error: `~/lab/nestlab.yaml` has 1 mistake
    ");
    assert!(home.run("up").starts_with("[2]"));
    assert!(home.run("validate --json").contains("\"unknown-key\""));
}

#[test]
fn there_is_no_lab_here() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("status"), @r"
    [3]
    ---
    error: No `nestlab.yaml` or `Vagrantfile` in `~/lab` or above it
    hint: Go to a lab's folder, give `-C DIR` or `--file FILE`, or name a lab with `-l NAME` (`nestlab ls` lists them)
    ");
    insta::assert_snapshot!(home.run("-l other status"), @r"
    [3]
    ---
    error: No lab named `other` is known on this machine
    hint: No lab was ever brought up here; `nestlab up` in a lab's folder does
    ");
    insta::assert_snapshot!(home.run("cp a b"), @r"
    [2]
    ---
    error: Neither side of the copy is in a node
    hint: Write `NODE:PATH` for a path in a node
    ");
    assert!(home.run("frobnicate").starts_with("[2]"));
}

#[test]
fn shells_learn_the_nodes() {
    let home = Home::with_lab(LAB);
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let script = home.run(&format!("completions {shell}"));
        assert!(
            script.starts_with("[0]") && script.contains("nestlab"),
            "{script}"
        );
    }
    let output = Command::new(env!("CARGO_BIN_EXE_nestlab"))
        .args(["--", "nestlab", "exec", "l"])
        .current_dir(home.path("lab"))
        .env_clear()
        .env("HOME", home.path("home"))
        .envs([
            ("COMPLETE", "bash"),
            ("_CLAP_COMPLETE_INDEX", "2"),
            ("_CLAP_IFS", "\n"),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "l1\nl1/a");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let home = Home::with_lab(LAB);
    let command = format!("{} plan | true", env!("CARGO_BIN_EXE_nestlab"));
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(home.path("lab"))
        .env("HOME", home.path("home"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!complaint.contains("panicked"), "{complaint}");
}
