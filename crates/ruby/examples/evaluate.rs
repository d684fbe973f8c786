//! Evaluates files and shows what came of it: `cargo run --example evaluate -- FILE…`

#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let host = common::Memory::new(&[]);
        let start = std::time::Instant::now();
        println!("{}", common::shown(&host, &text));
        for line in host.printed.take() {
            println!("> {line}");
        }
        eprintln!("{path}: {:?}", start.elapsed());
    }
}
