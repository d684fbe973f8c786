//! What differs between two descriptions of one node, key by key.

use crate::{Endpoint, Node};

/// The keys of the lab file in which two descriptions of a node differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Those that a machine takes up only when it starts anew.
    pub machine: Vec<&'static str>,
    /// Those that the next `up` takes up while it runs.
    pub guest: Vec<&'static str>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.machine.is_empty() && self.guest.is_empty()
    }
}

impl Node {
    /// What a newer description of the node has otherwise. The files that both
    /// name are not looked into, nor is what stands inside.
    pub fn changes_to(&self, new: &Self) -> Changes {
        let machine = [
            ("image", self.image != new.image),
            ("backend", self.backend != new.backend),
            ("cpus", self.cpus != new.cpus),
            ("memory", self.memory != new.memory),
            ("disk", self.disk != new.disk),
            ("disks", self.disks != new.disks),
            ("kernel", self.boot.kernel != new.boot.kernel),
            ("initrd", self.boot.initrd != new.boot.initrd),
            ("cmdline", self.boot.cmdline != new.boot.cmdline),
            ("firmware", self.boot.firmware != new.boot.firmware),
            ("accel", self.accel != new.accel),
            ("nested", self.nested != new.nested),
            ("balloon", self.balloon != new.balloon),
            ("cloud_init", self.user_data != new.user_data),
            ("networks", !same_cards(&self.endpoints, &new.endpoints)),
            ("kind", self.kind != new.kind),
            (
                "pids_limit",
                self.container.pids_limit != new.container.pids_limit,
            ),
            ("devices", self.container.devices != new.container.devices),
            ("cap_add", self.container.cap_add != new.container.cap_add),
            ("volumes", self.container.volumes != new.container.volumes),
            ("io", self.container.io != new.container.io),
        ];
        let speeds = |node: &Self| -> Vec<_> {
            let speed = |endpoint: &Endpoint| (endpoint.rate, endpoint.priority);
            node.endpoints.iter().map(speed).collect()
        };
        let guest = [
            ("rate or priority", speeds(self) != speeds(new)),
            ("ports", self.ports != new.ports),
            ("depends_on", self.depends_on != new.depends_on),
            ("files", self.files != new.files),
            ("env", self.env != new.env),
            ("provision", self.provision != new.provision),
            ("ready", self.ready != new.ready),
        ];
        Changes {
            machine: differing(&machine),
            guest: differing(&guest),
        }
    }
}

fn same_cards(old: &[Endpoint], new: &[Endpoint]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is_same_card(new))
}

fn differing(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| *key)
        .collect()
}
