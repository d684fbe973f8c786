//! What Vagrant with libvirt lets pass or explains by a trace without a line, each
//! named at its place.

mod common;

use common::loaded;

fn render(yaml: &str, sets: &[(&str, &str)]) -> String {
    loaded(yaml, sets).render(std::path::Path::new("/lab"), false)
}

#[test]
fn a_misspelt_network_option() {
    let yaml = r#"name: t
networks:
  mesh: { subnet: 10.10.10.0/24, mtuu: 1400 }
nodes:
  a: { image: debian, networks: [mesh] }
"#;
    insta::assert_snapshot!(render(yaml, &[]), @r#"
error[unknown-key]: Unknown key `mtuu` in a network
 --> nestlab.yaml:3:34
  |
3 |   mesh: { subnet: 10.10.10.0/24, mtuu: 1400 }
  |                                  ^^^^ not a key of the lab file here
  = hint: did you mean `mtu`?
"#);
}

#[test]
fn memory_is_no_word() {
    let yaml = r#"name: t
nodes:
  a:
    image: debian
    memory: "lots"
"#;
    insta::assert_snapshot!(render(yaml, &[]), @r#"
error[invalid-value]: `memory` cannot be `lots`
 --> nestlab.yaml:5:13
  |
5 |     memory: "lots"
  |             ^^^^^^ expected a size such as `512MiB`
  = hint: A size starts with a number, as in `512MiB`
"#);
}

#[test]
fn an_address_with_311() {
    let yaml = r#"name: t
networks: { mesh: { subnet: 10.10.10.0/24 } }
nodes:
  a: { image: debian, networks: { mesh: { ip: 10.10.10.311 } } }
"#;
    insta::assert_snapshot!(render(yaml, &[]), @r#"
error[invalid-value]: `ip` cannot be `10.10.10.311`
 --> nestlab.yaml:4:47
  |
4 |   a: { image: debian, networks: { mesh: { ip: 10.10.10.311 } } }
  |                                               ^^^^^^^^^^^^ expected an IPv4 address such as `10.10.10.11`
  = hint: 311 is larger than 255
"#);
}

#[test]
fn two_nodes_with_one_address() {
    let yaml = r#"name: t
networks: { mesh: { subnet: 10.10.10.0/24 } }
nodes:
  a: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
  b: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
"#;
    insta::assert_snapshot!(render(yaml, &[]), @r#"
error[address-twice]: Address 10.10.10.11 belongs to `a` already
 --> nestlab.yaml:5:47
  |
5 |   b: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
  |                                               ^^^^^^^^^^^ wanted by `b` too
  = hint: leave `ip` out for the next free one
"#);
}

#[test]
fn all_of_them_in_one_run() {
    let yaml = r#"name: t
networks:
  mesh: { subnet: 10.10.10.0/24, mtuu: 1400 }
nodes:
  a: { image: debian, memory: lots, networks: { mesh: { ip: 10.10.10.311 } } }
  b: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
  c: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
"#;
    insta::assert_snapshot!(render(yaml, &[]), @r#"
error[unknown-key]: Unknown key `mtuu` in a network
 --> nestlab.yaml:3:34
  |
3 |   mesh: { subnet: 10.10.10.0/24, mtuu: 1400 }
  |                                  ^^^^ not a key of the lab file here
  = hint: did you mean `mtu`?

error[invalid-value]: `memory` cannot be `lots`
 --> nestlab.yaml:5:31
  |
5 |   a: { image: debian, memory: lots, networks: { mesh: { ip: 10.10.10.311 } } }
  |                               ^^^^ expected a size such as `512MiB`
  = hint: A size starts with a number, as in `512MiB`

error[invalid-value]: `ip` cannot be `10.10.10.311`
 --> nestlab.yaml:5:61
  |
5 |   a: { image: debian, memory: lots, networks: { mesh: { ip: 10.10.10.311 } } }
  |                                                             ^^^^^^^^^^^^ expected an IPv4 address such as `10.10.10.11`
  = hint: 311 is larger than 255

error[address-twice]: Address 10.10.10.11 belongs to `b` already
 --> nestlab.yaml:7:47
  |
7 |   c: { image: debian, networks: { mesh: { ip: 10.10.10.11 } } }
  |                                               ^^^^^^^^^^^ wanted by `c` too
  = hint: leave `ip` out for the next free one
"#);
}
