//! Mistakes in the tree: budgets, nesting, dependencies, groups, other lab files.

mod common;

use common::diagnose;

#[test]
fn children_fit_into_their_parent() {
    let yaml = r#"name: t
nodes:
  l1:
    image: hypervisor
    memory: 1GiB
    nested: true
    inside:
      nodes: { a: { image: debian, memory: 384MiB, count: 3 } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:3-5 note[cpu-shared] What is inside `l1` shares its CPUs: 3 on 1
5:13-17 error[memory-budget] What is inside `l1` does not fit into its 1GiB ⟨expected at least 1536MiB⟩ (1152MiB for 3 machines, 64MiB more for each, 192MiB for `l1` itself)
"#);
}

#[test]
fn cpus_may_be_shared_but_not_exceeded() {
    let yaml = r#"name: t
nodes:
  one:
    image: hypervisor
    cpus: 2
    memory: 4GiB
    nested: true
    inside: { nodes: { a: { image: debian, count: 3 } } }
  two:
    image: hypervisor
    memory: 4GiB
    nested: true
    inside: { nodes: { a: { image: debian, cpus: 4 } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
5:11-12 note[cpu-shared] What is inside `one` shares its CPUs: 3 on 2
13:50-51 error[cpu-budget] `two/a` has more CPUs than its parent: 4 of 1 ⟨expected at most 1⟩
"#);
}

#[test]
fn machines_inside_need_nesting() {
    let yaml = r#"name: t
nodes:
  one: { image: hypervisor, memory: 4GiB, inside: { nodes: { a: { image: debian } } } }
  two: { image: hypervisor, memory: 4GiB, inside: { nodes: { a: { image: debian, accel: tcg } } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:43-49 error[nesting-off] Machines inside `one` need it to be `nested: true` ⟨holds `a`⟩ (add `nested: true` to `one`, or `accel: tcg` (much slower) to what is inside)
"#);
}

#[test]
fn dependencies_lead_somewhere() {
    let yaml = r#"name: t
nodes:
  db: { image: debian, count: 2 }
  web: { image: debian, depends_on: [db, chache] }
  cache: { image: debian, depends_on: { cache: {}, db-1: { condition: running }, db-2: { condition: started } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:42-48 error[unknown-node] Unknown node `chache` ⟨not a node of this layer⟩ (did you mean `cache`?)
5:41-46 error[self-dependency] `cache` depends on itself
5:71-78 error[invalid-value] `condition` cannot be `running` ⟨expected one of `started`, `ready`⟩
"#);
}

#[test]
fn circles_are_named() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, depends_on: [b] }
  b: { image: debian, depends_on: [c] }
  c: { image: debian, depends_on: [a] }
  x: { image: debian, count: 2, depends_on: [y] }
  y: { image: debian, depends_on: [x-2] }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
5:36-37 error[dependency-cycle] Nodes depend on each other in a circle: a → b → c → a ⟨closes the circle⟩
6:46-47 error[dependency-cycle] Nodes depend on each other in a circle: y → x-2 → y ⟨closes the circle⟩
"#);
}

#[test]
fn a_group_may_wait_for_its_first() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, count: 3, depends_on: [a-1] }
  b: { image: debian, count: 3, depends_on: [b] }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:46-47 error[self-dependency] `b` depends on itself
"#);
}

#[test]
fn a_quorum_is_odd() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, count: 4, quorum: true }
  b: { image: debian, count: 3, quorum: true }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:30-31 warning[even-quorum] Group `a` votes with an even number of nodes, 4 ⟨expected an odd number⟩ (3 would survive the loss of as many nodes: 1)
"#);
}

#[test]
fn groups_do_not_collide() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, count: 2 }
  a-2: { image: debian }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:3-6 error[duplicate-node] Node `a-2` stands here twice ⟨also comes from line 3⟩
"#);
}

#[test]
fn a_lab_has_an_end() {
    let yaml = r#"name: t
nodes:
  a:
    image: hypervisor
    memory: 1TiB
    cpus: 200
    nested: true
    count: 100
    inside: { nodes: { b: { image: debian, count: 100 } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
9:24-25 error[too-many-nodes] The lab has too many nodes ⟨more than 1000⟩
"#);
}

#[test]
fn other_lab_files_are_read() {
    let yaml = r#"name: t
nodes:
  a: { image: hypervisor, memory: 4GiB, nested: true, inside: { from: inner.yaml, with: { size: 5, sieze: 1 } } }
  b: { image: hypervisor, memory: 4GiB, nested: true, inside: { from: gone.yaml } }
  c: { image: hypervisor, memory: 4GiB, nested: true, inside: { from: circle.yaml } }
  d: { image: hypervisor, memory: 4GiB, nested: true, inside: { from: bad.yaml, nodes: {} } }
  e: { image: hypervisor, memory: 4GiB, nested: true, inside: { with: { a: b } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:83-87 error[unknown-variable] The lab file has no variable `sieze` (did you mean `size`?)
4:71-80 error[unreadable-file] Cannot read the lab file /lab/gone.yaml ⟨entity not found⟩
6:81-86 error[exclusive-keys] `nodes` and `from` exclude each other
7:65-69 error[exclusive-keys] `with` means nothing without `from`
bad:3:15-22 error[unknown-image] Unknown image `nothing` ⟨neither in `images:` nor built in⟩ (known images: `almalinux-8`, `almalinux-9`, `alpine-3.23`, `centos-10`, `centos-9`, `debian`, `debian-12`, `debian-13`, `fedora-43`, `fedora-44`, `hypervisor`, `rocky-8`, …)
circle:3:71-84 error[from-cycle] `from` leads back to its own file ⟨/lab/nestlab.yaml → /lab/circle.yaml → /lab/circle.yaml⟩
inner:4:29-42 error[cpu-budget] `a/x` has more CPUs than its parent: 5 of 1 ⟨expected at most 1⟩
"#);
}

#[test]
fn containers_have_no_hardware() {
    let yaml = r#"name: t
nodes:
  one: { kind: container, image: debian, disk: 4GiB, nested: true, pids_limit: 0 }
  two: { image: debian, volumes: ["./a:/b"], devices: [/dev/kvm] }
  three:
    kind: container
    image: debian
    volumes: ["data:/b", "/a:/b:ro", "/a:b"]
    devices: [kvm]
    cap_add: [net_admin]
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:42-46 error[wrong-kind] `disk` has a meaning for a virtual machine only ⟨not of this kind⟩ (leave it out, or drop `kind: container`)
3:54-60 error[wrong-kind] `nested` has a meaning for a virtual machine only ⟨not of this kind⟩ (leave it out, or drop `kind: container`)
3:80-81 error[invalid-value] `pids_limit` cannot be `0` ⟨expected a whole number from 1 to 4194304⟩
4:25-32 error[wrong-kind] `volumes` has a meaning for a container only ⟨not of this kind⟩ (add `kind: container`, or leave it out)
4:46-53 error[wrong-kind] `devices` has a meaning for a container only ⟨not of this kind⟩ (add `kind: container`, or leave it out)
8:15-24 error[invalid-value] `volumes` cannot be `data:/b` ⟨expected `FOLDER:TARGET[:ro]`⟩ (begin the folder with `/`, `./` or `../`)
8:38-44 error[invalid-value] `volumes` cannot be `/a:b` ⟨expected `FOLDER:TARGET[:ro]`⟩ (give an absolute path in the container)
9:15-18 error[invalid-value] `devices` cannot be `kvm` ⟨expected a device such as `/dev/kvm`⟩ (it is none)
10:15-24 error[invalid-value] `cap_add` cannot be `net_admin` ⟨expected a capability such as `NET_ADMIN`⟩ (it is none; see capabilities(7))
"#);
}

#[test]
fn a_backend_realises_its_own_kind() {
    let yaml = r#"name: t
nodes:
  one: { image: debian, backend: docker }
  two: { kind: container, image: debian, backend: qemu }
  three: { kind: container, image: debian, backend: docker, io: { read: 1MiB } }
  four: { kind: container, image: debian, backend: oci }
  five: { image: debian, backend: other }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r"
3:34-40 error[wrong-kind] Backend `docker` realises containers only ⟨one of: qemu⟩ (add `kind: container`, or leave `backend` out)
4:51-55 error[wrong-kind] Backend `qemu` realises virtual machines only ⟨one of: docker, oci⟩ (leave `backend` out, or drop `kind: container`)
5:61-63 error[exclusive-keys] Backend `docker` does not limit how fast its containers read and write (leave `io` out, or `backend`)
");
}

#[test]
fn machines_inside_a_container_need_kvm_there() {
    let yaml = r#"name: t
nodes:
  one:
    kind: container
    image: debian
    memory: 4GiB
    inside: { nodes: { a: { image: debian }, b: { kind: container, image: debian, backend: docker } } }
  two:
    image: hypervisor
    memory: 4GiB
    inside:
      nodes:
        plain: { kind: container, image: debian, volumes: ["./a:/b"] }
        box:
          kind: container
          image: debian
          memory: 1GiB
          devices: [/dev/kvm]
          inside: { nodes: { a: { image: debian } } }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:3-6 note[cpu-shared] What is inside `one` shares its CPUs: 2 on 1
7:5-11 error[container-in-container] Container `one` cannot hold other containers by a container engine ⟨holds `b`⟩ (leave `backend: docker` out of both, or have a virtual machine between them)
7:5-11 error[nesting-off] Machines inside `one` need it to have `/dev/kvm` ⟨holds `a`⟩ (add `devices: [/dev/kvm]` to `one`, or `accel: tcg` (much slower) to what is inside)
8:3-6 note[cpu-shared] What is inside `two` shares its CPUs: 2 on 1
11:5-11 error[nesting-off] Machines inside `two` need it to be `nested: true` ⟨holds `box`⟩ (add `nested: true` to `two`, or `accel: tcg` (much slower) to what is inside)
13:60-68 error[invalid-value] This volume starts at the lab file, but the container stands inside a node ⟨not on that level⟩ (name a folder of the node that it stands in by its absolute path; `files:` copies folders)
"#);
}
