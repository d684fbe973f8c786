//! Every case gives what Ruby gives: by our evaluator, and by Ruby itself where it is installed.

mod cases;
mod common;

use common::{Memory, shown};
use std::process::Command;

#[test]
fn every_case_gives_what_ruby_gives() {
    let mut wrong = Vec::new();
    for (area, cases) in cases::ALL {
        for (text, expected) in *cases {
            let host = Memory::new(&[]);
            let found = shown(&host, text);
            if found != *expected {
                wrong.push(format!(
                    "{area}: {text}\n  is       {found}\n  is to be {expected}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} cases",
        wrong.join("\n"),
        wrong.len()
    );
}

/// The expectations themselves, held against the original. Hashes look different since Ruby 3.4.
#[test]
fn ruby_itself_agrees_where_it_is_installed() {
    let version = Command::new("ruby")
        .args(["-e", "print RUBY_VERSION"])
        .output();
    let Ok(version) = version else {
        eprintln!("SKIPPED: ruby is not installed");
        return;
    };
    if String::from_utf8_lossy(&version.stdout).as_ref() >= "3.4" {
        eprintln!("SKIPPED: this Ruby shows hashes in another way");
        return;
    }
    let all: Vec<&cases::Case> = cases::ALL
        .iter()
        .flat_map(|(_, cases)| cases.iter())
        .collect();
    let texts: Vec<&str> = all.iter().map(|(text, _)| *text).collect();
    let script = r#"
require "json"
require "set"
require "ostruct"
require "ipaddr"
require "yaml"
require "pathname"
require "erb"
require "shellwords"
ENV.replace("HOME" => "/home/me", "NODES" => "3")
texts = JSON.parse(ARGV.shift)
ARGV.replace(["up"])
texts.each do |text|
  input, output = IO.pipe
  pid = fork do
    $stdout.reopen(File::NULL)
    $stderr.reopen(File::NULL)
    output.write(TOPLEVEL_BINDING.eval(text, "/lab/file.rb").inspect)
    output.close
    exit!
  rescue Exception => error
    output.write([error.class, error.message].join(": "))
    output.close
    exit!
  end
  output.close
  STDOUT.puts input.read.dump
  Process.wait(pid)
end
"#;
    let json = serde_json::to_string(&texts).expect("texts are plain");
    let output = Command::new("ruby")
        .args(["-e", script, &json])
        .output()
        .expect("ruby starts");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut wrong = Vec::new();
    let mut lines = lines.lines();
    for (text, expected) in all {
        let found = lines.next().unwrap_or_default();
        let expected_dump = dump(expected);
        let too_old = text.starts_with("# Ruby 3.2") && found.contains("SyntaxError");
        if found != expected_dump && !too_old {
            wrong.push(format!(
                "{text}\n  ruby says {found}\n  and not  {expected_dump}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A text as Ruby's `dump` writes it.
fn dump(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            char if !char.is_ascii() => out.push_str(&format!("\\u{:04X}", char as u32)),
            char => out.push(char),
        }
    }
    out.push('"');
    out.replace("#{", "\\#{")
}
