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
