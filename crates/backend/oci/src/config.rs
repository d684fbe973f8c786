//! What a container is, as the OCI runtime specification says it. Pure.

use crate::disk::Throttle;
use crate::stage::{self, Part};
use nestlab_backend::places::{LAYER_INSIDE, ROOTS_INSIDE, disk_inside};
use nestlab_backend::{ContainerSpec, Ids, MachineSpec};
use serde_json::{Value, json};
use std::path::Path;

/// The first program of every container, as it finds it.
const INIT: &str = "/run/nestlab/kit/bin/nestlab-init";

/// What Docker grants to root in a container (its documentation, "Runtime privilege and
/// Linux capabilities").
const CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// What a layer inside needs for its bridges and taps. It is root of the container's
/// own network only.
const FOR_A_LAYER: &str = "NET_ADMIN";

/// With it a container may do what [`FOR_ADMINISTRATORS`] holds. It needs that for containers
/// inside it, and is root of its own mounts and namespaces only.
const ADMINISTRATOR: &str = "SYS_ADMIN";

/// What Docker's documentation ("Seccomp security profiles for Docker") says its default
/// profile blocks, with what has been added to Linux since.
const BLOCKED: [&str; 30] = [
    "acct",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "lookup_dcookie",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "query_module",
    "quotactl",
    "reboot",
    "settimeofday",
    "swapoff",
    "swapon",
    "uselib",
    "userfaultfd",
    "vm86",
];

/// The same, but for containers that have [`ADMINISTRATOR`].
const FOR_ADMINISTRATORS: [&str; 11] = [
    "fsconfig",
    "fsmount",
    "fsopen",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount2",
    "unshare",
];

/// The flags of clone(2) that make namespaces.
const NEW_NAMESPACES: [u64; 7] = [
    0x0200_0000,
    0x0002_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];

/// Keyrings are the same for all who are the same user outside. Runtimes go on without them
/// where the kernel has none.
const KEYRINGS: [&str; 3] = ["add_key", "keyctl", "request_key"];

/// EPERM.
const NOT_PERMITTED: u32 = 1;

/// ENOSYS.
const NO_SUCH_CALL: u32 = 38;

/// Microseconds over which processor time is counted: the kernel's own default.
const PERIOD: u64 = 100_000;

/// Paths of /proc and /sys that show or change what is not the container's own.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What may be done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Powers {
    /// Limits can be set: there are control groups of ours.
    pub limits: bool,
    /// A container can be given its group, to make others in it: version 2 of control groups.
    pub delegation: bool,
    /// More users than one can be had.
    pub users: bool,
}

/// The configuration of a container whose parts lie on a stage.
pub(crate) fn config(
    spec: &MachineSpec,
    container: &ContainerSpec,
    powers: Powers,
    throttle: Option<Throttle>,
    stage: &Path,
) -> Value {
    let capabilities = capabilities(container);
    let mut config = json!({
        "ociVersion": "1.0.2",
        "hostname": container.hostname,
        "root": { "path": Part::Root.on(stage) },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [INIT, "__container", format!("nestlab:{}:{}", spec.lab_id, spec.path)],
            "env": [
                "container=nestlab",
                "HOME=/root",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools",
            ],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
        },
        "mounts": mounts(spec, container, powers, stage),
        "linux": {
            "namespaces": namespaces(container.ids),
            "seccomp": seccomp(container),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    });
    let linux = &mut config["linux"];
    if let Some(ids) = container.ids {
        let map = json!([{ "containerID": 0, "hostID": ids.first, "size": ids.count }]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    if container.holds_layer {
        linux["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    }
    if powers.limits {
        linux["cgroupsPath"] = json!(cgroup(spec));
        linux["resources"] = resources(spec, container);
        if let Some(throttle) = throttle {
            linux["resources"]["blockIO"] = throttle.told();
        }
    }
    config
}

/// Names the container to its runtime, and its control group.
pub(crate) fn cgroup(spec: &MachineSpec) -> String {
    format!("/{}", id(spec))
}

/// As [`cgroup`].
pub(crate) fn id(spec: &MachineSpec) -> String {
    let path = spec.path.to_string();
    let short = nestlab_sys::dir::short_name(&[&path]);
    format!("nestlab-{}-{short}", spec.lab_id)
}

fn capabilities(container: &ContainerSpec) -> Vec<String> {
    let for_layer = container.holds_layer.then_some(FOR_A_LAYER);
    let for_containers = holds_containers(container).then_some(ADMINISTRATOR);
    let own = CAPABILITIES.iter().copied();
    let own = own.chain(for_layer).chain(for_containers);
    let mut all: Vec<String> = own
        .chain(container.capabilities.iter().map(String::as_str))
        .map(|name| format!("CAP_{name}"))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Whether containers shall stand directly inside it.
pub(crate) fn holds_containers(container: &ContainerSpec) -> bool {
    !container.inner_roots.is_empty()
}

fn namespaces(ids: Option<Ids>) -> Value {
    let always = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let user = ids.map(|_| "user");
    let kinds = always.into_iter().chain(user);
    kinds.map(|kind| json!({ "type": kind })).collect()
}

fn mounts(spec: &MachineSpec, container: &ContainerSpec, powers: Powers, stage: &Path) -> Value {
    let terminals = match powers.users {
        true => "gid=5,mode=0620",
        false => "mode=0620",
    };
    let own = |target: &str, kind: &str, options: &str| {
        let options: Vec<&str> = options.split(',').collect();
        json!({ "destination": target, "type": kind, "source": kind, "options": options })
    };
    let mut all = vec![
        own("/proc", "proc", "nosuid,noexec,nodev"),
        own("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
        own(
            "/dev/pts",
            "devpts",
            &format!("nosuid,noexec,newinstance,ptmxmode=0666,{terminals}"),
        ),
        own(
            "/dev/shm",
            "tmpfs",
            "nosuid,noexec,nodev,mode=1777,size=65536k",
        ),
        own("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
        own("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
        own("/run", "tmpfs", "nosuid,nodev,mode=755"),
    ];
    let holds_containers = holds_containers(container);
    // A runtime inside it starts none where it sees no groups at all.
    if powers.limits || holds_containers {
        let access = match holds_containers && powers.delegation {
            true => "rw",
            false => "ro",
        };
        let options = format!("nosuid,noexec,nodev,relatime,{access}");
        all.push(own("/sys/fs/cgroup", "cgroup", &options));
    }
    // What is only to be read is mounted so on the stage already.
    let mut bind = |from: Part, target: &str| {
        all.push(json!({
            "destination": target, "type": "none", "source": from.on(stage), "options": ["rbind"],
        }));
    };
    bind(Part::Kit, "/run/nestlab/kit");
    if container.holds_layer {
        bind(Part::Layer, LAYER_INSIDE);
    }
    for (number, root) in container.inner_roots.iter().enumerate() {
        let target = format!("{ROOTS_INSIDE}/{}", root.serial);
        bind(Part::InnerRoot(number), &target);
    }
    for (number, disk) in spec.disks.iter().enumerate() {
        bind(Part::Disk(number), &disk_inside(disk));
    }
    for (number, device) in container.devices.iter().enumerate() {
        bind(Part::Device(number), device);
    }
    for (number, volume) in container.volumes.iter().enumerate() {
        bind(Part::Volume(number), &volume.target);
    }
    Value::Array(all)
}

fn resources(spec: &MachineSpec, container: &ContainerSpec) -> Value {
    let memory = spec.memory.as_bytes();
    let mut devices = vec![json!({ "allow": false, "access": "rwm" })];
    let numbers = container
        .devices
        .iter()
        .filter_map(|device| stage::numbers(device));
    devices.extend(numbers.map(|(major, minor)| {
        json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" })
    }));
    if !spec.disks.is_empty() {
        devices.push(json!({ "allow": true, "type": "b", "access": "r" }));
    }
    json!({
        "memory": { "limit": memory },
        "cpu": { "period": PERIOD, "quota": PERIOD * u64::from(spec.cpus) },
        "pids": { "limit": container.pids },
        "devices": devices,
    })
}

/// Whether its root may mount and make namespaces.
pub(crate) fn administers(container: &ContainerSpec) -> bool {
    let mut added = container.capabilities.iter();
    holds_containers(container) || added.any(|name| name == ADMINISTRATOR)
}

fn refuse(calls: &[&str], error: u32) -> Value {
    json!({ "names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": error })
}

fn seccomp(container: &ContainerSpec) -> Value {
    let mut calls = vec![
        refuse(&BLOCKED, NOT_PERMITTED),
        refuse(&KEYRINGS, NO_SUCH_CALL),
    ];
    if !administers(container) {
        calls.push(refuse(&FOR_ADMINISTRATORS, NOT_PERMITTED));
        // A C library falls back to clone(2), whose flags can be looked at.
        calls.push(refuse(&["clone3"], NO_SUCH_CALL));
        calls.extend(NEW_NAMESPACES.map(|flag| {
            json!({
                "names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [{ "index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ" }],
            })
        }));
    }
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls })
}

/// The configuration of a container that holds one program and has it tell its version: with
/// all that is asked of a runtime for any container.
pub(crate) fn trial(root: &Path, program: &Path, powers: Powers) -> Value {
    const PROGRAM: &str = "/program";
    let mut linux = json!({
        "namespaces": namespaces(None),
        "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            refuse(&BLOCKED, NOT_PERMITTED),
        ] },
    });
    if powers.limits {
        linux["resources"] = json!({
            "memory": { "limit": 64 << 20 },
            "cpu": { "period": PERIOD, "quota": PERIOD },
            "pids": { "limit": 64 },
        });
    }
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": root },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [PROGRAM, "--version"],
            "cwd": "/",
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            // crun makes none itself.
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            { "destination": PROGRAM, "type": "none", "source": program, "options": ["rbind", "ro"] },
        ],
        "linux": linux,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nestlab_backend::{InnerRoot, Lower, Start};
    use nestlab_model::{Accelerator, ByteSize, IoLimits, Volume};

    fn spec() -> MachineSpec {
        MachineSpec {
            lab_id: "0a1b2c3d".into(),
            path: "box".parse().unwrap(),
            run_dir: "/run/n/0a1b2c3d/box".into(),
            cpus: 2,
            memory: ByteSize::mib(64),
            accelerator: Accelerator::Container,
            nested: false,
            balloon: false,
            boot: Start::Container(Box::new(ContainerSpec {
                root: Lower::Folder("/s/tree".into()),
                image: String::new(),
                folder: "/s/box".into(),
                kit: "/s/kit".into(),
                hostname: "box".into(),
                ids: Some(Ids {
                    first: 600_000,
                    count: 65_536,
                }),
                pids: 100,
                devices: vec!["/dev/null".into()],
                capabilities: vec!["NET_ADMIN".into()],
                volumes: vec![Volume {
                    source: "/data".into(),
                    target: "/srv".into(),
                    read_only: true,
                }],
                io: IoLimits::default(),
                holds_layer: false,
                inner_roots: Vec::new(),
            })),
            disks: Vec::new(),
            nics: Vec::new(),
            memory_file: None,
        }
    }

    fn configured(powers: Powers) -> Value {
        let spec = spec();
        config(
            &spec,
            spec.boot.container().unwrap(),
            powers,
            None,
            Path::new("/mnt"),
        )
    }

    const ALL: Powers = Powers {
        limits: true,
        delegation: true,
        users: true,
    };

    #[test]
    fn limits_and_users_are_those_of_the_spec() {
        let linux = &configured(ALL)["linux"];
        assert_eq!(linux["resources"]["memory"]["limit"], 64 << 20);
        assert_eq!(linux["resources"]["cpu"]["quota"], 200_000);
        assert_eq!(linux["resources"]["pids"]["limit"], 100);
        assert_eq!(linux["uidMappings"][0]["hostID"], 600_000);
        assert_eq!(linux["resources"]["devices"][0]["allow"], false);
        assert_eq!(linux["resources"]["devices"][1]["minor"], 3);
    }

    #[test]
    fn who_has_no_groups_sets_no_limits() {
        let none = Powers {
            limits: false,
            delegation: false,
            users: false,
        };
        let linux = &configured(none)["linux"];
        assert!(linux["resources"].is_null() && linux["cgroupsPath"].is_null());
    }

    #[test]
    fn capabilities_are_added_and_the_machine_stays_closed() {
        let config = configured(ALL);
        let has = |name: &str| {
            let all = config["process"]["capabilities"]["bounding"]
                .as_array()
                .unwrap();
            all.iter().any(|one| one == name)
        };
        assert!(has("CAP_NET_ADMIN") && has("CAP_CHOWN") && !has("CAP_SYS_ADMIN"));
        let text = config["linux"]["seccomp"].to_string();
        for call in [
            "\"mount\"",
            "\"unshare\"",
            "\"kexec_load\"",
            "\"open_by_handle_at\"",
        ] {
            assert!(text.contains(call), "{call}");
        }
    }

    #[test]
    fn who_holds_containers_may_do_what_that_takes() {
        let mut spec = spec();
        let Start::Container(container) = &mut spec.boot else {
            unreachable!()
        };
        container.inner_roots.push(InnerRoot {
            serial: "img-1".into(),
            lower: Lower::Disk("/dev/vdb".into()),
        });
        let made = config(
            &spec,
            spec.boot.container().unwrap(),
            ALL,
            None,
            Path::new("/mnt"),
        );
        let capabilities = made["process"]["capabilities"].to_string();
        assert!(capabilities.contains("\"CAP_SYS_ADMIN\""));
        let calls = made["linux"]["seccomp"].to_string();
        assert!(!calls.contains("\"mount\"") && calls.contains("\"kexec_load\""));
        let mount = |target: &str| {
            let all = made["mounts"].as_array().unwrap();
            let found = all.iter().find(|mount| mount["destination"] == target);
            found.unwrap()["options"].to_string()
        };
        assert!(mount("/sys/fs/cgroup").contains("\"rw\""));
        assert!(mount("/run/nestlab/roots/img-1").contains("rbind"));
    }

    #[test]
    fn every_container_has_a_name_of_its_own() {
        let other = MachineSpec {
            path: "bay".parse().unwrap(),
            ..spec()
        };
        assert_ne!(id(&spec()), id(&other));
        assert!(id(&spec()).starts_with("nestlab-0a1b2c3d-"));
    }
}
