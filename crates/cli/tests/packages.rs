//! What is missing on a machine is installed by its package manager, if somebody agrees.

mod common;

use common::Home;
use std::os::unix::fs::PermissionsExt;

const LAB: &str = "\
name: bare
nodes:
  a: { image: debian, provision: [{ ansible: { playbook: site.yml } }] }
";

#[test]
fn packages_are_installed_when_somebody_agrees() {
    let home = Home::with_lab(LAB);
    std::fs::write(home.path("lab/site.yml"), "").unwrap();
    let programs = home.path("programs");
    std::fs::create_dir(&programs).unwrap();
    // A package manager that only writes down what it is asked for.
    let log = home.path("log");
    let brew = programs.join("brew");
    let script = format!("#!/bin/sh\necho \"$@\" >>{}\nexit 1\n", log.display());
    std::fs::write(&brew, script).unwrap();
    std::fs::set_permissions(&brew, PermissionsExt::from_mode(0o755)).unwrap();
    let path = [("PATH", programs.to_str().unwrap())];

    let refused = home.run_with("up --yes", &path);
    assert!(refused.starts_with("[4]"), "{refused}");
    assert!(refused.contains("`brew install qemu"), "{refused}");
    let asked = std::fs::read_to_string(&log).unwrap();
    assert!(asked.starts_with("install qemu"), "{asked}");
    assert!(asked.contains("mmdebstrap"), "{asked}");
    assert!(asked.contains("ansible"), "{asked}");

    // Nobody is there to agree.
    std::fs::remove_file(&log).unwrap();
    let failed = home.run_with("up", &path);
    assert!(failed.starts_with("[4]"), "{failed}");
    assert!(failed.contains("`ansible-playbook`"), "{failed}");
    assert!(!log.exists());
    assert!(home.run("destroy --yes").starts_with("[0]"));
}
