//! Control flow, assignments, blocks, exceptions.

use super::Case;

pub const CASES: &[Case] = &[
    ("a = b = 1; [a, b]", "[1, 1]"),
    ("a, b = 1, 2; a, b = b, a; [a, b]", "[2, 1]"),
    ("a, *b = 1, 2, 3; [a, b]", "[1, [2, 3]]"),
    ("*a, b = [1, 2, 3]; [a, b]", "[[1, 2], 3]"),
    ("a, (b, c), d = 1, [2, 3], 4; [a, b, c, d]", "[1, 2, 3, 4]"),
    ("a, b = [1]; [a, b]", "[1, nil]"),
    ("a = *1..3; a", "[1, 2, 3]"),
    ("h = {}; h[:a], h[:b] = 1, 2; h", "{:a=>1, :b=>2}"),
    ("a = nil; a ||= 1; a &&= a + 1; a += 3; a", "5"),
    (
        "h = {}; h[:a] ||= []; h[:a] << 1; h[:b] ||= 2; h",
        "{:a=>[1], :b=>2}",
    ),
    ("a = [1]; a[0] += 5; a", "[6]"),
    ("x = if false then 1 end; x", "nil"),
    (
        "x = 5; if x > 3 then :big elsif x > 1 then :mid else :small end",
        ":big",
    ),
    ("unless false then 1 else 2 end", "1"),
    ("x = 1 unless true; x", "nil"),
    ("true ? 1 : 2", "1"),
    ("x = 3; x == 3 and x != 4 && !false or nil", "true"),
    ("not true", "false"),
    ("nil&.foo", "nil"),
    ("case 5 when 1..3 then :a when 4..6 then :b end", ":b"),
    ("case \"abc\" when /^a/ then $~[0] end", r#""a""#),
    ("case 1 when String, Integer then :x else :y end", ":x"),
    ("case \"b\" when *%w[a b] then 1 else 2 end", "1"),
    ("x = 7; case when x < 5 then :lo else :hi end", ":hi"),
    ("case 4 when ->(n) { n.even? } then :even end", ":even"),
    (
        "case [1, [2, 3]]\nin [a, [b, *c]] then [a, b, c] end",
        "[1, 2, [3]]",
    ),
    (
        "case {name: \"x\", age: 3}\nin {name: String => n, age: Integer} then n end",
        r#""x""#,
    ),
    (
        "case 5\nin Integer | Float => n if n > 3 then n else 0 end",
        "5",
    ),
    (
        "case {a: 1, b: 2}\nin {a: 1, **rest} then rest end",
        "{:b=>2}",
    ),
    ("h = {a: 1}; h => {a:}; a", "1"),
    ("(1 in String)", "false"),
    ("i = 0; i += 1 while i < 5; i", "5"),
    ("i = 0; until i == 3 do i += 1 end; i", "3"),
    ("i = 0; begin i += 1 end while i < 0; i", "1"),
    (
        "i = 0; while true; i += 1; next if i == 2; break if i > 3; end; i",
        "4",
    ),
    ("x = while true do break 7 end; x", "7"),
    (
        "r = []; for i in 1..3 do r << i end; r + [i]",
        "[1, 2, 3, 3]",
    ),
    (
        "r = []; for a, b in [[1, 2], [3, 4]] do r << a + b end; r",
        "[3, 7]",
    ),
    (
        "r = []; loop { r << 1; break if r.size == 3 }; r",
        "[1, 1, 1]",
    ),
    ("[1, 2, 3].each { |x| break x * 10 if x == 2 }", "20"),
    ("[1, 2, 3].map { |x| next 0 if x == 2; x }", "[1, 0, 3]"),
    (
        "r = [1, 2].each do |x| [3, 4].each { |y| break if y == 3 } end; r",
        "[1, 2]",
    ),
    (
        "def f; [1, 2, 3].each { |x| return x if x == 2 }; nil; end; f",
        "2",
    ),
    ("begin; raise \"a\"; rescue => e; e.message; end", r#""a""#),
    (
        "begin; raise ArgumentError; rescue ArgumentError, TypeError => e; e.message; end",
        r#""ArgumentError""#,
    ),
    ("begin; 1; rescue; 2; else; 3; ensure; 4; end", "3"),
    ("r = []; begin; r << 1; ensure; r << 2; end; r", "[1, 2]"),
    (
        "def f; yield; ensure; $x = 1; end; [1].each { f { break } }; $x",
        "1",
    ),
    ("(raise \"x\" rescue 5)", "5"),
    ("Integer(\"z\") rescue 0", "0"),
    (
        "n = 0; begin; n += 1; raise \"x\" if n < 3; n; rescue; retry; end",
        "3",
    ),
    (
        "class E1 < StandardError; def initialize(x); super(\"got #{x}\"); end; end; begin; raise E1.new(3); rescue E1 => e; e.message; end",
        r#""got 3""#,
    ),
    (
        "begin; raise KeyError, \"k\"; rescue IndexError => e; e.class; end",
        "KeyError",
    ),
    (
        "begin; [].fetch(3); rescue IndexError => e; e.message; end",
        r#""index 3 outside of array bounds: 0...0""#,
    ),
    (
        "begin; {a: 1}.fetch(:b); rescue KeyError => e; e.message; end",
        r#""key not found: :b""#,
    ),
    (
        "begin; 1 / 0; rescue ZeroDivisionError => e; e.message; end",
        r#""divided by 0""#,
    ),
    (
        "begin; nil.upcase; rescue NoMethodError => e; e.message[0, 33]; end",
        r#""undefined method `upcase' for nil""#,
    ),
    (
        "begin; \"a\" + 1; rescue TypeError => e; e.message; end",
        r#""no implicit conversion of Integer into String""#,
    ),
    (
        "begin; 1 + \"a\"; rescue TypeError => e; e.message; end",
        r#""String can't be coerced into Integer""#,
    ),
    (
        "begin; 1 + nil; rescue => e; e.message; end",
        r#""nil can't be coerced into Integer""#,
    ),
    (
        "begin; Foo; rescue NameError => e; e.message; end",
        r#""uninitialized constant Foo""#,
    ),
    (
        "begin; [3, \"a\"].sort; rescue ArgumentError => e; e.message; end",
        r#""comparison of Integer with String failed""#,
    ),
    (
        "begin; def g(a, b = 1); end; g; rescue ArgumentError => e; e.message; end",
        r#""wrong number of arguments (given 0, expected 1..2)""#,
    ),
    (
        "begin; def k(a:, b: 2); end; k(c: 1); rescue ArgumentError => e; e.message; end",
        r#""missing keyword: :a""#,
    ),
    (
        "begin; def k2(a: 1); end; k2(c: 1); rescue ArgumentError => e; e.message; end",
        r#""unknown keyword: :c""#,
    ),
    (
        "begin; \"x\".freeze << \"y\"; rescue FrozenError => e; e.message; end",
        r#""can't modify frozen String: \"x\"""#,
    ),
    (
        "begin; begin; raise \"a\"; rescue => e; raise; end; rescue => e; e.message; end",
        r#""a""#,
    ),
    (
        "catch(:done) { 10.times { |i| throw :done, i if i == 3 }; :never }",
        "3",
    ),
    ("defined?(x)", "nil"),
    (
        "x = 1; [defined?(x), defined?(String), defined?(puts), defined?(@a), defined?(Nope), defined?(yield)]",
        r#"["local-variable", "constant", "method", nil, nil, nil]"#,
    ),
    ("1.then { |x| x + 1 }", "2"),
    ("r = []; 5.tap { |x| r << x }; r", "[5]"),
    ("[[1, [2, 3]]].map { |a, (b, c)| a + b + c }", "[6]"),
    ("[[1, 2], [3, 4]].map { |a| a }", "[[1, 2], [3, 4]]"),
    ("[[1, 2, 3]].map { |a, *b| b }", "[[2, 3]]"),
    (
        "[[1, 2]].each_with_index.map { |(a, b), i| [a, b, i] }",
        "[[1, 2, 0]]",
    ),
    ("[1, 2].map { _1 * 2 }", "[2, 4]"),
    (
        "f = ->(a, b = 2, *c, d:, e: 5, **g, &h) { [a, b, c, d, e, g] }; f.(1, d: 4, z: 9)",
        "[1, 2, [], 4, 5, {:z=>9}]",
    ),
    (
        "f = proc { |a, b| [a, b] }; [f.call(1), f.call(1, 2, 3), f.call([4, 5])]",
        "[[1, nil], [1, 2], [4, 5]]",
    ),
    (
        "add = ->(a, b) { a + b }; [add[1, 2], add.curry[1][2], (add.method(:call).call(3, 4))]",
        "[3, 3, 7]",
    ),
    ("(method(:Integer) >> ->(x) { x + 1 }).call(\"4\")", "5"),
    ("x = 10; [1, 2].each { |i; x| x = i }; x", "10"),
    ("x = 1; l = lambda { x += 1 }; l.call; l.(); x", "3"),
    ("l = lambda { |x| return x * 2 }; l.call(4)", "8"),
    ("def m; p = Proc.new { return 1 }; p.call; 2; end; m", "1"),
    ("$g = 5; def gg; $g + 1; end; gg", "6"),
    ("__FILE__", r#""/lab/file.rb""#),
    ("__LINE__", "1"),
    ("BEGIN_X = 1; BEGIN_X", "1"),
    (
        "a = [1, 2, 3]\n  .map { |x| x + 1 }\n  .select(&:even?)\na",
        "[2, 4]",
    ),
    ("if (m = \"ab\".match(/b/)) then m[0] end", r#""b""#),
    ("i = 10; i -= 1 until i < 5; i", "4"),
    ("puts \"x\"; nil", "nil"),
    ("[1, 2, 3].sum do |x| x end", "6"),
    ("ENV[\"NODES\"].to_i + ENV.fetch(\"X\", \"2\").to_i", "5"),
    ("ENV.key?(\"NODES\") && !ENV.has_key?(\"ZZ\")", "true"),
    ("ENV[\"A\"] = \"b\"; ENV[\"A\"]", r#""b""#),
    ("ARGV", r#"["up"]"#),
    ("ARGV[0] == \"up\" && ARGV.include?(\"up\")", "true"),
];
