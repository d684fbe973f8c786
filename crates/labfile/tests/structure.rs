//! Mistakes of form: YAML itself, keys, types, names.

mod common;

use common::diagnose;

#[test]
fn a_syntax_error_is_one_diagnostic() {
    let yaml = r#"name: t
nodes:
  a: { image: debian
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:1-1 error[syntax] Not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
"#);
}

#[test]
fn tabs_do_not_indent() {
    let yaml = "name: t\nnodes:\n\ta:\n\t\timage: debian\n";
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:2-2 error[syntax] Not valid YAML: tabs disallowed within this context (block indentation) (indent with spaces, not tabs)
"#);
}

#[test]
fn an_unquoted_template_is_explained() {
    let yaml = r#"name: t
variables: { n: 3 }
nodes:
  a:
    image: debian
    cpus: {{ n }}
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
6:12-17 error[unquoted-template] A template without quotes ⟨YAML takes this for a map⟩ (put quotes around it: "{{ name }}")
"#);
}

#[test]
fn unknown_keys_are_errors_with_a_guess() {
    let yaml = r#"name: t
node:
  a: { image: debian }
nodes:
  a: { imgae: debian, image: debian, memroy: 1GiB, colour: red }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
2:1-5 error[unknown-key] Unknown key `node` in a lab ⟨not a key of the lab file here⟩ (did you mean `nodes`?)
5:8-13 error[unknown-key] Unknown key `imgae` in a node ⟨not a key of the lab file here⟩ (did you mean `image`?)
5:38-44 error[unknown-key] Unknown key `memroy` in a node ⟨not a key of the lab file here⟩ (did you mean `memory`?)
5:52-58 error[unknown-key] Unknown key `colour` in a node ⟨not a key of the lab file here⟩ (known keys: `image`, `kind`, `backend`, `count`, `cpus`, `memory`, `disk`, `disks`, `kernel`, `initrd`, `cmdline`, `firmware`, `arch`, `accel`, `nested`, `balloon`, `devices`, `volumes`, `cap_add`, `pids_limit`, `io`, `networks`, `ports`, `depends_on`, `cloud_init`, `files`, `env`, `provision`, `ready`, `quorum`, `inside`)
"#);
}

#[test]
fn keys_that_are_missing_are_all_named() {
    let yaml = r#"description: nothing else
nodes:
  a: {}
  b:
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
1:1-1 error[missing-key] A lab needs `name` ⟨expected `name: …` here⟩ (The name of the lab, unique among your labs on this machine)
3:3-4 error[missing-key] A node needs `image` ⟨expected `image: …` here⟩ (An image of `images:`, a built-in one, or one in a registry: `docker://debian:12`)
4:3-4 error[missing-key] A node needs `image` ⟨expected `image: …` here⟩ (An image of `images:`, a built-in one, or one in a registry: `docker://debian:12`)
"#);
}

#[test]
fn a_key_stands_once() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, cpus: 1, cpus: 2 }
  a: { image: debian }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:32-36 error[duplicate-key] Key `cpus` stands here twice ⟨first on line 3⟩
4:3-4 error[duplicate-key] Key `a` stands here twice ⟨first on line 3⟩
"#);
}

#[test]
fn wrong_types_say_what_was_expected() {
    let yaml = r#"name: [t]
images: debian
nodes:
  a:
    image: { name: debian }
    ports: "80:80"
    networks: mesh
    depends_on: b
    env: [A]
    provision: { inline: x }
    inside: yes
  b: debian
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
1:7-10 error[wrong-type] `name` is a list ⟨expected a single value⟩
2:9-15 error[wrong-type] `images` is a single value ⟨expected a map, `NAME: …`⟩
5:12-28 error[wrong-type] `image` is a map ⟨expected a single value⟩
6:12-19 error[wrong-type] `ports` is a single value ⟨expected a list⟩ (begin each item with `- `)
7:15-19 error[wrong-type] `networks` is a single value ⟨expected a list of networks, or a map of networks to addresses⟩ (write `networks: [NAME]`)
8:17-18 error[wrong-type] `depends_on` is a single value ⟨expected a list of nodes, or a map of nodes to conditions⟩ (write `depends_on: [NODE]`)
9:10-13 error[wrong-type] `env` is a list ⟨expected a map, `NAME: …`⟩
10:16-29 error[wrong-type] `provision` is a map ⟨expected a list⟩ (begin each item with `- `)
11:13-16 error[wrong-type] Expected a layer, found a single value ⟨expected a map with `networks`, `nodes`, `from`, `with`⟩
12:6-12 error[wrong-type] Expected a node, found a single value ⟨expected a map with `image`, `kind`, `backend`, `count`, `cpus`, `memory`, `disk`, `disks`, `kernel`, `initrd`, `cmdline`, `firmware`, …⟩
"#);
}

#[test]
fn an_empty_file_is_no_lab() {
    let yaml = "\n";
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
1:1-1 error[empty-file] The lab file is empty (begin with `name: my-lab` and `nodes:`)
"#);
}

#[test]
fn one_document_only() {
    let yaml = r#"name: t
nodes: {}
---
name: u
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:1-4 error[syntax] A second document begins here ⟨a lab file is one YAML document⟩
"#);
}

#[test]
fn names_are_dns_labels() {
    let yaml = r#"name: My Lab
networks: { a_b: {} }
nodes:
  Web_1: { image: debian }
  ok: { image: debian, disks: { kit-x: 1GiB, a-name-that-no-serial-holds: 1GiB }, env: { 1A: x } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
1:7-13 error[invalid-name] `My Lab` cannot name a lab ⟨expected a-z, 0-9 and `-`⟩ (A name has only a-z, 0-9 and `-`, not 'M')
2:13-16 error[invalid-name] `a_b` cannot name a network ⟨expected a-z, 0-9 and `-`⟩ (A name has only a-z, 0-9 and `-`, not '_')
4:3-8 error[invalid-name] `Web_1` cannot name a node ⟨expected a-z, 0-9 and `-`⟩ (A name has only a-z, 0-9 and `-`, not 'W')
5:33-38 error[invalid-name] `kit-x` cannot name a disk ⟨taken by a disk of Nestlab's own⟩
5:46-73 error[invalid-name] `a-name-that-no-serial-holds` cannot name a disk ⟨at most 20 characters⟩
5:90-92 error[invalid-name] `1A` cannot name an environment variable ⟨expected A-Z, a-z, 0-9 and `_`⟩
"#);
}

#[test]
fn anchors_and_merge_keys_work() {
    let yaml = r#"name: t
x-base: &base { image: debian, memory: 1GiB }
nodes:
  a: { <<: *base, cpus: 2 }
  b: *base
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
fine
"#);
}

#[test]
fn a_file_that_laughs_is_refused() {
    let yaml = r#"a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
5:36-38 error[too-large] The file has too many values ⟨more than 100000, aliases included⟩
"#);
}
