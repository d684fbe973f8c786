//! Mistakes in networks, addresses and ports.

mod common;

use common::diagnose;

#[test]
fn subnets_are_ipv4_and_sound() {
    let yaml = r#"name: t
networks:
  a: { subnet: 10.0.0.5/24 }
  b: { subnet: 10.0.0.0 }
  c: { subnet: "fd00::/64" }
  d: { subnet: 10.0.0.0/31 }
  e: { subnet: 127.0.0.0/8 }
  f: { subnet: mesh, mtu: 100, mode: bridged }
nodes:
  a: { image: debian, networks: { c: { ip: 10.0.0.1 } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:16-27 error[invalid-value] `subnet` cannot be `10.0.0.5/24` ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩ (write its first address: `10.0.0.0/24`)
4:16-24 error[invalid-value] `subnet` cannot be `10.0.0.0` ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩ (add the prefix length: `10.0.0.0/24`)
5:16-28 error[ipv6] IPv6 subnets are not supported ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩
6:16-27 error[invalid-value] `subnet` cannot be `10.0.0.0/31` ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩ (the prefix length is 8 to 30)
7:16-27 error[invalid-value] `subnet` cannot be `127.0.0.0/8` ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩ (these addresses have a special meaning; use a private subnet)
8:16-20 error[invalid-value] `subnet` cannot be `mesh` ⟨expected an IPv4 subnet such as `10.10.10.0/24`⟩
8:27-30 error[invalid-value] `mtu` cannot be `100` ⟨expected a whole number from 576 to 9000⟩
8:38-45 error[invalid-value] `mode` cannot be `bridged` ⟨expected one of `nat`, `isolated`⟩
"#);
}

#[test]
fn speeds_have_a_unit_and_an_end() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, networks: { default: { rate: 10mbit, priority: 6 } } }
  b: { image: debian, networks: { default: { rate: 10MB, priority: 8 } } }
  c: { image: debian, networks: { default: { rate: 1kbit } } }
  d: { kind: container, image: debian, io: { read: 10MiB, write: 1KiB } }
  e: { image: debian, io: { read: 10MiB } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:52-56 error[invalid-value] `rate` cannot be `10MB` ⟨expected a rate such as `10mbit`⟩ (it has a unit: `kbit`, `mbit` or `gbit`)
4:68-69 error[invalid-value] `priority` cannot be `8` ⟨expected a whole number from 0 to 7⟩
5:52-57 error[invalid-value] `rate` cannot be `1kbit` ⟨expected a rate such as `10mbit`⟩ (it lies between `8kbit` and `100gbit`)
6:66-70 error[invalid-value] `write` cannot be `1KiB` ⟨expected a size of at least `4KiB`, such as `10MiB`⟩ (nothing would go on with so little)
7:23-25 error[wrong-kind] `io` has a meaning for a container only ⟨not of this kind⟩ (add `kind: container`, or leave it out)
"#);
}

#[test]
fn addresses_are_inside_and_unique() {
    let yaml = r#"name: t
networks: { mesh: { subnet: 10.10.10.0/24 } }
nodes:
  a: { image: debian, networks: { mesh: { ip: 10.10.11.5 } } }
  b: { image: debian, networks: { mesh: { ip: 10.10.10.0 } } }
  c: { image: debian, networks: { mesh: { ip: 10.10.10.255 } } }
  d: { image: debian, networks: { mesh: { ip: 10.10.10.7/24 } } }
  e: { image: debian, networks: { mesh: { ip: "fd00::1" } } }
  f: { image: debian, networks: { mesh: { ip: 10.10.10.9 } } }
  g: { image: debian, networks: { mesh: { ip: 10.10.10.9 } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:47-57 error[address-outside] Address 10.10.11.5 is outside network `mesh` ⟨expected an address of 10.10.10.0/24⟩
5:47-57 error[address-reserved] Address 10.10.10.0 is the network address of `mesh` ⟨expected 10.10.10.1 to 10.10.10.254⟩
6:47-59 error[address-reserved] Address 10.10.10.255 is the broadcast address of `mesh` ⟨expected 10.10.10.1 to 10.10.10.254⟩
7:47-60 error[invalid-value] `ip` cannot be `10.10.10.7/24` ⟨expected an IPv4 address such as `10.10.10.11`⟩ (leave the prefix length out: it is that of the subnet)
8:47-57 error[ipv6] IPv6 addresses are not supported ⟨expected an IPv4 address⟩
10:47-57 error[address-twice] Address 10.10.10.9 belongs to `f` already ⟨wanted by `g` too⟩ (leave `ip` out for the next free one)
"#);
}

#[test]
fn a_group_needs_different_addresses() {
    let yaml = r#"name: t
networks: { mesh: { subnet: 10.10.10.0/24 } }
nodes:
  a: { image: debian, count: 3, networks: { mesh: { ip: 10.10.10.9 } }, ports: ["80:80"] }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:57-67 error[address-twice] Address 10.10.10.9 belongs to `a-1` already ⟨wanted by `a-2` too⟩ (let it differ from node to node: "10.0.0.1{{ index }}")
4:81-88 error[port-twice] Port 80/tcp of this machine leads to `a-1` already ⟨wanted by `a-2` too⟩ (let it differ from node to node: "808{{ index }}:80")
"#);
}

#[test]
fn networks_that_are_not_there() {
    let yaml = r#"name: t
networks: { mesh: {}, back: {} }
nodes:
  a: { image: debian, networks: [mehs, mesh, mesh] }
  b: { image: debian, networks: { front: {} } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:34-38 error[unknown-network] Unknown network `mehs` ⟨not a network of this layer⟩ (did you mean `mesh`?)
4:46-50 error[duplicate-network] Network `mesh` stands here twice
5:35-40 error[unknown-network] Unknown network `front` ⟨not a network of this layer⟩ (networks of this layer: `mesh`, `back`)
"#);
}

#[test]
fn a_small_network_fills_up() {
    let yaml = r#"name: t
networks: { tiny: { subnet: 10.0.0.0/30 } }
nodes:
  a: { image: debian, count: 2, networks: [tiny] }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:44-48 error[no-address] Network `tiny` has no free address left ⟨10.0.0.0/30 is full⟩
"#);
}

#[test]
fn a_gateway_needs_an_address() {
    let yaml = r#"name: t
networks: { tiny: { subnet: 10.0.0.0/30 } }
nodes:
  a: { image: debian, count: 2, networks: { tiny: { ip: "10.0.0.{{ index }}" } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
2:29-40 error[gateway-clash] Network `tiny` has no address left for its gateway ⟨nodes have the first and the last address⟩
"#);
}

#[test]
fn subnets_on_one_path_do_not_overlap() {
    let yaml = r#"name: t
networks: { a: { subnet: 10.1.0.0/16 }, b: { subnet: 10.1.2.0/24 } }
nodes:
  one:
    image: hypervisor
    memory: 2GiB
    nested: true
    networks: [a]
    inside: &inner
      networks: { c: { subnet: 10.1.0.0/24 }, d: { subnet: 10.9.0.0/24 } }
      nodes: { x: { image: debian, networks: [c, d] } }
  two:
    image: hypervisor
    memory: 2GiB
    nested: true
    networks: [a]
    inside:
      networks: { d: { subnet: 10.9.0.0/24 } }
      nodes: { x: { image: debian, networks: [d] } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
2:54-65 error[subnet-overlap] Subnet 10.1.2.0/24 of `b` overlaps 10.1.0.0/16 of `a` ⟨`a` stands on this machine, line 2⟩ (networks on one path of the tree need subnets of their own)
10:32-43 error[subnet-overlap] Subnet 10.1.0.0/24 of `c` overlaps 10.1.0.0/16 of `a` ⟨`a` stands on this machine, line 2⟩ (networks on one path of the tree need subnets of their own)
"#);
}

#[test]
fn mtu_shrinks_inwards() {
    let yaml = r#"name: t
networks: { out: { mtu: 1400 } }
nodes:
  one:
    image: hypervisor
    memory: 2GiB
    nested: true
    networks: [out]
    inside:
      networks: { big: {}, alone: { mode: isolated, mtu: 9000 } }
      nodes: { x: { image: debian, networks: [big, alone] } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
10:19-22 warning[mtu] The MTU of `big` inside `one` is larger than that of `out` around it: 1500 over 1400 (set `mtu: 1400` or less)
"#);
}

#[test]
fn ports_listen_once_and_lead_somewhere() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, ports: ["80:80", "80:81/udp", "0:22", "0:23"] }
  b: { image: debian, ports: ["0.0.0.0:80:80", "127.0.0.2:80:80"] }
  l1:
    image: hypervisor
    nested: true
    memory: 2GiB
    ports: ["8500:consul-4:8500", "8600:elsewhere:53", "8700:consul-1:1"]
    inside:
      nodes: { consul: { image: debian, memory: 256MiB, count: 3 } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:31-46 error[port-twice] Port 80/tcp of this machine leads to `a` already ⟨first on line 3⟩
5:3-5 note[cpu-shared] What is inside `l1` shares its CPUs: 3 on 1
9:13-33 error[unknown-node] The port leads to `consul-4`, which is not there ⟨not a node inside `l1`⟩ (did you mean `consul-3`?)
9:35-54 error[unknown-node] The port leads to `elsewhere`, which is not there ⟨not a node inside `l1`⟩ (inside `l1`: `consul-1`, `consul-2`, `consul-3`)
"#);
}
