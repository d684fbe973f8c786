//! The provider `libvirt`, whose options are nearest to our own.

use super::{At, Hardware, cpus, memory, size};
use crate::report::Problem;
use crate::vagrant::datum::{Datum, Event, Log, What};
use crate::vagrant::notes::Notes;

const GROUP: &str = "provider `libvirt`";

/// Options and methods that it has and we have no use for: how libvirt is reached, what is
/// drawn on a screen, models of devices that are always virtio here.
const IGNORED: &[&str] = &[
    "autostart",
    "boot_order",
    "channel",
    "channels",
    "clock_offset",
    "clock_timer",
    "clock_timers",
    "cpu_affinity",
    "cpu_fallback",
    "cpu_feature",
    "cpu_features",
    "cpu_mode",
    "cpu_model",
    "cpuaffinitiy",
    "cpuset",
    "cdroms",
    "connect_via_ssh",
    "default_prefix",
    "description",
    "disk_address_type",
    "disk_bus",
    "disk_controller_model",
    "disk_device",
    "disk_driver",
    "disk_driver_opts",
    "disks",
    "dtb",
    "emulator_path",
    "features",
    "features_hyperv",
    "floppies",
    "forward_ssh_port",
    "graphics_autoport",
    "graphics_gl",
    "graphics_ip",
    "graphics_passwd",
    "graphics_port",
    "graphics_type",
    "graphics_websocket",
    "host",
    "host_device_exclude_prefixes",
    "hyperv_feature",
    "id_ssh_key_file",
    "input",
    "inputs",
    "keymap",
    "kvm_hidden",
    "launchsecurity",
    "launchsecurity_data",
    "loader",
    "machine_arch",
    "machine_type",
    "management_network_address",
    "management_network_autostart",
    "management_network_device",
    "management_network_domain",
    "management_network_driver_iommu",
    "management_network_guest_ipv6",
    "management_network_keep",
    "management_network_mac",
    "management_network_mode",
    "management_network_mtu",
    "management_network_name",
    "management_network_pci_bus",
    "management_network_pci_slot",
    "memballoon_enabled",
    "memballoon_model",
    "memballoon_pci_bus",
    "memballoon_pci_slot",
    "memory_backing",
    "memorybacking",
    "memtune",
    "memtunes",
    "mgmt_attach",
    "nic_adapter_count",
    "nic_model_type",
    "nodeset",
    "numa_nodes",
    "nvram",
    "nvram_template",
    "password",
    "port",
    "proxy_command",
    "qemu_args",
    "qemu_env",
    "qemu_use_agent",
    "qemu_use_session",
    "qemuargs",
    "qemuenv",
    "random",
    "random_hostname",
    "redirdev",
    "redirdevs",
    "redirfilter",
    "redirfilters",
    "rng",
    "serial",
    "serials",
    "shares",
    "smartcard",
    "smartcard_dev",
    "snapshot_pool_name",
    "socket",
    "sound_type",
    "storage_pool_name",
    "storage_pool_path",
    "suspend_mode",
    "sysinfo",
    "system_uri",
    "title",
    "tpm_model",
    "tpm_path",
    "tpm_type",
    "tpm_version",
    "uri",
    "usb_controller",
    "usbctl_dev",
    "username",
    "uuid",
    "video_accel3d",
    "video_type",
    "video_vram",
    "volume_cache",
    "watchdog",
    "watchdog_dev",
];

const MEANT: [&str; 12] = [
    "boot",
    "cmd_line",
    "cpu_topology",
    "cpus",
    "cputopology",
    "driver",
    "initrd",
    "kernel",
    "machine_virtual_size",
    "memory",
    "nested",
    "storage",
];

pub(super) fn read(hardware: &mut Hardware, log: &Log, notes: &mut Notes<'_>) {
    let mut topology = None;
    for event in &log.events {
        let mark = event.mark;
        match (event.name.as_str(), &event.what) {
            ("memory", What::Set(value)) => hardware.memory = memory(value, event, notes),
            ("cpus", What::Set(value)) => hardware.cpus = cpus(value, event, notes),
            ("cputopology", What::Call(args)) => topology = product(args, event, notes),
            ("nested", What::Set(value)) => hardware.nested = value.is_true().then_some(mark),
            ("driver", What::Set(value)) => {
                hardware.emulated = (value.show() == "qemu").then_some(mark);
            }
            ("machine_virtual_size", What::Set(value)) => {
                hardware.disk = size(value, "GiB", event, notes).map(|size| (size, mark));
            }
            ("storage", What::Call(args)) => storage(hardware, args, event, notes),
            ("kernel", What::Set(value)) => hardware.kernel = text(value, event),
            ("initrd", What::Set(value)) => hardware.initrd = text(value, event),
            ("cmd_line", What::Set(value)) => hardware.cmdline = text(value, event),
            ("boot", What::Call(args)) => boot(args, event, notes),
            ("uri" | "host", What::Set(value)) => reached(&value.show(), event, notes),
            ("connect_uri", What::Set(value)) => {
                let problem = Problem::warning(
                    "vagrant-option",
                    mark,
                    "`libvirt.connect_uri` is not an option of vagrant-libvirt; taken as `uri`",
                );
                let hint = "write `libvirt.uri`: Vagrant itself refuses the file as it is";
                notes.report.add(problem.hint(hint));
                reached(&value.show(), event, notes);
            }
            ("pci" | "pcis" | "usb" | "usbs", _) => {
                let message = "Devices of this machine cannot be given to a node";
                let hint = "remove it, or keep this machine with Vagrant";
                notes.error("vagrant-unsupported", mark, message, hint);
            }
            (name, _) if IGNORED.contains(&name) => notes.ignore(GROUP, name, mark),
            (name, _) => {
                let known = MEANT.iter().chain(IGNORED).copied();
                notes.unknown("libvirt", name, mark, known);
            }
        }
    }
    if hardware.cpus.is_none() {
        hardware.cpus = topology;
    }
}

fn text(value: &Datum, event: &Event) -> At<String> {
    value.is_true().then(|| (value.show(), event.mark))
}

/// `sockets: "2", cores: "2", threads: "1"`.
fn product(args: &[Datum], event: &Event, notes: &mut Notes<'_>) -> At<String> {
    let options = args.last()?;
    let mut product: i64 = 1;
    for key in ["sockets", "cores", "threads"] {
        let Some(value) = options.get(key) else {
            continue;
        };
        let Some(count) = value.integer().filter(|count| (1..=1024).contains(count)) else {
            let message = format!("`{key}` cannot be `{}`", value.show());
            notes.error("vagrant-value", event.mark, message, "give a whole number");
            return None;
        };
        product = product.saturating_mul(count);
    }
    Some((product.to_string(), event.mark))
}

/// `storage :file, size: "20G", device: "vdb"`.
fn storage(hardware: &mut Hardware, args: &[Datum], event: &Event, notes: &mut Notes<'_>) {
    let options = args.last().cloned().unwrap_or(Datum::Nil);
    let get = |name: &str| options.get(name).map(Datum::show);
    if matches!(get("device").as_deref(), Some("cdrom" | "floppy")) {
        let message = "CD-ROMs and floppies cannot be put into a node";
        let hint = "copy what is on it with `synced_folder` or a `file` provisioner";
        notes.error("vagrant-unsupported", event.mark, message, hint);
        return;
    }
    let size = match options.get("size") {
        Some(value) => size(value, "GiB", event, notes),
        None => Some("10GiB".to_owned()),
    };
    if let Some(size) = size {
        hardware.disks.push((get("device"), size, event.mark));
    }
    for key in options.entries().iter().map(|(key, _)| key.show()) {
        if !["size", "device", "type", "bus"].contains(&key.as_str()) {
            notes.ignore("`libvirt.storage`", &key, event.mark);
        }
    }
}

/// What a machine starts from is its disk.
fn boot(args: &[Datum], event: &Event, notes: &mut Notes<'_>) {
    let device = args.first().map(Datum::show).unwrap_or_default();
    let network = args.first().is_some_and(|arg| arg.get("network").is_some());
    if device == "network" || network {
        let message = "Nodes do not start from the network";
        let hint = "give the machine a box, and leave `boot` out";
        notes.error("vagrant-unsupported", event.mark, message, hint);
    } else {
        notes.ignore(GROUP, "boot", event.mark);
    }
}

/// Another machine's libvirt is not for us to use.
fn reached(uri: &str, event: &Event, notes: &mut Notes<'_>) {
    let local = uri.is_empty() || uri.ends_with(":///system") || uri.ends_with(":///session");
    let local = local || ["localhost", "127.0.0.1"].contains(&uri);
    if local {
        if event.name != "connect_uri" {
            notes.ignore(GROUP, &event.name, event.mark);
        }
        return;
    }
    let message = format!(
        "`{}` names another machine: nodes run on this one",
        event.name
    );
    let hint = "run `nestlab` over there instead";
    notes.warn("vagrant-remote", event.mark, message, hint);
}
