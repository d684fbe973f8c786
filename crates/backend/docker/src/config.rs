//! What a container is, as the Engine API says it. Pure.

use crate::image;
use nestlab_backend::places::{disk_inside, is_device};
use nestlab_backend::{ContainerSpec, MachineSpec};
use nestlab_sys::dir::short_name;
use serde_json::{Value, json};
use std::path::Path;

/// The first program of every container, as it finds it.
const INIT: &str = "/run/nestlab/kit/bin/nestlab-init";

/// Where it fetches its sockets.
const HAND: &str = "/run/nestlab/hand.sock";

/// What a layer inside needs for its bridges and taps.
const FOR_A_LAYER: &str = "NET_ADMIN";

/// Microseconds over which processor time is counted: the kernel's own default.
const PERIOD: u64 = 100_000;

/// Labels by which people, and we after a crash, find containers of ours.
pub(crate) const LAB: &str = "nestlab.lab";
pub(crate) const NODE: &str = "nestlab.node";
/// The image that was brought in for it.
pub(crate) const IMAGE: &str = "nestlab.image";
/// A short name of all that it was made with.
pub(crate) const MADE: &str = "nestlab.made";

/// What a container is called. No node has a dot in its name.
pub(crate) fn name(spec: &MachineSpec) -> String {
    let path = spec.path.to_string().replace('/', ".");
    format!("nestlab-{}-{path}", spec.lab_id)
}

/// What is asked of the engine, but for the image.
pub(crate) fn body(spec: &MachineSpec, container: &ContainerSpec, hand: &Path) -> Value {
    let mut body = json!({
        "Hostname": container.hostname,
        "User": "0:0",
        "WorkingDir": "/",
        "Entrypoint": [INIT],
        "Cmd": ["__container", marker(spec)],
        "Env": [
            "container=nestlab",
            format!("NESTLAB_HAND={HAND}"),
            "HOME=/root",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools",
        ],
        "StopSignal": "SIGTERM",
        "HostConfig": host(spec, container, hand),
    });
    let made = short_name(&[&body.to_string()]);
    body["Labels"] = json!({
        LAB: spec.lab_id,
        NODE: spec.path.to_string(),
        IMAGE: image::reference(&container.image),
        MADE: made,
    });
    body
}

/// By what a process of ours is told from others.
pub(crate) fn marker(spec: &MachineSpec) -> String {
    format!("nestlab:{}:{}", spec.lab_id, spec.path)
}

fn host(spec: &MachineSpec, container: &ContainerSpec, hand: &Path) -> Value {
    let memory = spec.memory.as_bytes();
    let mut host = json!({
        // Its interfaces are put into it from outside.
        "NetworkMode": "none",
        "Memory": memory,
        "MemorySwap": memory,
        // Not `NanoCpus`: an engine refuses more than this level has.
        "CpuPeriod": PERIOD,
        "CpuQuota": PERIOD * u64::from(spec.cpus),
        "PidsLimit": container.pids,
        "CapAdd": capabilities(container),
        "Devices": devices(spec, container),
        "Mounts": mounts(spec, container, hand),
        "Tmpfs": { "/run": "rw,nosuid,nodev,mode=755" },
        "RestartPolicy": { "Name": "no" },
        // What its first program says before it has its console.
        "LogConfig": { "Type": "json-file", "Config": { "max-size": "64k" } },
    });
    if container.holds_layer {
        host["Sysctls"] = json!({ "net.ipv4.ip_forward": "1" });
    }
    host
}

fn capabilities(container: &ContainerSpec) -> Vec<&str> {
    let for_layer = container.holds_layer.then_some(FOR_A_LAYER);
    let own = container.capabilities.iter().map(String::as_str);
    let mut all: Vec<&str> = own.chain(for_layer).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn devices(spec: &MachineSpec, container: &ContainerSpec) -> Value {
    let device = |from: &Path, to: &str, access: &str| json!({ "PathOnHost": from, "PathInContainer": to, "CgroupPermissions": access });
    let own = container
        .devices
        .iter()
        .map(|path| device(Path::new(path), path, "rwm"));
    let disks = spec.disks.iter().filter(|disk| is_device(disk));
    let disks = disks.map(|disk| device(&disk.path, &disk_inside(disk), "r"));
    own.chain(disks).collect()
}

fn mounts(spec: &MachineSpec, container: &ContainerSpec, hand: &Path) -> Value {
    let bind = |from: &Path, to: &str, read_only: bool| json!({ "Type": "bind", "Source": from, "Target": to, "ReadOnly": read_only });
    let own = [
        bind(&container.kit, "/run/nestlab/kit", true),
        bind(hand, HAND, true),
    ];
    let disks = spec.disks.iter().filter(|disk| !is_device(disk));
    let disks = disks.map(|disk| bind(&disk.path, &disk_inside(disk), true));
    let volumes = container.volumes.iter();
    let volumes = volumes.map(|volume| bind(&volume.source, &volume.target, volume.read_only));
    own.into_iter().chain(disks).chain(volumes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_backend::{Disk, DiskFormat, Lower, Start};
    use nestlab_model::{Accelerator, ByteSize, IoLimits, Volume};

    fn spec(path: &str) -> MachineSpec {
        MachineSpec {
            lab_id: "0a1b2c3d".into(),
            path: path.parse().unwrap(),
            run_dir: "/run/n/box".into(),
            cpus: 2,
            memory: ByteSize::mib(64),
            accelerator: Accelerator::Container,
            nested: false,
            balloon: false,
            boot: Start::Container(Box::new(ContainerSpec {
                root: Lower::Disk("/dev/vdb".into()),
                image: "debian:0a1b2c3d4e5f".into(),
                folder: "/s/box".into(),
                kit: "/s/kit".into(),
                hostname: "box".into(),
                ids: None,
                pids: 100,
                io: IoLimits::default(),
                devices: vec!["/dev/kvm".into()],
                capabilities: vec!["SYS_PTRACE".into()],
                volumes: vec![Volume {
                    source: "/data".into(),
                    target: "/srv".into(),
                    read_only: true,
                }],
                holds_layer: true,
                inner_roots: Vec::new(),
            })),
            disks: ["/dev/vdc", "/s/kit.img"]
                .map(|path| Disk {
                    serial: format!("s-{}", path.len()),
                    path: path.into(),
                    format: DiskFormat::Raw,
                    read_only: true,
                })
                .to_vec(),
            nics: Vec::new(),
            memory_file: None,
        }
    }

    #[test]
    fn a_container_is_asked_for_as_the_spec_says() {
        let spec = spec("vm/box");
        let body = body(&spec, spec.boot.container().unwrap(), Path::new("/r/hand"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
{
  "Cmd": [
    "__container",
    "nestlab:0a1b2c3d:vm/box"
  ],
  "Entrypoint": [
    "/run/nestlab/kit/bin/nestlab-init"
  ],
  "Env": [
    "container=nestlab",
    "NESTLAB_HAND=/run/nestlab/hand.sock",
    "HOME=/root",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools"
  ],
  "HostConfig": {
    "CapAdd": [
      "NET_ADMIN",
      "SYS_PTRACE"
    ],
    "CpuPeriod": 100000,
    "CpuQuota": 200000,
    "Devices": [
      {
        "CgroupPermissions": "rwm",
        "PathInContainer": "/dev/kvm",
        "PathOnHost": "/dev/kvm"
      },
      {
        "CgroupPermissions": "r",
        "PathInContainer": "/dev/nestlab/s-8",
        "PathOnHost": "/dev/vdc"
      }
    ],
    "LogConfig": {
      "Config": {
        "max-size": "64k"
      },
      "Type": "json-file"
    },
    "Memory": 67108864,
    "MemorySwap": 67108864,
    "Mounts": [
      {
        "ReadOnly": true,
        "Source": "/s/kit",
        "Target": "/run/nestlab/kit",
        "Type": "bind"
      },
      {
        "ReadOnly": true,
        "Source": "/r/hand",
        "Target": "/run/nestlab/hand.sock",
        "Type": "bind"
      },
      {
        "ReadOnly": true,
        "Source": "/s/kit.img",
        "Target": "/run/nestlab/disks/s-10",
        "Type": "bind"
      },
      {
        "ReadOnly": true,
        "Source": "/data",
        "Target": "/srv",
        "Type": "bind"
      }
    ],
    "NetworkMode": "none",
    "PidsLimit": 100,
    "RestartPolicy": {
      "Name": "no"
    },
    "Sysctls": {
      "net.ipv4.ip_forward": "1"
    },
    "Tmpfs": {
      "/run": "rw,nosuid,nodev,mode=755"
    }
  },
  "Hostname": "box",
  "Labels": {
    "nestlab.image": "nestlab/debian:0a1b2c3d4e5f",
    "nestlab.lab": "0a1b2c3d",
    "nestlab.made": "731707f46775",
    "nestlab.node": "vm/box"
  },
  "StopSignal": "SIGTERM",
  "User": "0:0",
  "WorkingDir": "/"
}
"#);
    }

    #[test]
    fn every_container_has_a_name_of_its_own() {
        let named = |path: &str| name(&spec(path));
        assert_eq!(named("vm/box"), "nestlab-0a1b2c3d-vm.box");
        assert_ne!(named("vm-box"), named("vm/box"));
    }

    #[test]
    fn what_it_is_made_with_has_a_name() {
        let made = |spec: &MachineSpec| {
            let body = body(spec, spec.boot.container().unwrap(), Path::new("/r/hand"));
            body["Labels"][MADE].clone()
        };
        let one = spec("box");
        assert_eq!(made(&one), made(&one.clone()));
        let more = MachineSpec {
            cpus: 3,
            ..one.clone()
        };
        assert_ne!(made(&one), made(&more));
    }
}
