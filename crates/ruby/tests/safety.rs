//! Nothing runs, writes, hangs or falls over, whatever a file says.

mod common;

use common::{Memory, evaluate, shown};
use nestlab_ruby::Limits;

fn check(text: &str, expected: &str) {
    let found = shown(&Memory::new(&[]), text);
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_would_act_is_refused_by_name_and_cannot_be_rescued() {
    let cases = [
        ("system('ls')", "`system`"),
        ("begin; system('ls'); rescue Exception; 1; end", "`system`"),
        ("exec 'ls'", "`exec`"),
        ("`ls`", "`ls`"),
        ("x = 1; %x(ls #{x})", "`ls 1`"),
        ("Kernel.system('ls')", "`system`"),
        ("send(:system, 'ls')", "`system`"),
        ("Object.new.send(:exec, 'ls')", "`exec`"),
        ("method(:system).call('ls')", "`system`"),
        ("%w[ls].each(&method(:system))", "`system`"),
        ("eval('1')", "`eval`"),
        ("binding.eval('1')", "`eval`"),
        ("1.instance_eval('x')", "`instance_eval of a string`"),
        ("String.class_eval('x')", "`class_eval of a string`"),
        ("gets", "`gets`"),
        ("STDIN.gets", "`STDIN.gets`"),
        ("$stdin.read", "`STDIN.read`"),
        ("open('x')", "`open`"),
        ("File.write('x', 'y')", "`File.write`"),
        ("File.delete('x')", "`File.delete`"),
        (
            "File.open('x', 'w') { |f| f.puts 1 }",
            "`File.open(…, \"w\")`",
        ),
        ("FileUtils.rm_rf('/')", "`FileUtils.rm_rf`"),
        ("IO.popen('ls')", "`IO.popen`"),
        ("Open3.capture2('ls')", "`Open3.capture2`"),
        ("Net::HTTP.get('x')", "`Net::HTTP.get`"),
        ("TCPSocket.new('x', 1)", "`TCPSocket.new`"),
        ("Process.kill(9, 1)", "`Process.kill`"),
        ("Dir.mkdir('x')", "`Dir.mkdir`"),
        ("fork { }", "`fork`"),
        ("Thread.new { }", "`Thread.new`"),
        ("(system('x') rescue 1) || 2", "`system`"),
    ];
    for (text, what) in cases {
        let found = shown(&Memory::new(&[]), text);
        let wanted =
            format!("refused: {what} is refused: reading a file runs, writes and fetches nothing");
        assert!(found.ends_with(&wanted), "{text}: {found}");
    }
}

#[test]
fn a_host_may_know_what_a_command_prints_and_leave_out_what_would_be_written() {
    check("`uname -m`.strip", r#""x86_64""#);
    let host = Memory {
        ignores_writes: true,
        ..Memory::new(&[])
    };
    let text = "FileUtils.mkdir_p 'x'\nFile.open('hosts', 'w') { |f| f.puts 'a'; f.write 'b' }\nFile.write('y', 'z')\n1";
    let lines = [
        "1:1: ignored: `FileUtils.mkdir_p` is ignored: reading a file writes nothing",
        "2:1: ignored: `File.open(…, \"w\")` is ignored: reading a file writes nothing",
        "3:1: ignored: `File.write` is ignored: reading a file writes nothing",
        "1",
    ];
    assert_eq!(shown(&host, text), lines.join("\n"));
}

#[test]
fn ensure_does_not_go_on_after_a_refusal() {
    let host = Memory::new(&[]);
    shown(&host, "begin; system('x'); ensure; puts 'after'; end");
    assert!(host.printed.take().is_empty());
}

#[test]
fn what_never_ends_is_ended() {
    let limits = Limits {
        steps: 200_000,
        bytes: 32 << 20,
        ..Limits::default()
    };
    let cases = [
        "loop { }",
        "while true; end",
        "x = 1; x += 1 while x > 0",
        "def f; f; end; f",
        "def f(x); [x].map { |y| f(y) }; end; f(1)",
        "f = ->(x) { f.(x) }; f.(1)",
        "a = []; loop { a << 1 }",
        "a = [1]; loop { a += a }",
        "s = +'x'; loop { s << s }",
        "s = 'x'; loop { s += s }",
        "'x' * 10_000_000_000",
        "[0] * 10_000_000_000",
        "(1..10_000_000_000).to_a",
        "(1..).to_a",
        "(1..).each { }",
        "Array.new(1 << 40)",
        "'x'.ljust(1 << 40)",
        "'%999999999999d' % 1",
        "'%.999999999999f' % 1",
        "h = {}; i = 0; loop { h[i += 1] = i }",
        "a = []; 100000.times { a = [a] }; a.inspect",
        "a = []; 100000.times { a = [a] }; a == a.dup",
        "a = []; 100000.times { a = [a] }; a.flatten",
        "a = []; 100000.times { a = {a => a} }; a.hash",
        "f = ->(x) { x }; 100000.times { g = f; f = ->(x) { g } }; f",
        "a = [1]; 60.times { a = [a, a] }; a.inspect",
        "a = [1]; 60.times { a = [a, a] }; a.flatten",
        "a = [1]; 60.times { a = [a, a] }; {a => 1}",
        "a = [1]; b = [1]; 60.times { a = [a, a]; b = [b, b] }; a == b",
        "a = [1]; 60.times { a = [a, a] }; a.to_json",
        "a = []; a << a; a.inspect; a.hash; a == [a]; a.flatten",
        "a = []; a << a; a.to_json",
        "a = []; a << a; a.to_yaml",
        "h = {}; h[:h] = h; h.inspect; h.to_json",
        "(1..30).to_a.combination(15).to_a",
        "[1, 2].cycle { }",
        "begin; raise 'x'; rescue; retry; end",
        "def method_missing(n); send(n); end; foo",
        "class A; def to_s; \"#{self}\"; end; end; \"#{A.new}\"",
        "class A; def inspect; [self].inspect; end; end; A.new.inspect",
        "class A; def ==(o); self == o; end; end; A.new == 1",
        "class A; def each; loop { yield 1 }; end; include Enumerable; end; A.new.first",
        "class A; def <=>(o); [self] <=> [o]; end; end; [A.new, A.new].sort",
        "('a'..'zzzzzzzz').to_a",
        "9223372036854775807 + 1",
        "2 ** 1000",
        "9999999999999999999999",
        "'9' * 100 =~ /(a*)*b/; ('9' * 100).to_i",
        "/#{'(a' * 1000}#{')' * 1000}/",
        "/a{1000}{1000}{1000}/",
        "ObjectSpace.each_object { }",
        "catch(:x) { throw :y }",
        "throw :x",
        "break",
        "[1].each { next 5 }; retry",
        "proc { return 1 }.call",
        "lambda { break 3 }.call; Proc.new { break }.call",
        "$stdout = 5; puts 1; exit 3",
        "require_relative 'x'; load 'file.rb'",
        "1.step(10, 0) { }",
        "1.0.step(2.0, 1e-300) { }",
        "(0.0..1e300).step(0.1).to_a",
        "srand; rand(0); rand(-5); rand(1..); [].sample; [].shuffle",
        "'x'[1 << 62, 1 << 62]; [1][1 << 62, 1 << 62]; [1][(1 << 62)..]; 'é'[1..-1]; 'é'[5..]",
        "1 << 100; 1 >> 100; 1 << -1; -1 >> 70; -9223372036854775808.abs; -9223372036854775808 / -1",
        "1.digits; -1.digits; 1.round(-100); 1.5.round(400); 0.0 / 0; (0.0 / 0).to_i",
        "Struct.new(:a).new(1, 2)",
        "class A < A; end",
        "module M; include M; end",
        "module M; end; module N; include M; end; module M; include N; end; class X; include M; end; X.new.foo",
        "x = Class.new(String); x.new; x.new.foo",
    ];
    for text in cases {
        let start = std::time::Instant::now();
        let outcome = evaluate(
            &Memory::new(&[("/lab/file.rb", "load 'file.rb'")]),
            text,
            limits,
        );
        drop(outcome);
        let took = start.elapsed();
        assert!(took.as_secs() < 10, "{text} took {took:?}");
    }
}

#[test]
fn what_is_beyond_a_limit_is_said_at_its_place() {
    check(
        "\nloop { }",
        "2:1: limit: This takes too long: an endless loop?",
    );
    check(
        "def f\n  f\nend\nf",
        "2:3: limit: Calls go too deep: an endless recursion?",
    );
    check("x = 2 ** 80", "1:5: limit: A number is beyond 64 bits");
    check(
        "a = 'x' * 100_000_000",
        "1:5: limit: A string has more than 8388608 bytes",
    );
}

#[test]
fn texts_that_nest_without_end_are_mistakes_and_no_crash() {
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{a:", "}"),
        ("!", ""),
        ("-", ""),
        ("[].a{", "}"),
        ("x = ", "1"),
        ("if 1;", "end;"),
        ("1+(", ")"),
        ("\"#{", "}\""),
        ("->{", "}"),
        ("a.b(", ")"),
        ("begin;", "end;"),
    ] {
        for count in [100, 600, 3000, 9000] {
            let text = format!("{}1{}", open.repeat(count), close.repeat(count));
            shown(&Memory::new(&[]), &text);
        }
    }
    let alternatives = format!("1 in 1{}", "|1".repeat(100_000));
    for text in [
        alternatives,
        "!".repeat(100_000),
        "not ".repeat(100_000),
        "!-".repeat(100_000),
        "! not ".repeat(100_000),
    ] {
        shown(&Memory::new(&[]), &text);
    }
    for link in [
        ".a",
        "+1",
        "[0]",
        " if 1",
        " rescue 1",
        "&.a",
        " and 1",
        "; 1",
        ", 1",
        " || 1",
        "::A",
        "\n.a",
    ] {
        for count in [600, 9000] {
            shown(&Memory::new(&[]), &format!("x{}", link.repeat(count)));
        }
    }
}

#[test]
fn mistakes_of_syntax_are_all_told_with_their_places() {
    let text = "a = [1, 2\nb = )\nputs 'x\n";
    let outcome = evaluate(&Memory::new(&[]), text, Limits::default());
    assert!(outcome.problems.len() > 1, "{:?}", outcome.problems);
    assert!(
        outcome
            .problems
            .iter()
            .all(|problem| problem.code == "syntax" && problem.place.is_some())
    );
}

#[test]
fn errors_say_what_and_where_and_what_was_meant() {
    check(
        "x = 1\nputs xx.lenght",
        "2:6: ruby: undefined local variable or method `xx' for main:Object (NameError)",
    );
    check(
        "'a'.upcas",
        "1:1: ruby: undefined method `upcas' for an instance of String (NoMethodError) (did you mean `upcase`?)",
    );
    check(
        "machine = 1\nmachin + 1",
        "2:1: ruby: undefined local variable or method `machin' for main:Object (NameError) (did you mean `machine`?)",
    );
    check(
        "{name: 1}.fetch(:nam)",
        "1:1: ruby: key not found: :nam (KeyError) (did you mean `name`?)",
    );
    check(
        "Foreign.missing",
        "1:1: ruby: undefined method `missing' for #<Foreign 0> (NoMethodError)",
    );
    check("raise 'no box'", "1:1: ruby: no box");
    check(
        "é = 1; raise ArgumentError, 'é'",
        "1:8: ruby: é (ArgumentError)",
    );
    check("abort 'stop'", "1:1: abort: stop");
    check(
        "require_relative 'nope'",
        "1:1: ruby: cannot load such file -- nope (LoadError)",
    );
    check(
        "IPAddr.new('10.0.0.311')",
        "1:1: ruby: invalid address: 10.0.0.311 (IPAddr::InvalidAddressError)",
    );
    check(
        "x = 1 if 1..2",
        "1:10: unsupported: a flip-flop is not supported here",
    );
}
