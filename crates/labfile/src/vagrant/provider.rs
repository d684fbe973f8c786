//! What providers say about the hardware of a machine. All kinds of virtual machines mean our
//! own; Docker means containers.

mod docker;
mod libvirt;
mod virtualbox;
mod vmware;

pub(super) use docker::Container;
pub(super) use virtualbox::customizations;

use super::datum::{Datum, Event, Log, What};
use super::machine::Machine;
use super::notes::Notes;
use crate::report::Mark;

/// Providers of virtual machines.
pub(super) const MACHINES: [&str; 13] = [
    "libvirt",
    "virtualbox",
    "vmware_desktop",
    "vmware_fusion",
    "vmware_workstation",
    "parallels",
    "hyperv",
    "qemu",
    "utm",
    "kvm",
    "veertu",
    "cloud_hypervisor",
    "bhyve",
];

/// Whether a provider's blocks mean something here.
pub(super) fn is_known(provider: &str) -> bool {
    MACHINES.contains(&provider) || provider == "docker"
}

/// A value and where it was said.
pub(super) type At<T> = Option<(T, Mark)>;

/// What a machine is made of, as far as it was said.
#[derive(Debug, Default)]
pub(super) struct Hardware {
    pub cpus: At<String>,
    /// As the lab file has it, such as `1024MiB`.
    pub memory: At<String>,
    pub disk: At<String>,
    /// Names and sizes.
    pub disks: Vec<(Option<String>, String, Mark)>,
    pub nested: Option<Mark>,
    /// No accelerator.
    pub emulated: Option<Mark>,
    pub kernel: At<String>,
    pub initrd: At<String>,
    pub cmdline: At<String>,
    pub container: Option<Container>,
}

impl Hardware {
    /// Reads what the machine's provider said; what it left open, another one may have said.
    pub fn of(machine: &Machine, notes: &mut Notes<'_>) -> Self {
        let mut hardware = Self::default();
        hardware.read(&machine.provider, &machine.hardware, notes);
        if let Some((provider, log)) = &machine.fallback {
            hardware.read(provider, log, notes);
        }
        hardware
    }

    fn read(&mut self, provider: &str, log: &Log, notes: &mut Notes<'_>) {
        match provider {
            "docker" => self.container = Some(Container::read(log, notes)),
            "libvirt" | "kvm" => libvirt::read(self, log, notes),
            "virtualbox" => virtualbox::read(self, log, notes),
            "vmware_desktop" | "vmware_fusion" | "vmware_workstation" => {
                vmware::read(self, log, notes);
            }
            other => plain(self, other, log, notes),
        }
    }
}

/// Providers that call it `memory` and `cpus`, and nothing else of interest.
fn plain(hardware: &mut Hardware, provider: &str, log: &Log, notes: &mut Notes<'_>) {
    for event in &log.events {
        match (event.name.as_str(), &event.what) {
            ("memory" | "maxmemory", What::Set(value)) => {
                if event.name == "memory" || hardware.memory.is_none() {
                    hardware.memory = memory(value, event, notes);
                }
            }
            ("cpus", What::Set(value)) => hardware.cpus = cpus(value, event, notes),
            ("smp", What::Set(value)) => smp(hardware, value, event, notes),
            ("enable_virtualization_extensions", What::Set(value)) => {
                hardware.nested = value.is_true().then_some(event.mark);
            }
            ("customize", What::Call(args)) => prlctl(hardware, args, event, notes),
            (name, _) => notes.ignore(&format!("provider `{provider}`"), name, event.mark),
        }
    }
}

/// QEMU's own way to say it: `2` or `cpus=2,sockets=1`.
fn smp(hardware: &mut Hardware, value: &Datum, event: &Event, notes: &mut Notes<'_>) {
    let text = value.show();
    let first = text.split(',').next().unwrap_or("");
    let count = first.strip_prefix("cpus=").unwrap_or(first);
    hardware.cpus = cpus(&Datum::text(count), event, notes);
}

/// Parallels: `["set", :id, "--memsize", "1024"]`.
fn prlctl(hardware: &mut Hardware, args: &[Datum], event: &Event, notes: &mut Notes<'_>) {
    let words: Vec<&Datum> = args.iter().flat_map(Datum::items).collect();
    for pair in words.windows(2) {
        match pair[0].show().as_str() {
            "--memsize" => hardware.memory = memory(pair[1], event, notes),
            "--cpus" => hardware.cpus = cpus(pair[1], event, notes),
            "--nested-virt" if pair[1].show() == "on" => hardware.nested = Some(event.mark),
            word if word.starts_with("--") => {
                notes.ignore("Parallels' commands", word, event.mark);
            }
            _ => {}
        }
    }
}

/// Memory in MiB, or with a unit behind it.
fn memory(value: &Datum, event: &Event, notes: &mut Notes<'_>) -> At<String> {
    size(value, "MiB", event, notes).map(|size| (size, event.mark))
}

fn cpus(value: &Datum, event: &Event, notes: &mut Notes<'_>) -> At<String> {
    if *value == Datum::Nil {
        return None;
    }
    match value.integer() {
        Some(count) => Some((count.to_string(), event.mark)),
        None => {
            let message = format!("`{}` cannot be `{}`", event.name, value.show());
            notes.error("vagrant-value", event.mark, message, "give a whole number");
            None
        }
    }
}

/// A size as the lab file has it. A bare number counts in `unit`.
fn size(value: &Datum, unit: &str, event: &Event, notes: &mut Notes<'_>) -> Option<String> {
    match value {
        Datum::Nil => return None,
        Datum::Int(number) if *number > 0 => return Some(format!("{number}{unit}")),
        Datum::Float(number) if *number >= 1.0 => return Some(format!("{number:.0}{unit}")),
        Datum::Text(text) | Datum::Symbol(text) => {
            if let Some(size) = size_of(text, unit) {
                return Some(size);
            }
        }
        _ => {}
    }
    let message = format!("`{}` cannot be `{}`", event.name, value.show());
    let hint = format!("give a number of {unit}, or a size such as \"20G\"");
    notes.error("vagrant-value", event.mark, message, hint);
    None
}

/// `2G`, `2GB`, `2 GiB`, `2048` and their like: people mean powers of two.
fn size_of(text: &str, unit: &str) -> Option<String> {
    let text = text.trim().replace('_', "");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() || number.bytes().all(|digit| digit == b'0') {
        return None;
    }
    let unit = match rest.trim().to_lowercase().as_str() {
        "" => unit,
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "t" | "tb" | "tib" => "TiB",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

/// The size of a disk, for whoever says so outside of providers.
pub(super) fn disk_size(
    value: &Datum,
    unit: &str,
    name: &str,
    mark: Mark,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let event = Event {
        name: name.to_owned(),
        what: What::Set(value.clone()),
        mark,
    };
    size(value, unit, &event, notes)
}
