//! Mistakes in single values, templates and files.

mod common;

use common::diagnose;

#[test]
fn values_say_what_was_expected() {
    let yaml = r#"name: t
nodes:
  a:
    image: debian
    cpus: 0
    memory: 3 pints
    disk: big
    accel: turbo
    nested: yes
    ports: [80, "80:http"]
    cmdline: "a\nb"
    ready: { tcp: localhost, interval: 0s, timeout: soon }
    files:
      - { content: x, target: etc/x, mode: 0999 }
      - { content: x, target: /a/../b }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
5:11-12 error[invalid-value] `cpus` cannot be `0` ⟨expected a whole number from 1 to 255⟩
6:13-20 error[invalid-value] `memory` cannot be `3 pints` ⟨expected a size such as `512MiB`⟩ (Unknown unit "pints": use KiB, MiB, GiB or TiB)
7:11-14 error[invalid-value] `disk` cannot be `big` ⟨expected a size such as `20GiB`⟩ (A size starts with a number, as in `512MiB`)
8:12-17 error[invalid-value] `accel` cannot be `turbo` ⟨expected one of `auto`, `kvm`, `tcg`⟩
9:13-16 error[invalid-value] `nested` cannot be `yes` ⟨expected `true` or `false`⟩ (write `true`)
10:13-15 error[invalid-value] `ports` cannot be `80` ⟨expected `[ADDRESS:]PORT:[NODE:]PORT[/udp]`⟩ (A port is written `[ADDRESS:]PORT:[NODE:]PORT[/udp]`, as in `8080:80`)
10:17-26 error[invalid-value] `ports` cannot be `80:http` ⟨expected `[ADDRESS:]PORT:[NODE:]PORT[/udp]`⟩ ("http" is not a port number (1 to 65535))
11:14-20 error[invalid-value] `cmdline` cannot be `a b` ⟨expected one line⟩
12:19-28 error[invalid-value] `tcp` cannot be `localhost` ⟨expected `HOST:PORT` such as `localhost:22`⟩ (the port is 1 to 65535)
12:40-42 error[invalid-value] `interval` cannot be `0s` ⟨expected a time such as `500ms`, `10s` or `2m`⟩ (it cannot be zero)
12:53-57 error[invalid-value] `timeout` cannot be `soon` ⟨expected a time such as `500ms`, `10s` or `2m`⟩ (a time starts with a number)
14:31-36 error[invalid-value] `target` cannot be `etc/x` ⟨expected an absolute path such as `/etc/app.conf`⟩ (begin it with `/`)
14:44-48 error[invalid-value] `mode` cannot be `0999` ⟨expected octal permissions such as `0644`⟩
15:31-38 error[invalid-value] `target` cannot be `/a/../b` ⟨expected an absolute path such as `/etc/app.conf`⟩ (`..` cannot stand in it)
"#);
}

#[test]
fn memory_has_a_unit_and_a_least() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, memory: 512 }
  b: { image: debian, memory: 32MiB }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:31-34 error[invalid-value] `memory` cannot be `512` ⟨expected a size such as `512MiB`⟩ (a bare number is bytes; did you mean `512MiB`?)
4:31-36 error[invalid-value] `memory` cannot be `32MiB` ⟨expected a size such as `512MiB`⟩ (a kernel needs at least 64MiB)
"#);
}

#[test]
fn one_of_several_keys() {
    let yaml = r#"name: t
images:
  none: {}
  both: { path: nestlab.yaml, url: "https://example.com/x" }
  bare: { url: "https://example.com/x" }
  ftp: { url: "ftp://example.com/x", sha256: 12 }
  sums: { path: nestlab.yaml, checksums: "https://example.com/SHA256SUMS" }
nodes:
  a:
    image: debian
    provision:
      - {}
      - { inline: x, script: setup.sh }
      - { inline: x, args: [y] }
    ready: { exec: "true", matches: x }
    files: [{ target: /x }]
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:3-7 error[missing-key] An image needs one of `recipe`, `path`, `url`, `oci` ⟨none of them is here⟩
4:31-34 error[exclusive-keys] `url` and `path` exclude each other ⟨expected one of `recipe`, `path`, `url`, `oci`⟩
5:11-14 error[missing-key] `url` needs `sha256` or `checksums` ⟨what the file must hash to⟩ (`sha256sum FILE` prints it)
6:15-36 error[invalid-value] `url` cannot be `ftp://example.com/x` ⟨expected an address that begins with `http://`, `https://`⟩
6:46-48 error[invalid-value] `sha256` cannot be `12` ⟨expected 64 hexadecimal digits⟩
7:31-40 error[exclusive-keys] `checksums` says nothing beside `path` (remove one of them)
12:9-11 error[missing-key] A provisioner needs one of `script`, `inline`, `file`, `ansible` ⟨none of them is here⟩
13:11-17 error[exclusive-keys] `inline` and `script` exclude each other ⟨expected one of `script`, `inline`, `file`, `ansible`⟩
14:22-26 error[exclusive-keys] `args` means nothing without `script`
15:28-35 error[exclusive-keys] `matches` means nothing without `http`
16:13-27 error[missing-key] A file needs one of `source`, `content` ⟨none of them is here⟩
"#);
}

#[test]
fn unknown_images_and_architectures() {
    let yaml = r#"name: t
images: { web: { recipe: { suite: bookworm } } }
nodes:
  a: { image: debain }
  b: { image: gentoo }
  c: { image: web, arch: aarch64 }
  d: { image: web, arch: aarch64, accel: kvm }
  e: { image: web, kind: container }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:15-21 error[unknown-image] Unknown image `debain` ⟨neither in `images:` nor built in⟩ (did you mean `debian`?)
5:15-21 error[unknown-image] Unknown image `gentoo` ⟨neither in `images:` nor built in⟩ (known images: `web`, `almalinux-8`, `almalinux-9`, `alpine-3.23`, `centos-10`, `centos-9`, `debian`, `debian-12`, `debian-13`, `fedora-43`, `fedora-44`, `hypervisor`, …)
6:26-33 error[foreign-architecture] This machine cannot run an aarch64 guest ⟨expected `x86_64`⟩
7:26-33 error[foreign-architecture] KVM cannot run an aarch64 guest on this machine ⟨expected `x86_64`⟩
"#);
}

#[test]
fn files_must_exist() {
    let yaml = r#"name: t
nodes:
  a:
    image: debian
    kernel: vmlinuz
    provision: [{ script: scripts/setpu.sh }, { script: folder }, { script: binary }]
    files: [{ source: folder, target: /x }, { source: ../nowhere, target: /y }]
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
5:13-20 error[missing-file] `kernel` names a file that does not exist ⟨no /lab/vmlinuz⟩ (a relative path starts at the folder of the lab file)
6:27-43 error[missing-file] `script` names a file that does not exist ⟨no /lab/scripts/setpu.sh⟩ (a relative path starts at the folder of the lab file)
6:57-63 error[missing-file] `script` names a folder ⟨expected a file⟩
6:77-83 error[unreadable-file] Cannot read the script /lab/binary ⟨It is not UTF-8 text⟩
7:55-65 error[missing-file] `source` names a file that does not exist ⟨no /lab/../nowhere⟩ (a relative path starts at the folder of the lab file)
"#);
}

#[test]
fn templates_name_what_is_there() {
    let yaml = r#"name: t
variables: { servers: 3, name: x, later: "{{ servers }}", wrong: "{{ nothing }}" }
nodes:
  web:
    count: "{{ servres }}"
    image: debian
    cpus: "{{ wrong }}"
    networks: []
    cmdline: "a {{ ip }} b"
    env: { A: "{{ .Names }}", B: "{{ later", C: "\\{{ .Names }}", D: "{{ later }}" }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
2:26-30 error[invalid-name] `name` cannot be a variable ⟨has a meaning of its own in every node⟩
2:66-82 error[template] Unknown variable `nothing` (known here: `later`, `servers`; add it to `variables`)
5:13-26 error[template] Unknown variable `servres` (did you mean `servers`?)
9:17-25 error[template] `{{ ip }}` has no value here (known here: `index`, `index0`, `later`, `name`, `servers`, `wrong`)
10:16-28 error[template] `{{ .Names }}` is not the name of a variable (only names can stand in a template; write `\{{` for a literal `{{`)
10:35-37 error[template] `{{` without `}}` (write `\{{` for a literal `{{`)
"#);
}

#[test]
fn overrides_name_variables() {
    let yaml = r#"name: t
variables: { servers: 3 }
nodes:
  a: { image: debian, count: "{{ servers }}" }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[("server", "5")]), @r#"
2:1-10 error[unknown-variable] The lab file has no variable `server` (did you mean `servers`?)
"#);
}

#[test]
fn overrides_have_the_type_of_the_key() {
    let yaml = r#"name: t
variables: { servers: 3 }
nodes:
  a: { image: debian, count: "{{ servers }}" }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[("servers", "many")]), @r#"
4:30-46 error[invalid-value] `count` cannot be `many` ⟨expected a whole number from 0 to 250⟩
"#);
}

#[test]
fn images_in_registries() {
    let yaml = r#"name: t
images:
  short: { oci: debian:12 }
  upper: { oci: Debian }
  sums: { oci: debian, sha256: "0000000000000000000000000000000000000000000000000000000000000000" }
  list: { oci: debian, checksums: "https://example.com/SHA256SUMS" }
  plain: { path: folder }
nodes:
  a: { image: "docker://debian:" }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
4:17-23 error[invalid-value] `oci` cannot be `Debian` ⟨expected an image in a registry such as `debian:12` or `ghcr.io/org/name:tag`⟩ ("Debian" is no repository: it has a-z and 0-9, with `.`, `_` or `-` between them)
5:24-30 error[exclusive-keys] `sha256` says nothing of `oci` (write it into the reference: `oci: NAME@sha256:…`)
6:24-33 error[exclusive-keys] `checksums` says nothing beside `oci` (remove one of them)
7:18-24 error[missing-file] `path` names a folder ⟨expected a file, or a folder with an OCI image layout⟩
9:15-34 error[invalid-value] `image` cannot be `docker://debian:` ⟨expected an image in a registry such as `docker://debian:12`⟩ ("" is no tag)
"#);
}

#[test]
fn references_become_images() {
    let yaml = r#"name: t
images: { named: { oci: ghcr.io/org/name:tag } }
nodes:
  a: { image: named }
  b: { image: "docker://debian:{{ version }}" }
  c: { image: "docker://debian:12" }
variables: { version: 12 }
"#;
    let lab = common::loaded(yaml, &[]).lab.unwrap();
    let addresses = lab.images.values().map(|spec| spec.unpinned().unwrap());
    insta::assert_snapshot!(addresses.collect::<Vec<_>>().join("\n"), @r#"
docker://docker.io/library/debian:12
docker://ghcr.io/org/name:tag
"#);
    let names: Vec<_> = lab
        .layer
        .nodes
        .iter()
        .map(|node| node.image.as_str())
        .collect();
    assert_eq!(names[1..], ["docker.io-library-debian-12"; 2]);
}

#[test]
fn a_firmware_starts_what_the_image_brings() {
    let yaml = r#"name: t
nodes:
  a: { image: debian, firmware: bios, cmdline: quiet }
  b: { image: debian, firmware: efi }
  c: { image: debian, firmware: direct, cmdline: quiet }
  d: { image: debian, kind: container, firmware: uefi }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r"
    3:39-46 error[exclusive-keys] `cmdline` means nothing to a machine that a firmware starts ⟨the image's boot loader chooses its kernel⟩ (leave it out, or write `firmware: direct`)
    4:33-36 error[invalid-value] `firmware` cannot be `efi` ⟨expected one of `auto`, `direct`, `bios`, `uefi`⟩ (did you mean `uefi`?)
    6:40-48 error[wrong-kind] `firmware` has a meaning for a virtual machine only ⟨not of this kind⟩ (leave it out, or drop `kind: container`)
    ");
}

#[test]
fn recipes_begin_with_packages_or_with_another_image() {
    let yaml = r#"name: t
images:
  early: { recipe: { from: late } }
  none: { recipe: {} }
  both: { recipe: { from: debian, suite: bookworm } }
  more: { recipe: { from: debian, packages: [curl] } }
  late: { recipe: { from: "docker://debian:12", commands: ["true"] } }
nodes:
  a: { image: late }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
3:28-32 error[unknown-image] Unknown image `late` ⟨neither above in `images:` nor built in⟩ (known images: `almalinux-8`, `almalinux-9`, `alpine-3.23`, `centos-10`, `centos-9`, `debian`, `debian-12`, `debian-13`, `fedora-43`, `fedora-44`, `hypervisor`, `rocky-8`, …)
4:11-17 error[missing-key] A recipe needs one of `suite`, `from` ⟨none of them is here⟩
5:21-25 error[exclusive-keys] `from` and `suite` exclude each other ⟨expected one of `suite`, `from`⟩
6:35-43 error[exclusive-keys] `packages` and `from` exclude each other (`commands` can install packages, if the other image has a way to)
"#);
    let sound = "name: t\nimages: { own: { recipe: { from: \"docker://debian:12\" } } }\n\
                 nodes: { a: { image: own } }\n";
    let lab = common::loaded(sound, &[]).lab.unwrap();
    let base = lab.images.values().next().and_then(|own| own.unpinned());
    let address = "docker://docker.io/library/debian:12";
    assert_eq!(base.as_deref(), Some(address));
}
