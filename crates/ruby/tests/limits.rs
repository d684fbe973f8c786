//! Random changes of texts that work: no panic, no hang, no end of memory. And how fast it is.

mod cases;
mod common;

use common::{Memory, evaluate, shown};
use nestlab_ruby::Limits;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn corpus() -> Vec<&'static str> {
    cases::ALL
        .iter()
        .flat_map(|(_, cases)| cases.iter().map(|(text, _)| *text))
        .collect()
}

/// What is put into a text at some place.
const SCRAPS: &[&str] = &[
    "end",
    "do",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "#{",
    "\"",
    "'",
    "|",
    "&",
    "*",
    "**",
    "->",
    ".",
    "::",
    "=",
    "<<",
    "<<~A\n",
    "A\n",
    "loop",
    "self",
    "nil",
    "0",
    "-1",
    "9223372036854775807",
    "yield",
    "return",
    "break",
    "next",
    "retry",
    "raise",
    "rescue",
    "ensure",
    "super",
    "\u{e9}",
    "\0",
    "/",
    "%",
    "%w[",
    "?",
    "!",
    ",",
    ";",
    "\n",
    " ",
    "inspect",
    "map",
    "each",
    "send",
    "freeze",
    "@a",
    "$~",
    "1e400",
    "def x",
    "class X",
    "=>",
    "in",
    "case",
];

/// A text of the corpus, changed.
fn mutation() -> impl Strategy<Value = String> {
    let texts = corpus();
    let pick = 0..texts.len();
    let edits = prop::collection::vec((any::<usize>(), any::<usize>(), 0..4_usize), 1..6);
    (pick.clone(), pick, edits).prop_map(move |(one, other, edits)| {
        let mut text: Vec<char> = format!("{}\n{}", texts[one], texts[other])
            .chars()
            .collect();
        for (at, what, kind) in edits {
            let at = at % (text.len() + 1);
            match kind {
                0 => drop(text.splice(at..at, SCRAPS[what % SCRAPS.len()].chars())),
                1 => drop(text.drain(at..(at + what % 8).min(text.len()))),
                2 if at < text.len() => {
                    let other = what % text.len();
                    text.swap(at, other);
                }
                _ => text.truncate(at.max(1)),
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_or_hang(text in mutation()) {
        let limits = Limits { steps: 50_000, bytes: 16 << 20, ..Limits::default() };
        let start = Instant::now();
        let outcome = evaluate(&Memory::new(&[]), &text, limits);
        prop_assert!(outcome.value.is_some() || !outcome.problems.is_empty() || text.contains("exit"));
        prop_assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn two_hundred_machines_take_no_time() {
    let text = r#"
MACHINES = (1..200).map do |i|
  { name: format("node-%03d", i), ip: "10.0.#{i / 250}.#{i % 250}", memory: 512 * (i % 4 + 1) }
end
Foreign.configure("2") do |config|
  MACHINES.each do |machine|
    config.vm.define machine[:name] do |node|
      node.vm.hostname = machine[:name]
      node.vm.network "private_network", ip: machine[:ip]
      node.vm.provider :libvirt do |libvirt|
        libvirt.memory = machine.fetch(:memory)
      end
    end
  end
end
MACHINES.size
"#;
    let host = Memory::new(&[]);
    let start = Instant::now();
    assert_eq!(shown(&host, text), "200");
    let took = start.elapsed();
    assert!(host.called.borrow().len() > 1000);
    // Without optimisation, on a busy machine; 20 ms is meant for a release.
    let most = if cfg!(debug_assertions) { 2000 } else { 100 };
    assert!(took < Duration::from_millis(most), "{took:?}");
    eprintln!("200 machines: {took:?}");
}

/// What is usual stays far below the limits: each of these is more than any file does.
#[test]
fn what_is_much_for_a_file_is_not_too_much() {
    let cases = [
        ("a = []; 50_000.times { |i| a << i }; a.size", "50000"),
        ("a = []; 50_000.times { |i| a[i] = i }; a.last", "49999"),
        (
            "h = {}; 50_000.times { |i| h[i] = i.to_s }; h.size",
            "50000",
        ),
        (
            "s = +''; 50_000.times { |i| s << \"line #{i}\\n\" }; s.size",
            "538890",
        ),
        (
            "(1..20_000).map { |i| [i, i * 2] }.to_h.select { |k, v| k.even? }.size",
            "10000",
        ),
        (
            "def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2); fib(18)",
            "2584",
        ),
        (
            "(1..254).flat_map { |i| (1..20).map { |j| \"10.0.#{j}.#{i}\" } }.sort.uniq.size",
            "5080",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(&Memory::new(&[]), text), expected, "{text}");
    }
}
