//! Functions and the small libraries: files' names, YAML, JSON, addresses, versions, templates.

use super::Case;

pub const CASES: &[Case] = &[
    ("File.join(\"a\", \"b/\", \"/c\")", r#""a/b/c""#),
    (
        "[File.basename(\"/a/b.rb\"), File.basename(\"/a/b.rb\", \".rb\"), File.basename(\"a.tar.gz\", \".*\"), File.extname(\"x.yml\"), File.dirname(\"/a/b/c\"), File.dirname(\"a\")]",
        r#"["b.rb", "b", "a.tar", ".yml", "/a/b", "."]"#,
    ),
    (
        "[File.expand_path(\"../x\", \"/a/b\"), File.expand_path(\"/a/./b/../c\"), File.expand_path(\"~/x\")]",
        r#"["/a/x", "/a/c", "/home/me/x"]"#,
    ),
    ("File.expand_path(\"..\", __FILE__)", r#""/lab""#),
    ("File.dirname(__FILE__)", r#""/lab""#),
    ("Pathname.new(\"/a/b\").join(\"../c\").to_s", r#""/a/c""#),
    (
        "(Pathname.new(\"/a\") + \"b.rb\").basename(\".rb\").to_s",
        r#""b""#,
    ),
    (
        "[Pathname(\"/a/b\").parent.to_s, Pathname(\"/a/b/../c\").cleanpath.to_s, Pathname(\"/a/b\").relative_path_from(Pathname(\"/a/c\")).to_s]",
        r#"["/a", "/a/c", "../b"]"#,
    ),
    (
        "YAML.load(\"a: 1\\nb: [x, 'y', 1.5, true, no, ~]\\nc:\\n  d: :sym\\n  e: '1'\\n\")",
        r#"{"a"=>1, "b"=>["x", "y", 1.5, true, false, nil], "c"=>{"d"=>:sym, "e"=>"1"}}"#,
    ),
    (
        "YAML.load(\"x: &d {a: 1, b: 2}\\ny:\\n  <<: *d\\n  b: 3\\n\", aliases: true)[\"y\"]",
        r#"{"a"=>1, "b"=>3}"#,
    ),
    (
        "YAML.load(\"a: 0x1f\\nb: 010\\nc: 1_000\\nd: 10.0.0.1\\ne: 1e3\\nf: 12:30\\ng: off\\nh: 08\\n\")",
        r#"{"a"=>31, "b"=>8, "c"=>1000, "d"=>"10.0.0.1", "e"=>"1e3", "f"=>45000, "g"=>false, "h"=>"08"}"#,
    ),
    (
        "YAML.load(\"- a: 1\\n  b: |\\n    x\\n    y\\n- >-\\n  f\\n  g\\n\")",
        r#"[{"a"=>1, "b"=>"x\ny\n"}, "f g"]"#,
    ),
    (
        "YAML.safe_load(\":a: 1\", permitted_classes: [Symbol])",
        "{:a=>1}",
    ),
    (
        "YAML.load(\"a: {b: 1}\", symbolize_names: true)",
        "{:a=>{:b=>1}}",
    ),
    (
        "{\"a\" => 1, \"b\" => [1, \"x\"], \"c\" => {\"d\" => nil}}.to_yaml",
        r#""---\na: 1\nb:\n- 1\n- x\nc:\n  d:\n""#,
    ),
    (
        "[{\"a\" => 1, \"b\" => 2}, \"true\", :s].to_yaml",
        r#""---\n- a: 1\n  b: 2\n- 'true'\n- :s\n""#,
    ),
    (
        "JSON.parse('{\"a\": [1, 2.5, null, true, \"x\"]}')",
        r#"{"a"=>[1, 2.5, nil, true, "x"]}"#,
    ),
    (
        "JSON.parse('{\"a\": {\"b\": 1}}', symbolize_names: true)",
        "{:a=>{:b=>1}}",
    ),
    (
        "{a: [1, nil, \"x\\n\"], \"b\" => 1.5}.to_json",
        r#""{\"a\":[1,null,\"x\\n\"],\"b\":1.5}""#,
    ),
    (
        "JSON.pretty_generate({a: [1, {b: 2}]})",
        r#""{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ]\n}""#,
    ),
    ("JSON.generate([1, \"a\"])", r#""[1,\"a\"]""#),
    ("(JSON.parse(\"{\") rescue $!.class)", "JSON::ParserError"),
    (
        "a = IPAddr.new(\"10.0.0.5\"); [a.to_s, a.succ.to_s, a.to_i, (a | 1).to_s]",
        r#"["10.0.0.5", "10.0.0.6", 167772165, "10.0.0.5"]"#,
    ),
    (
        "n = IPAddr.new(\"192.168.1.0/24\"); [n.include?(\"192.168.1.77\"), n.include?(\"192.168.2.1\"), n.to_range.first.to_s, n.to_range.last.to_s]",
        r#"[true, false, "192.168.1.0", "192.168.1.255"]"#,
    ),
    (
        "IPAddr.new(\"10.0.0.0/29\").to_range.to_a[1..3].map(&:to_s)",
        r#"["10.0.0.1", "10.0.0.2", "10.0.0.3"]"#,
    ),
    (
        "IPAddr.new(\"10.0.0.0/255.255.0.0\").to_range.last.to_s",
        r#""10.0.255.255""#,
    ),
    (
        "IPAddr.new(IPAddr.new(\"10.0.0.1\").to_i + 300, 2).to_s",
        r#""10.0.1.45""#,
    ),
    (
        "(IPAddr.new(\"10.0.0.300\") rescue $!.class)",
        "IPAddr::InvalidAddressError",
    ),
    (
        "[Gem::Version.new(\"2.10.0\") > Gem::Version.new(\"2.9\"), Gem::Version.new(\"1.0\") == Gem::Version.new(\"1\"), Gem::Version.new(\"1.0.rc1\") < Gem::Version.new(\"1.0\")]",
        "[true, true, true]",
    ),
    (
        "\"ansible 2.14.1 (core)\"[/(#{Gem::Version::VERSION_PATTERN})/, 1]",
        "\"2.14.1\"",
    ),
    (
        "[Gem::Requirement.new(\">= 1.2\", \"< 2\").satisfied_by?(Gem::Version.new(\"1.9\")), Gem::Requirement.new(\"~> 1.2\").satisfied_by?(Gem::Version.new(\"2.0\"))]",
        "[true, false]",
    ),
    (
        "Gem::Dependency.new(\"x\", \"~> 1.2.0\").requirement.to_s",
        r#""~> 1.2.0""#,
    ),
    (
        "x = 3; ERB.new(\"a<%= x + 1 %>b<% 2.times do |i| %>-<%= i %><% end %>\").result(binding)",
        r#""a4b-0-1""#,
    ),
    (
        "items = [1, 2]; ERB.new(\"<% items.each do |i| -%>\\nl<%= i %>\\n<% end -%>\\nend\", trim_mode: \"-\").result(binding)",
        r#""l1\nl2\nend""#,
    ),
    ("ERB.new(\"<%= a %>!\").result_with_hash(a: 5)", r#""5!""#),
    ("binding.local_variable_defined?(:zzz)", "false"),
    (
        "Shellwords.split(\"a 'b c' \\\"d e\\\" f\\\\ g\")",
        r#"["a", "b c", "d e", "f g"]"#,
    ),
    ("Math.sqrt(16) + Math::PI.floor", "7.0"),
    (
        "Time.at(0).utc.strftime(\"%Y-%m-%d %H:%M:%S\")",
        r#""1970-01-01 00:00:00""#,
    ),
    (
        "Time.at(1709210096).utc.strftime(\"%d %b %Y %a %j\")[0, 15]",
        r#""29 Feb 2024 Thu""#,
    ),
    (
        "[rand < 1, rand(5) < 5, [1, 2].sample < 3]",
        "[true, true, true]",
    ),
    ("Object.const_get(\"String\")", "String"),
    (
        "$stdout.sync = true; $stderr.puts \"x\"; STDOUT.puts \"y\"; 1",
        "1",
    ),
    (
        "require \"yaml\"; require \"json\"; require 'fileutils'; 1",
        "1",
    ),
    (
        "[RUBY_VERSION > \"2.0\", RUBY_PLATFORM =~ /linux/ ? true : false]",
        "[true, true]",
    ),
    ("[\"a\", \"b\"].each_with_index.to_h", r#"{"a"=>0, "b"=>1}"#),
    (
        "[:a, \"b\", 1, nil, 2.5].map(&:to_s)",
        r#"["a", "b", "1", "", "2.5"]"#,
    ),
    ("ObjectSpace.class rescue 1", "Module"),
    ("__dir__", r#""/lab""#),
    (
        "StringIO.new(\"a\\nb\").each_line.map(&:chomp)",
        r#"["a", "b"]"#,
    ),
    ("Dir.exist?(\"/nope\") || File.exist?(\"/nope/x\")", "false"),
    ("(File.read(\"/nope\") rescue $!.class)", "Errno::ENOENT"),
    (
        "[1, 2, 3].to_s + {a: 1}.to_s + (1..2).to_s + :a.to_s + nil.to_s",
        r#""[1, 2, 3]{:a=>1}1..2a""#,
    ),
    (
        "\"#{[1, \"a\", nil]} #{{b: :c}} #{1.0} #{nil} #{:x}\"",
        r#""[1, \"a\", nil] {:b=>:c} 1.0  x""#,
    ),
];
