//! How a host sees what a file does.

mod common;

use common::{Memory, shown};

fn calls(text: &str) -> Vec<String> {
    let host = Memory::default();
    let shown = shown(&host, text);
    assert!(!shown.contains(": "), "{text}: {shown}");
    host.called.take()
}

#[test]
fn a_block_gets_an_object_of_the_host() {
    let text = r#"Foreign.configure("2") do |c|
  c.vm.box = "a#{1 + 1}"
  c.vm.network "private", ip: "10.0.0.1", auto: false
  c.list["x"] = :y
end"#;
    assert_eq!(
        calls(text),
        [
            r#"0.configure("2")"#,
            "1.vm()",
            r#"1.box=("a2")"#,
            "1.vm()",
            r#"1.network("private", ip: "10.0.0.1", auto: false)"#,
            "1.list()",
            r#"1.[]=("x", :y)"#,
        ]
    );
}

#[test]
fn a_constant_below_one_of_the_host_is_a_call() {
    assert_eq!(calls("Foreign::VERSION"), ["0.VERSION()"]);
}
