//! One node, key by key.

use super::layer::{Group, Member};
use super::paths::Want;
use super::{Resolver, Site, Unit};
use crate::fields::Fields;
use crate::limits::{DEFAULT_MEMORY, MAX_CPUS, MIN_MEMORY};
use crate::marks::Part;
use crate::report::Problem;
use crate::template::Scope;
use crate::yaml::Tree;
use nestlab_model::{
    AcceleratorChoice, Boot, ByteSize, DiskSpec, Endpoint, FileSource, Firmware, FirmwareChoice,
    ImageName, Layer, Node, NodeName, PortForward,
};
use std::collections::BTreeMap;

/// A virtio disk's serial has no more bytes.
const MAX_SERIAL: usize = 20;

impl Resolver<'_> {
    /// Values that are wrong are replaced by defaults and noted as wrong.
    pub(super) fn node(
        &mut self,
        unit: &Unit,
        group: &Group<'_>,
        member: &Member,
        groups: &[Group<'_>],
        endpoints: Vec<Endpoint>,
        site: &Site,
    ) -> Node {
        let fields = &group.fields;
        let scope = &member.scope;
        self.marks.set(&site.path, Part::Node, member.mark);
        let image = fields
            .get("image")
            .and_then(|tree| self.image(unit, tree, scope));
        let accel = self.accelerator(fields, scope);
        self.architecture(fields, scope, accel);
        let kind = self.kind(fields, scope);
        Node {
            name: member.name.clone(),
            kind,
            backend: self.backend(fields, kind, scope),
            image: image.unwrap_or_else(|| ImageName::new("invalid").expect("a valid name")),
            cpus: self.cpus(fields, site),
            memory: self.memory(fields, site),
            disk: fields
                .get("disk")
                .and_then(|tree| self.disk_size(tree, "disk", scope)),
            disks: fields
                .get("disks")
                .map_or(Vec::new(), |tree| self.disks(tree, scope)),
            boot: self.boot(unit, fields, scope),
            accel,
            nested: self.flag(fields, "nested", scope),
            balloon: self.flag(fields, "balloon", scope),
            endpoints,
            ports: fields
                .get("ports")
                .map_or(Vec::new(), |tree| self.ports(tree, site)),
            depends_on: match fields.get("depends_on") {
                Some(tree) => self.dependencies(tree, group, member, groups, site),
                None => Vec::new(),
            },
            files: fields
                .get("files")
                .map_or(Vec::new(), |tree| self.files(unit, tree, scope)),
            env: match fields.get("env") {
                Some(tree) => self.reader(scope).env(tree, "env"),
                None => BTreeMap::new(),
            },
            provision: match fields.get("provision") {
                Some(tree) => self.provision(unit, tree, site),
                None => Vec::new(),
            },
            ready: match fields.get("ready") {
                Some(tree) => self.probe(tree, fields.key_mark("ready"), scope),
                None => None,
            },
            user_data: match fields.get("cloud_init") {
                Some(tree) => self.user_data(unit, tree, fields.key_mark("cloud_init"), scope),
                None => None,
            },
            inside: match fields.get("inside") {
                Some(tree) => self.inside(unit, tree, fields.key_mark("inside"), site),
                None => Layer::default(),
            },
            container: self.container(unit, fields, site),
        }
    }

    fn flag(&mut self, fields: &Fields<'_>, key: &str, scope: &Scope) -> bool {
        let read = |tree| self.reader(scope).boolean(tree, key);
        fields.get(key).and_then(read).unwrap_or(false)
    }

    fn cpus(&mut self, fields: &Fields<'_>, site: &Site) -> u32 {
        let Some(tree) = fields.get("cpus") else {
            return 1;
        };
        self.marks.set(&site.path, Part::Cpus, tree.mark);
        let cpus = self.reader(&site.scope).integer(tree, "cpus", 1, MAX_CPUS);
        cpus.and_then(|cpus| cpus.try_into().ok())
            .unwrap_or_else(|| {
                self.marks.set_wrong(&site.path, Part::Cpus);
                1
            })
    }

    /// In whole mebibytes: a VM has whole pages.
    fn memory(&mut self, fields: &Fields<'_>, site: &Site) -> ByteSize {
        let Some(tree) = fields.get("memory") else {
            return DEFAULT_MEMORY;
        };
        self.marks.set(&site.path, Part::Memory, tree.mark);
        let expected = "a size such as `512MiB`";
        let memory = self
            .reader(&site.scope)
            .parse(tree, "memory", expected, |text| {
                let size: ByteSize = text.parse().map_err(|error| format!("{error}"))?;
                if size >= ByteSize::gib(1 << 20) {
                    Err("no machine has so much".to_owned())
                } else if size < MIN_MEMORY {
                    Err(too_small(text))
                } else {
                    Ok(ByteSize::mib(size.as_mib()))
                }
            });
        memory.unwrap_or_else(|| {
            self.marks.set_wrong(&site.path, Part::Memory);
            DEFAULT_MEMORY
        })
    }

    fn disks(&mut self, tree: &Tree, scope: &Scope) -> Vec<DiskSpec> {
        let mut disks = Vec::new();
        for entry in self.reader(scope).map(tree, "disks").unwrap_or_default() {
            let name: Option<NodeName> =
                self.reader(scope).name(&entry.key, entry.key_mark, "disk");
            let size = self.disk_size(&entry.value, &entry.key, scope);
            let Some(name) = name.filter(|name| self.serial(name, entry.key_mark)) else {
                continue;
            };
            disks.extend(size.map(|size| DiskSpec { name, size }));
        }
        disks
    }

    fn serial(&mut self, name: &NodeName, mark: crate::report::Mark) -> bool {
        let text = name.as_str();
        let label = if text.len() > MAX_SERIAL {
            format!("at most {MAX_SERIAL} characters")
        } else if text == "root"
            || text.starts_with("kit-")
            || text.starts_with("img-")
            || text == "cidata"
        {
            "taken by a disk of Nestlab's own".to_owned()
        } else {
            return true;
        };
        let problem = Problem::error("invalid-name", mark, format!("`{text}` cannot name a disk"));
        self.report.add(problem.label(label));
        false
    }

    fn boot(&mut self, unit: &Unit, fields: &Fields<'_>, scope: &Scope) -> Boot {
        let mut file = |key| {
            let tree = fields.get(key)?;
            self.existing(unit, tree, key, scope, Want::File)
                .map(FileSource::Host)
        };
        let (kernel, initrd) = (file("kernel"), file("initrd"));
        let cmdline = fields.get("cmdline").and_then(|tree| {
            self.reader(scope)
                .parse(tree, "cmdline", "one line", |text| {
                    let one_line = !text.chars().any(char::is_control);
                    one_line.then(|| text.to_owned()).ok_or("")
                })
        });
        Boot {
            kernel,
            initrd,
            cmdline,
            firmware: self.firmware(fields, scope),
        }
    }

    /// What a firmware starts has a kernel of its own, and tells it all that it hears.
    fn firmware(&mut self, fields: &Fields<'_>, scope: &Scope) -> FirmwareChoice {
        let choices = [
            ("auto", FirmwareChoice::Auto),
            ("direct", FirmwareChoice::Direct),
            ("bios", FirmwareChoice::Of(Firmware::Bios)),
            ("uefi", FirmwareChoice::Of(Firmware::Uefi)),
        ];
        let read = |tree| self.reader(scope).choice(tree, "firmware", &choices);
        let choice = fields.get("firmware").and_then(read).unwrap_or_default();
        let mut own = ["kernel", "initrd", "cmdline"].into_iter();
        let Some(key) = own.find(|key| fields.get(key).is_some()) else {
            return choice;
        };
        if let FirmwareChoice::Of(_) = choice {
            let message = format!("`{key}` means nothing to a machine that a firmware starts");
            let problem = Problem::error("exclusive-keys", fields.key_mark(key), message);
            let label = "the image's boot loader chooses its kernel";
            let hint = "leave it out, or write `firmware: direct`";
            self.report.add(problem.label(label).hint(hint));
        }
        choice
    }

    fn accelerator(&mut self, fields: &Fields<'_>, scope: &Scope) -> AcceleratorChoice {
        use AcceleratorChoice::{Auto, Kvm, Tcg};
        let Some(tree) = fields.get("accel") else {
            return Auto;
        };
        let choices = [("auto", Auto), ("kvm", Kvm), ("tcg", Tcg)];
        self.reader(scope)
            .choice(tree, "accel", &choices)
            .unwrap_or(Auto)
    }

    fn architecture(&mut self, fields: &Fields<'_>, scope: &Scope, accel: AcceleratorChoice) {
        let Some(tree) = fields.get("arch") else {
            return;
        };
        let known = [
            ("x86_64", "x86_64"),
            ("amd64", "x86_64"),
            ("aarch64", "aarch64"),
            ("arm64", "aarch64"),
        ];
        let Some(arch) = self.reader(scope).choice(tree, "arch", &known) else {
            return;
        };
        let own = std::env::consts::ARCH;
        if arch == own {
            return;
        }
        let guest = crate::report::article(&format!("{arch} guest"));
        let message = match accel {
            AcceleratorChoice::Kvm => format!("KVM cannot run {guest} on this machine"),
            _ => format!("This machine cannot run {guest}"),
        };
        let problem = Problem::error("foreign-architecture", tree.mark, message);
        self.report.add(problem.label(format!("expected `{own}`")));
    }

    fn ports(&mut self, tree: &Tree, site: &Site) -> Vec<PortForward> {
        let mut ports = Vec::new();
        for item in self
            .reader(&site.scope)
            .list(tree, "ports")
            .unwrap_or_default()
        {
            let expected = "`[ADDRESS:]PORT:[NODE:]PORT[/udp]`";
            if let Some(port) = self.reader(&site.scope).parsed(item, "ports", expected) {
                self.marks
                    .set(&site.path, Part::Port(ports.len()), item.mark);
                ports.push(port);
            }
        }
        ports
    }
}

fn too_small(text: &str) -> String {
    if text.trim().bytes().all(|byte| byte.is_ascii_digit()) {
        format!("a bare number is bytes; did you mean `{}MiB`?", text.trim())
    } else {
        format!("a kernel needs at least {MIN_MEMORY}")
    }
}
