//! How a host sees what a file does.

mod common;

use common::{Memory, shown};

fn calls(text: &str) -> Vec<String> {
    let host = Memory::new(&[]);
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

#[test]
fn files_are_evaluated_by_way_of_the_host_once_or_each_time() {
    let host = Memory::new(&[
        (
            "/lab/lib/a.rb",
            "$n = ($n || 0) + 1\nrequire_relative '../b'\nclass A; VALUE = B * 2; end",
        ),
        ("/lab/b.rb", "B = 21"),
        ("/lab/nodes.yml", "- {name: a, ip: 10.0.0.1}\n- {name: b}\n"),
    ]);
    let text = "require_relative 'lib/a'
require './lib/a'
load 'lib/a.rb'
[A::VALUE, $n, YAML.load_file('nodes.yml').map { |n| n['name'] }, File.exist?('b.rb'), Dir['*.yml'], Dir.glob('**/*.rb')]";
    assert_eq!(
        shown(&host, text),
        r#"[42, 2, ["a", "b"], true, ["nodes.yml"], ["b.rb", "lib/a.rb"]]"#
    );
}

#[test]
fn what_is_printed_reaches_the_host_line_by_line() {
    let host = Memory::new(&[]);
    shown(
        &host,
        "print 'a', 1\nputs 'b', [1, [2]]\np :x\nwarn 'w'\n$stderr.puts 'e'\nprint 'end'",
    );
    assert_eq!(
        host.printed.take(),
        ["a1b", "1", "2", ":x", "! w", "! e", "end"]
    );
}

#[test]
fn a_block_that_was_kept_still_sees_its_variables_and_assignments_read_before_they_write() {
    let text = "n = 1\nkeep = nil\nForeign.configure { |c| keep = -> { n += 1 }; c.x ||= 2; c.y += 1 rescue 0 }\nkeep.call\nn";
    let host = Memory::new(&[]);
    assert_eq!(shown(&host, text), "2");
    assert_eq!(
        host.called.take(),
        [
            "0.configure()",
            "1.x()",
            "1.y()",
            "1.+(1)",
            "1.y=(#<Foreign 1>)"
        ]
    );
}

#[test]
fn relative_paths_begin_where_the_file_says() {
    let host = Memory::new(&[("/lab/a/x.yml", "k: 1"), ("/lab/y", "")]);
    let text = "r = Dir.chdir('a') { YAML.load_file('x.yml')['k'] }\n[r, File.exist?('y'), File.exist?('x.yml')]";
    assert_eq!(shown(&host, text), "[1, true, false]");
}
