//! A file of fifty nodes is judged at once.

mod common;

use std::fmt::Write;
use std::time::Instant;

/// Far above the figure (20 ms in a release build), far below a mistake of
/// complexity.
const LIMIT_MS: u128 = if cfg!(debug_assertions) { 400 } else { 20 };

#[test]
fn fifty_nodes_are_judged_at_once() {
    let mut text = "name: t\nnetworks: { mesh: { subnet: 10.0.0.0/24 } }\nnodes:\n".to_owned();
    for number in 1..=50 {
        let before = if number > 1 {
            format!("n{}", number - 1)
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "  n{number}:\n    image: debian\n    memory: 512MiB\n    networks: {{ mesh: {{ ip: \
             10.0.0.{} }} }}\n    ports: [\"{}:80\"]\n    depends_on: [{before}]\n    env: {{ A: \
             \"{{{{ name }}}}\", B: \"{{{{ ip }}}}\" }}\n    provision:\n      - script: setup.sh\n      \
             - inline: echo {{{{ name }}}}\n    ready: {{ http: \"http://localhost/\" }}",
            number + 20,
            8000 + number,
        );
    }
    let mut times: Vec<_> = (0..11)
        .map(|_| {
            let start = Instant::now();
            let loaded = common::loaded(&text, &[]);
            assert!(
                loaded.lab.is_some(),
                "{}",
                loaded.render("".as_ref(), false)
            );
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "50 nodes: median {:?}, from {:?} to {:?}",
        times[5], times[0], times[10]
    );
    assert!(times[5].as_millis() <= LIMIT_MS, "{:?}", times[5]);
}

/// The figures to reach in a release build are 20 ms and 100 ms.
#[test]
fn vagrantfiles_are_evaluated_at_once() {
    let machine = "    node.vm.hostname = \"node-#{i}\"\n    node.vm.network \"private_network\", \
                   ip: \"10.10.10.#{i + 10}\"\n    node.vm.provision \"shell\", path: \"setup.sh\", \
                   args: [\"node-#{i}\"]\n    node.vm.provider(:libvirt) { |v| v.memory = 1024; \
                   v.cpus = 1 }\n";
    for machines in [3, 200] {
        let text = format!(
            "Vagrant.configure(\"2\") do |config|\n  config.vm.box = \"debian/bookworm64\"\n  \
             (1..{machines}).each do |i|\n    config.vm.define \"node-#{{i}}\" do |node|\n{machine}    \
             end\n  end\nend\n"
        );
        let files = nestlab_labfile::MemoryFiles::new()
            .with("/lab/Vagrantfile", text)
            .with("/lab/setup.sh", "#!/bin/sh\n");
        let mut times: Vec<_> = (0..11)
            .map(|_| {
                let start = Instant::now();
                let loaded = nestlab_labfile::load_as(
                    &files,
                    "/lab/Vagrantfile".as_ref(),
                    &nestlab_labfile::Settings::default(),
                );
                assert!(
                    loaded.lab.is_some(),
                    "{}",
                    loaded.render("".as_ref(), false)
                );
                start.elapsed()
            })
            .collect();
        times.sort();
        println!(
            "a Vagrantfile of {machines} machines: median {:?}, from {:?} to {:?}",
            times[5], times[0], times[10]
        );
    }
}
