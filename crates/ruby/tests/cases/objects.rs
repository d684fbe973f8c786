//! Classes, modules, structs.

use super::Case;

pub const CASES: &[Case] = &[
    (
        "class A1; attr_accessor :x; def initialize(x); @x = x; end; def ==(o); o.x == x; end; end; a = A1.new(1); a.x += 1; [a.x, a == A1.new(2)]",
        "[2, true]",
    ),
    (
        "class B1; def hi; \"B\"; end; end; class B2 < B1; def hi; super + \"2\"; end; end; B2.new.hi",
        r#""B2""#,
    ),
    (
        "class C1; def self.make(*args); new(*args); end; def initialize(a, b: 2); @a, @b = a, b; end; def to_s; \"#{@a}#{@b}\"; end; end; \"#{C1.make(1)}\"",
        r#""12""#,
    ),
    (
        "module M1; def self.f; 1; end; X = 5; class K; def y; X; end; end; end; [M1.f, M1::X, M1::K.new.y]",
        "[1, 5, 5]",
    ),
    (
        "module M2; def hi; \"hi #{name}\"; end; end; class C2; include M2; def name; \"c\"; end; end; C2.new.hi",
        r#""hi c""#,
    ),
    (
        "module M3; module_function; def f(x); x * 2; end; end; M3.f(3)",
        "6",
    ),
    ("module M4; extend self; def f; 4; end; end; M4.f", "4"),
    (
        "class C3; @@n = 0; def self.up; @@n += 1; end; end; C3.up; C3.up",
        "2",
    ),
    (
        "class C4; @list = []; class << self; attr_reader :list; def add(x); @list << x; self; end; end; end; C4.add(1).add(2).list",
        "[1, 2]",
    ),
    (
        "class C5; private def secret; 1; end; def open; secret; end; end; [C5.new.open, (C5.new.secret rescue :no)]",
        "[1, :no]",
    ),
    (
        "class C6; def method_missing(name, *args); name.to_s.start_with?(\"x\") ? [name, args] : super; end; def respond_to_missing?(n, a = false); true; end; end; [C6.new.xy(1), C6.new.respond_to?(:q)]",
        "[[:xy, [1]], true]",
    ),
    (
        "class String; def shout; upcase + \"!\"; end; end; \"a\".shout",
        r#""A!""#,
    ),
    (
        "class Integer; def minutes; self * 60; end; end; 5.minutes",
        "300",
    ),
    (
        "class Hash; def deep_merge(o); merge(o) { |k, a, b| a.is_a?(Hash) && b.is_a?(Hash) ? a.deep_merge(b) : b }; end; end; {a: {b: 1}}.deep_merge({a: {c: 2}})",
        "{:a=>{:b=>1, :c=>2}}",
    ),
    (
        "S1 = Struct.new(:a, :b); s = S1.new(1, 2); s.a = 5; [s.a, s[1], s.to_a, s == S1.new(5, 2), s]",
        "[5, 2, [5, 2], true, #<struct S1 a=5, b=2>]",
    ),
    (
        "S2 = Struct.new(:a, keyword_init: true) do def twice; a * 2; end end; S2.new(a: 4).twice",
        "8",
    ),
    (
        "class P1 < Struct.new(:x, :y); def sum; x + y; end; end; P1.new(1, 2).sum",
        "3",
    ),
    (
        "o = OpenStruct.new(a: 1); o.b = 2; [o.a, o.b, o[:a], o.c, o.respond_to?(:b), o.to_h]",
        "[1, 2, 1, nil, true, {:a=>1, :b=>2}]",
    ),
    (
        "class V1; include Comparable; attr_reader :n; def initialize(n); @n = n; end; def <=>(o); n <=> o.n; end; end; [V1.new(1) < V1.new(2), [V1.new(3), V1.new(1)].min.n, V1.new(2).between?(V1.new(1), V1.new(3))]",
        "[true, 1, true]",
    ),
    (
        "class L1; include Enumerable; def each; yield 3; yield 1; yield 2; end; end; [L1.new.sort, L1.new.map { |x| x + 1 }, L1.new.include?(2), L1.new.first, L1.new.reduce(:+)]",
        "[[1, 2, 3], [4, 2, 3], true, 3, 6]",
    ),
    (
        "[1.is_a?(Integer), 1.is_a?(Numeric), \"a\".instance_of?(Object), nil.is_a?(NilClass), Integer === 3]",
        "[true, true, false, true, true]",
    ),
    (
        "[1.class, \"\".class, :a.class, [].class, {}.class, nil.class, (1..2).class, 1.0.class, true.class, String.class, Kernel.class]",
        "[Integer, String, Symbol, Array, Hash, NilClass, Range, Float, TrueClass, Class, Module]",
    ),
    (
        "class C7; def initialize; @a = 1; end; end; c = C7.new; c.instance_variable_set(:@b, 2); [c.instance_variable_get(:@a), c.instance_variables]",
        "[1, [:@a, :@b]]",
    ),
    (
        "class C8; %w[a b].each { |n| define_method(\"get_#{n}\") { |x = 1| n * x } }; end; [C8.new.get_a, C8.new.get_b(2)]",
        r#"["a", "bb"]"#,
    ),
    ("o = Object.new; def o.hi; \"hi\"; end; o.hi", r#""hi""#),
    (
        "module M5; def self.included(base); base.extend(Cm); end; module Cm; def made; \"made\"; end; end; end; class C9; include M5; end; C9.made",
        r#""made""#,
    ),
    (
        "[\"abc\".send(:upcase), 5.public_send(:+, 3), [1, 2].method(:first).call]",
        r#"["ABC", 8, 1]"#,
    ),
    (
        "class C10; def initialize(&block); instance_eval(&block); end; def name(n = nil); n ? @n = n : @n; end; end; C10.new { name \"x\" }.name",
        r#""x""#,
    ),
    (
        "class C11; CONST = 1; def self.const_missing(n); n; end; end; C11::CONST",
        "1",
    ),
    (
        "class C12; alias_method :old_to_s, :to_s; alias show inspect; def to_s; \"new\"; end; end; C12.new.to_s",
        r#""new""#,
    ),
    (
        "class C13; def a; self; end; def b; 1; end; end; C13.new.a.a.b",
        "1",
    ),
    (
        "class C14; protected def x; 5; end; public def cmp(o); o.x; end; end; C14.new.cmp(C14.new)",
        "5",
    ),
    (
        "class C15; def [](k); k * 2; end; def []=(k, v); @h = [k, v]; end; def call(x); x; end; def +(o); o; end; def -@; :neg; end; def !; :not; end; end; c = C15.new; c[1] = 2; [c[2], c.(3), c + 4, -c]",
        "[4, 3, 4, :neg]",
    ),
    (
        "C16 = Class.new(StandardError) { def message; \"m\"; end }; begin; raise C16; rescue => e; [e.class.name, e.message]; end",
        r#"["C16", "m"]"#,
    ),
    (
        "class C17; class Inner; def hi; :inner; end; end; def self.inner; Inner.new; end; end; C17.inner.hi",
        ":inner",
    ),
    (
        "C17b = [1, 2].freeze; [C17b.frozen?, (C17b << 3 rescue :frozen)]",
        "[true, :frozen]",
    ),
    (
        "[Comparable.instance_of?(Module), [].respond_to?(:each), [].respond_to?(:nope)]",
        "[true, true, false]",
    ),
    (
        "def opt(a, b = a * 2, *rest, c, k: 1, **o, &blk); [a, b, rest, c, k, o]; end; [opt(1, 2), opt(1, 2, 3), opt(1, 2, 3, 4, k: 5, z: 6)]",
        "[[1, 2, [], 2, 1, {}], [1, 2, [], 3, 1, {}], [1, 2, [3], 4, 5, {:z=>6}]]",
    ),
    (
        "def kw(a, **o); [a, o]; end; h = {x: 1}; [kw(1, **h), kw(h), kw({y: 2}, z: 3)]",
        "[[1, {:x=>1}], [{:x=>1}, {}], [{:y=>2}, {:z=>3}]]",
    ),
    (
        "def fwd(...); kw2(...); end; def kw2(a, b: 2); [a, b]; end; fwd(1, b: 3)",
        "[1, 3]",
    ),
    (
        "# Ruby 3.2\ndef anon(*, **, &); kw3(*, **, &); end; def kw3(*a, **o); [a, o, block_given?]; end; anon(1, b: 2) { }",
        "[[1], {:b=>2}, true]",
    ),
    ("def endless(x) = x * 2; endless(4)", "8"),
    (
        "def blk; block_given? ? yield(1, 2) : :none; end; [blk, blk { |a, b| a + b }]",
        "[:none, 3]",
    ),
    (
        "def hash_last(opts = {}); opts; end; hash_last(a: 1, \"b\" => 2)",
        r#"{:a=>1, "b"=>2}"#,
    ),
    ("def vis; __method__; end; vis", ":vis"),
    ("x = Object.new; x == x.dup", "false"),
    ("a = \"s\"; b = a; b << \"t\"; a", r#""st""#),
    (
        "obj = Class.new { def to_str; \"x\"; end }.new; \"a\" + obj",
        r#""ax""#,
    ),
    (
        "class C18; attr_writer :w; attr_reader :r; def initialize; self.w = 3; @r = @w; end; end; C18.new.r",
        "3",
    ),
    (
        "class C19 < Array; end; C19.ancestors.include?(Array)",
        "true",
    ),
    (
        "class C20; def each_pair; yield :a, 1; end; end; r = []; C20.new.each_pair { |k, v| r << [k, v] }; r",
        "[[:a, 1]]",
    ),
    (
        "Kernel.format(\"%d\", 3) + String(4) + Array(5).inspect",
        r#""34[5]""#,
    ),
    (
        "class Base1; def self.inherited(k); (@subs ||= []) << k.name; super; end; def self.subs = @subs; end; class Sub1 < Base1; end; Base1.subs",
        r#"["Sub1"]"#,
    ),
    (
        "class Mm1; def method_missing(n, *a) = n == :x ? 1 : super; end; [Mm1.new.x, (Mm1.new.y rescue $!.class)]",
        "[1, NoMethodError]",
    ),
    (
        "class Cn1; @n = 0; class << self; attr_accessor :n; end; def initialize; self.class.n += 1; end; end; Cn1.new; Cn1.new; Cn1.n",
        "2",
    ),
];
