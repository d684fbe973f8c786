//! What only a container has, and what it cannot have.

use super::paths::resolve;
use super::{Resolver, Site, Unit};
use crate::fields::Fields;
use crate::keys::IO;
use crate::limits::MAX_PIDS;
use crate::report::Problem;
use crate::template::Scope;
use crate::yaml::Tree;
use nestlab_model::{ByteSize, ContainerOptions, IoLimits, NodeKind, NodeName, Volume};
use std::path::Path;

/// Keys that speak of hardware, which a container has none of.
const OF_MACHINES: [&str; 10] = [
    "accel",
    "balloon",
    "cloud_init",
    "cmdline",
    "disk",
    "disks",
    "firmware",
    "initrd",
    "kernel",
    "nested",
];

const OF_CONTAINERS: [&str; 5] = ["cap_add", "devices", "io", "pids_limit", "volumes"];

/// A page in a second.
const LEAST_IO: ByteSize = ByteSize::bytes(4096);

/// What can realise each kind of node.
const FOR_MACHINES: [&str; 1] = ["qemu"];
const FOR_CONTAINERS: [&str; 2] = [DOCKER, "oci"];
const DOCKER: &str = "docker";

impl Resolver<'_> {
    /// What realises a node. Keys that have no meaning for it are noted as wrong.
    pub(super) fn kind(&mut self, fields: &Fields<'_>, scope: &Scope) -> NodeKind {
        let choices = [("vm", NodeKind::Vm), ("container", NodeKind::Container)];
        let read = |tree| self.reader(scope).choice(tree, "kind", &choices);
        let kind = fields.get("kind").and_then(read).unwrap_or(NodeKind::Vm);
        let (others, owner): (&[&str], _) = match kind {
            NodeKind::Vm => (&OF_CONTAINERS, "a container"),
            NodeKind::Container => (&OF_MACHINES, "a virtual machine"),
        };
        for key in others.iter().filter(|key| fields.get(key).is_some()) {
            let message = format!("`{key}` has a meaning for {owner} only");
            let problem = Problem::error("wrong-kind", fields.key_mark(key), message);
            let hint = match kind {
                NodeKind::Vm => "add `kind: container`, or leave it out",
                NodeKind::Container => "leave it out, or drop `kind: container`",
            };
            self.report
                .add(problem.label("not of this kind").hint(hint));
        }
        kind
    }

    /// What realises a node, if it is said. Which there are at its level is seen when it
    /// is brought up.
    pub(super) fn backend(
        &mut self,
        fields: &Fields<'_>,
        kind: NodeKind,
        scope: &Scope,
    ) -> Option<String> {
        let tree = fields.get("backend")?;
        let expected = "the name of a backend such as `qemu`";
        let name: NodeName = self.reader(scope).parsed(tree, "backend", expected)?;
        let name = String::from(name);
        let (own, others): (&[&str], &[&str]) = match kind {
            NodeKind::Vm => (&FOR_MACHINES, &FOR_CONTAINERS),
            NodeKind::Container => (&FOR_CONTAINERS, &FOR_MACHINES),
        };
        if others.contains(&name.as_str()) {
            let (what, hint) = match kind {
                NodeKind::Vm => (
                    "containers",
                    "add `kind: container`, or leave `backend` out",
                ),
                NodeKind::Container => (
                    "virtual machines",
                    "leave `backend` out, or drop `kind: container`",
                ),
            };
            let message = format!("Backend `{name}` realises {what} only");
            let problem = Problem::error("wrong-kind", tree.mark, message);
            let label = format!("one of: {}", own.join(", "));
            self.report.add(problem.label(label).hint(hint));
        }
        if name == DOCKER && fields.get("io").is_some() {
            let message =
                format!("Backend `{name}` does not limit how fast its containers read and write");
            let problem = Problem::error("exclusive-keys", fields.key_mark("io"), message);
            self.report
                .add(problem.hint("leave `io` out, or `backend`"));
        }
        Some(name)
    }

    pub(super) fn container(
        &mut self,
        unit: &Unit,
        fields: &Fields<'_>,
        site: &Site,
    ) -> ContainerOptions {
        let scope = &site.scope;
        let pids = fields.get("pids_limit").and_then(|tree| {
            let limit = self
                .reader(scope)
                .integer(tree, "pids_limit", 1, MAX_PIDS)?;
            u32::try_from(limit).ok()
        });
        ContainerOptions {
            pids_limit: pids,
            devices: self.each(
                fields,
                "devices",
                scope,
                "a device such as `/dev/kvm`",
                device,
            ),
            cap_add: self.each(
                fields,
                "cap_add",
                scope,
                "a capability such as `NET_ADMIN`",
                capability,
            ),
            volumes: self.volumes(unit, fields, site),
            io: self.io(fields, scope),
        }
    }

    fn io(&mut self, fields: &Fields<'_>, scope: &Scope) -> IoLimits {
        let Some(tree) = fields.get("io") else {
            return IoLimits::default();
        };
        let mark = fields.key_mark("io");
        let Some(fields) = Fields::read(tree, &IO, mark, &mut self.report) else {
            return IoLimits::default();
        };
        let mut limit = |key: &str| {
            let tree = fields.get(key)?;
            let expected = "a size of at least `4KiB`, such as `10MiB`";
            let mut reader = self.reader(scope);
            reader.parse(tree, key, expected, |text| match text.parse::<ByteSize>() {
                Ok(size) if size < LEAST_IO => Err("nothing would go on with so little".to_owned()),
                read => read.map_err(|error| error.to_string()),
            })
        };
        IoLimits {
            read: limit("read"),
            write: limit("write"),
        }
    }

    fn each(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        scope: &Scope,
        expected: &str,
        read: fn(&str) -> Result<String, &'static str>,
    ) -> Vec<String> {
        let Some(tree) = fields.get(key) else {
            return Vec::new();
        };
        let items = self.reader(scope).list(tree, key).unwrap_or_default();
        let read = |item| self.reader(scope).parse(item, key, expected, read);
        items.iter().filter_map(read).collect()
    }

    fn volumes(&mut self, unit: &Unit, fields: &Fields<'_>, site: &Site) -> Vec<Volume> {
        let Some(tree) = fields.get("volumes") else {
            return Vec::new();
        };
        let scope = &site.scope;
        let items = self.reader(scope).list(tree, "volumes").unwrap_or_default();
        let read = |item: &Tree| {
            let expected = "`FOLDER:TARGET[:ro]`";
            let volume = self
                .reader(scope)
                .parse(item, "volumes", expected, volume)?;
            self.on_its_level(unit, item, site, volume)
        };
        items.iter().filter_map(read).collect()
    }

    /// A relative folder starts at the lab file, which only this machine has.
    fn on_its_level(
        &mut self,
        unit: &Unit,
        tree: &Tree,
        site: &Site,
        volume: Volume,
    ) -> Option<Volume> {
        if volume.source.is_absolute() {
            return Some(volume);
        }
        if site.path.level() > 1 {
            let message =
                "This volume starts at the lab file, but the container stands inside a node";
            let problem = Problem::error("invalid-value", tree.mark, message);
            let hint = "name a folder of the node that it stands in by its absolute path; `files:` copies folders";
            self.report
                .add(problem.label("not on that level").hint(hint));
            return None;
        }
        let source = resolve(&unit.folder, &volume.source.to_string_lossy());
        Some(Volume { source, ..volume })
    }
}

fn device(text: &str) -> Result<String, &'static str> {
    let plain = text.starts_with("/dev/") && !text.contains("..") && !text.contains('\0');
    plain.then(|| text.to_owned()).ok_or("it is none")
}

fn capability(text: &str) -> Result<String, &'static str> {
    let name = text.strip_prefix("CAP_").unwrap_or(text);
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    plain
        .then(|| name.to_owned())
        .ok_or("it is none; see capabilities(7)")
}

fn volume(text: &str) -> Result<Volume, &'static str> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match parts.as_slice() {
        [source, target] | [source, target, "rw"] => (*source, *target, false),
        [source, target, "ro"] => (*source, *target, true),
        _ => return Err("give a folder and where it goes"),
    };
    let names_folder = source.starts_with(['/', '.']) && !source.contains('\0');
    if !names_folder {
        return Err("begin the folder with `/`, `./` or `../`");
    }
    let fits =
        target.starts_with('/') && target != "/" && !target.split('/').any(|part| part == "..");
    if !fits {
        return Err("give an absolute path in the container");
    }
    Ok(Volume {
        source: Path::new(source).to_owned(),
        target: target.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_as_compose_reads_them() {
        let read = |text| volume(text).map(|v| (v.source, v.target, v.read_only));
        assert_eq!(
            read("./src:/srv"),
            Ok(("./src".into(), "/srv".into(), false))
        );
        assert_eq!(read("/a:/b:ro"), Ok(("/a".into(), "/b".into(), true)));
        for wrong in [
            "data:/srv",
            "/a",
            "/a:b",
            "/a:/",
            "/a:/b/../c",
            "/a:/b:z",
            "/a:/b:ro:x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn capabilities_have_their_own_names() {
        assert_eq!(capability("CAP_NET_ADMIN"), capability("NET_ADMIN"));
        assert!(capability("net_admin").is_err());
        assert!(device("/dev/../etc").is_err());
    }
}
