//! One machine: from a file to a shell in it, and back to nothing.

use nestlab_e2e::World;

#[test]
fn one_machine_comes_up_answers_and_goes() {
    let world = World::new();
    let lab = world.example("hello");
    world.run(&lab, &["up"]).ok();
    let status = world.run(&lab, &["status", "--json"]).ok().json();
    let node = &status["nodes"][0];
    assert_eq!(node["state"], "ready");
    assert_eq!(node["level"], 1);
    assert_eq!(node["backend"], "qemu");
    assert!(
        matches!(node["accelerator"].as_str(), Some("tcg" | "kvm")),
        "{node}"
    );
    let name = node["path"].as_str().unwrap().to_owned();

    // Exit codes, streams, standard input.
    world.run(&lab, &["exec", &name, "--", "true"]).ok();
    world
        .run(&lab, &["exec", &name, "--", "sh", "-c", "exit 42"])
        .exits_with(42);
    world
        .run(&lab, &["exec", &name, "--", "no-such-program"])
        .exits_with(127);
    let done = world.run(
        &lab,
        &["exec", &name, "--", "sh", "-c", "echo out; echo err >&2"],
    );
    let done = done.ok();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("out\n", "err\n")
    );
    let big = vec![b'x'; 3 << 20];
    let done = world
        .run_with(&lab, &["exec", &name, "--", "wc", "-c"], &big)
        .ok();
    assert_eq!(done.stdout.trim(), (3 << 20).to_string());

    // Files go both ways, folders with what is in them.
    std::fs::create_dir_all(lab.join("tree/deep")).unwrap();
    std::fs::write(lab.join("tree/deep/file"), "content").unwrap();
    world
        .run(&lab, &["cp", "tree", &format!("{name}:/srv/")])
        .ok();
    world
        .run(&lab, &["exec", &name, "--", "cat", "/srv/tree/deep/file"])
        .ok()
        .says("content");
    world
        .run(&lab, &["cp", &format!("{name}:/srv/tree"), "back"])
        .ok();
    assert_eq!(
        std::fs::read_to_string(lab.join("back/deep/file")).unwrap(),
        "content"
    );

    // A second `up` has nothing to do.
    world.run(&lab, &["up"]).ok();

    // Halted, it keeps its disk.
    world
        .run(&lab, &["exec", &name, "--", "touch", "/root/kept"])
        .ok();
    world.run(&lab, &["halt"]).ok();
    assert_eq!(world.state(&lab, &name), "halted");
    world.run(&lab, &["up"]).ok();
    world
        .run(&lab, &["exec", &name, "--", "test", "-e", "/root/kept"])
        .ok();

    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn what_is_wrong_in_a_file_is_said_before_anything_starts() {
    let world = World::new();
    let lab = world.lab(
        "wrong",
        "name: wrong\nnodes:\n  a:\n    image: debian\n    memory: lots\n    cpu: 1\n    networks: { mesh: { ip: 10.10.10.311 } }\n",
    );
    let done = world.run(&lab, &["up"]).exits_with(2);
    for expected in ["nestlab.yaml:5", "nestlab.yaml:6", "cpus", "10.10.10.311"] {
        assert!(done.stderr.contains(expected), "no {expected:?} in {done}");
    }
    world.is_empty();
}

#[test]
fn what_this_machine_lacks_explains_why_nothing_comes_up() {
    if !nestlab_e2e::is_root() {
        return nestlab_e2e::skip("what_this_machine_lacks", "only root can hide a device");
    }
    let world = World::new();
    let lab = world.example("hello");
    let up = world.command(&lab, &["up"]);
    let hidden = "mount -t tmpfs none /dev/net && exec \"$0\" \"$@\"";
    let mut without_tun = std::process::Command::new("unshare");
    without_tun
        .args(["--mount", "sh", "-c", hidden])
        .arg(up.get_program())
        .args(up.get_args())
        .current_dir(&lab);
    for (key, value) in up.get_envs() {
        without_tun.env(key, value.unwrap_or_default());
    }
    let done = without_tun.output().expect("unshare is there");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success(), "{said}");
    assert!(said.contains("this machine, kernel.tun"), "{said}");
    assert!(said.contains("modprobe tun"), "{said}");
    world.run(&lab, &["destroy", "--yes"]).ok();
    world.is_empty();
}

#[test]
fn a_lab_may_begin_with_a_starter() {
    let world = World::new();
    let folder = world.path().join("my-first");
    std::fs::create_dir(&folder).unwrap();
    world.run(&folder, &["init", "consul-ha"]).ok();
    world.run(&folder, &["validate"]).ok();
    world.run(&folder, &["init"]).exits_with(2);
    world.run(&folder, &["init", "nothing"]).exits_with(2);

    let up = world.run(&folder, &["up", "--starter", "hello"]).ok();
    let id = up.stdout.trim();
    let arguments = ["ssh", "-l", id, "hello", "-c", "hostname"];
    let said = world.run(&folder, &arguments).ok().stdout;
    assert_eq!(said.trim(), "hello");
    world.run(&folder, &["-l", id, "destroy", "--yes"]).ok();
    let starters = world.path().join("state/nestlab/starters");
    assert_eq!(std::fs::read_dir(starters).unwrap().count(), 0);
    world.is_empty();
}
