//! The providers of VMware, which set entries of a `.vmx` file.

use super::{Hardware, cpus, memory};
use crate::vagrant::datum::{Datum, Event, Log, What};
use crate::vagrant::notes::Notes;

pub(super) fn read(hardware: &mut Hardware, log: &Log, notes: &mut Notes<'_>) {
    for event in &log.events {
        match (event.name.as_str(), &event.what) {
            ("vmx", What::Index(key, value)) => vmx(hardware, &key.show(), value, event, notes),
            ("vmx", What::Set(map)) => {
                for (key, value) in map.entries() {
                    vmx(hardware, &key.show(), value, event, notes);
                }
            }
            ("memory", What::Set(value)) => hardware.memory = memory(value, event, notes),
            ("cpus", What::Set(value)) => hardware.cpus = cpus(value, event, notes),
            (name, _) => notes.ignore("the providers of VMware", name, event.mark),
        }
    }
}

fn vmx(hardware: &mut Hardware, key: &str, value: &Datum, event: &Event, notes: &mut Notes<'_>) {
    match key {
        "memsize" => hardware.memory = memory(value, event, notes),
        "numvcpus" => hardware.cpus = cpus(value, event, notes),
        "vhv.enable" => {
            let on = value.show().eq_ignore_ascii_case("true");
            hardware.nested = on.then_some(event.mark);
        }
        _ => notes.ignore("VMware's `vmx`", key, event.mark),
    }
}
