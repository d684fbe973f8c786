//! From resolved machines to the lab file that they amount to.

use super::datum::{Datum, Placed};
use super::document::Node;
use super::folder;
use super::image::Images;
use super::machine::Machine;
use super::network::{Networks, name_of};
use super::notes::Notes;
use super::ports;
use super::provider::{At, Hardware, disk_size};
use super::provision;
use super::shell;
use super::{Machines, Settings};
use crate::files::Files;
use crate::report::{Mark, Report};
use nestlab_model::{ImageName, ImageSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Memory of a machine that says nothing: what most boxes bring along.
const MEMORY: &str = "1GiB";

/// Assignments to `config.vm` that say how Vagrant goes about it.
const IGNORED: &[&str] = &[
    "allow_fstab_modification",
    "allow_hosts_modification",
    "allowed_synced_folder_types",
    "base_address",
    "base_mac",
    "boot_mode",
    "boot_timeout",
    "box_architecture",
    "box_check_update",
    "box_download_ca_cert",
    "box_download_ca_path",
    "box_download_client_cert",
    "box_download_insecure",
    "box_download_location_trusted",
    "box_download_options",
    "box_server_url",
    "box_version",
    "communicator",
    "graceful_halt_timeout",
    "guest",
    "ignore_box_vagrantfile",
    "post_up_message",
    "usable_port_range",
];

const MEANT: [&str; 15] = [
    "box",
    "box_download_checksum",
    "box_download_checksum_type",
    "box_url",
    "clone",
    "cloud_init",
    "customize",
    "define",
    "disk",
    "hostname",
    "network",
    "provider",
    "provision",
    "synced_folder",
    "host_name",
];

/// Every name that `config.vm` knows.
pub(super) fn names() -> Vec<&'static str> {
    MEANT.iter().chain(IGNORED).copied().collect()
}

/// What the translation may look at.
pub(super) struct Context<'a> {
    pub files: &'a dyn Files,
    pub settings: &'a Settings,
    /// The folder of the Vagrantfile.
    pub folder: &'a Path,
    /// Images that can be named.
    pub known: &'a BTreeMap<ImageName, ImageSpec>,
}

impl Context<'_> {
    /// A path as Ruby's `expand_path` begins with it: `~` is the user's home.
    pub fn expand(&self, path: &str) -> String {
        let home = self.settings.env.get("HOME");
        match (path.strip_prefix('~'), home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                format!("{home}{rest}")
            }
            _ => path.to_owned(),
        }
    }

    pub fn path(&self, text: &str) -> PathBuf {
        crate::resolve::resolve_path(self.folder, text)
    }
}

/// The whole lab.
pub(super) fn lab(machines: &Machines, cx: &Context<'_>, report: &mut Report) -> Node {
    let mut notes = Notes::new(report);
    let top = machines.top;
    let networks = Networks::of(&machines.all, &mut notes);
    let ports = ports::of(&machines.all, &mut notes);
    let mut images = Images::default();
    let mut nodes = Node::map(top);
    for (number, (machine, ports)) in machines.all.iter().zip(ports).enumerate() {
        let parts = Parts {
            machine,
            ports,
            endpoints: networks.endpoints(number, machine.mark),
            addresses: networks.more_addresses(number),
        };
        let name = name_of(&machine.name, "machine");
        let node = parts.node(&name, &mut images, cx, &mut notes);
        nodes.set(name, machine.mark, node);
        sections(machine, &mut notes);
    }
    let folder = cx.folder.file_name().map(|name| name.to_string_lossy());
    let mut lab = Node::map(top);
    lab.put(
        "name",
        Node::text(top, name_of(&folder.unwrap_or_default(), "lab")),
    );
    for (key, map) in [
        ("images", images.node(top)),
        ("networks", networks.node(top)),
    ] {
        if !map.is_empty() {
            lab.put(key, map);
        }
    }
    lab.put("nodes", nodes);
    notes.finish();
    lab
}

/// A machine and what was found for it among all.
struct Parts<'m> {
    machine: &'m Machine,
    ports: Vec<Node>,
    endpoints: Option<Node>,
    /// See [`Networks::more_addresses`].
    addresses: Vec<(String, String, Mark)>,
}

impl Parts<'_> {
    fn node(
        self,
        name: &str,
        images: &mut Images,
        cx: &Context<'_>,
        notes: &mut Notes<'_>,
    ) -> Node {
        let Self {
            machine,
            mut ports,
            endpoints,
            addresses,
        } = self;
        let mark = machine.mark;
        options(machine, notes);
        let mut hardware = Hardware::of(machine, notes);
        disks(machine, &mut hardware, notes);
        let mut node = Node::map(mark);
        let image = match &hardware.container {
            Some(container) => {
                container_image(machine, container.image.as_ref(), images, cx, notes)
            }
            None => images.of(machine, cx, notes),
        };
        node.put("image", image.unwrap_or_else(|| unknown_image(machine, cx)));
        if let Some(container) = &hardware.container {
            node.put("kind", Node::text(mark, "container"));
            ports.extend(
                container
                    .ports
                    .iter()
                    .map(|(port, mark)| Node::text(*mark, port)),
            );
        }
        write_hardware(&hardware, mark, &mut node);
        if let Some(endpoints) = endpoints {
            node.put("networks", endpoints);
        }
        if !ports.is_empty() {
            node.put("ports", Node::list(mark, ports));
        }
        cloud_init(machine, &mut node, notes);
        let own = own_steps(machine, name, &addresses, notes);
        setup(machine, own, &hardware, &mut node, cx, notes);
        if !machine.autostart {
            note_autostart(machine, notes);
            return node.comment("autostart: false, so Vagrant starts it only by name");
        }
        node
    }
}

/// Something in the place of an image that is not known, which was said.
fn unknown_image(machine: &Machine, cx: &Context<'_>) -> Node {
    let name = cx
        .known
        .keys()
        .next()
        .map_or("debian", |name| name.as_str());
    Node::text(machine.mark, name).comment("FIXME: the box is not known; name an image here")
}

fn note_autostart(machine: &Machine, notes: &mut Notes<'_>) {
    let message = format!(
        "`{}` is not to start by itself, which a lab file cannot say",
        machine.name
    );
    let hint = "`nestlab up NAME` starts only what is named";
    notes.note("vagrant-autostart", machine.mark, message, hint);
}

/// What was assigned to `config.vm` and is handled nowhere else.
fn options(machine: &Machine, notes: &mut Notes<'_>) {
    for (name, value) in machine.vm.iter() {
        let shown = value.datum.show();
        match (name, shown.as_str()) {
            ("communicator", "winrm" | "winssh") | ("guest", "windows") => {
                let message = "Windows machines are not supported";
                let hint = "leave the machine with Vagrant";
                notes.error("vagrant-unsupported", value.mark, message, hint);
            }
            ("clone", _) if value.datum.is_true() => {
                let message = "A machine cannot be made from another one of Vagrant";
                let hint = "`vagrant package` makes a box of it, which `box_url` can name";
                notes.error("vagrant-unsupported", value.mark, message, hint);
            }
            (name, _) if IGNORED.contains(&name) => {
                notes.ignore("`config.vm`", name, value.mark);
            }
            (name, _) if MEANT.contains(&name) => {}
            (name, _) => {
                let known = MEANT.iter().chain(IGNORED).copied();
                notes.unknown("config.vm", name, value.mark, known);
            }
        }
    }
    for event in &machine.calls.events {
        if !MEANT.contains(&event.name.as_str()) {
            let known = MEANT.iter().chain(IGNORED).copied();
            notes.unknown("config.vm", &event.name, event.mark, known);
        }
    }
}

/// Disks that are said outside of providers: `config.vm.disk`, and what a plugin made of it.
fn disks(machine: &Machine, hardware: &mut Hardware, notes: &mut Notes<'_>) {
    for (args, mark) in machine.calls.calls("disk") {
        let kind = args.first().map(Datum::show).unwrap_or_default();
        let options = args.last().cloned().unwrap_or(Datum::Nil);
        if kind != "disk" {
            let message = "CD-ROMs and floppies cannot be put into a node";
            let hint = "copy what is on it with `synced_folder` or a `file` provisioner";
            notes.error("vagrant-unsupported", mark, message, hint);
            continue;
        }
        let size = options
            .get("size")
            .and_then(|size| disk_size(size, "B", "size", mark, notes));
        let Some(size) = size else {
            continue;
        };
        if options.get("primary").is_some_and(Datum::is_true) {
            hardware.disk = Some((size, mark));
        } else {
            hardware
                .disks
                .push((options.get("name").map(Datum::show), size, mark));
        }
    }
    let plugin = machine.section("disksize").map(|log| log.options());
    if let Some(Placed { datum, mark }) = plugin.as_ref().and_then(|options| options.get("size")) {
        let size = disk_size(datum, "GiB", "disksize.size", *mark, notes);
        hardware.disk = size.map(|size| (size, *mark)).or(hardware.disk.take());
    }
}

fn write_hardware(hardware: &Hardware, mark: Mark, node: &mut Node) {
    let mut put = |key: &str, value: &At<String>| {
        if let Some((text, mark)) = value {
            node.put(key, Node::text(*mark, text));
        }
    };
    put("cpus", &hardware.cpus);
    let memory = hardware.memory.clone();
    put(
        "memory",
        &memory.or_else(|| Some((MEMORY.to_owned(), mark))),
    );
    put("disk", &hardware.disk);
    put(
        "nested",
        &hardware.nested.map(|mark| ("true".to_owned(), mark)),
    );
    put(
        "accel",
        &hardware.emulated.map(|mark| ("tcg".to_owned(), mark)),
    );
    put("kernel", &hardware.kernel);
    put("initrd", &hardware.initrd);
    put("cmdline", &hardware.cmdline);
    let mut disks = Node::map(mark);
    for (number, (name, size, mark)) in hardware.disks.iter().enumerate() {
        // The root is vda.
        let next = char::from(b'b' + u8::try_from(number % 25).unwrap_or(0));
        let name = name.clone().unwrap_or_else(|| format!("vd{next}"));
        disks.put(name_of(&name, "disk"), Node::text(*mark, size));
    }
    if !disks.is_empty() {
        node.put("disks", disks);
    }
}

fn container_image(
    machine: &Machine,
    image: Option<&(String, Mark)>,
    images: &mut Images,
    cx: &Context<'_>,
    notes: &mut Notes<'_>,
) -> Option<Node> {
    let Some((name, mark)) = image else {
        let message = format!("Container `{}` has no image", machine.name);
        notes.error(
            "vagrant-box",
            machine.mark,
            message,
            "add `docker.image = \"NAME\"`",
        );
        return None;
    };
    let bare = name.split(':').next().unwrap_or(name);
    let aliases = &cx.settings.box_aliases;
    if let Some(target) = aliases.get(name).or_else(|| aliases.get(bare)) {
        return Some(images.alias(target, *mark, bare));
    }
    if cx.known.keys().any(|known| known.as_str() == bare) {
        return Some(Node::text(*mark, bare).comment(format!("Docker image {name}")));
    }
    let message = format!("Image `{name}` lies in a registry, which is not asked");
    let hint = format!("`docker save {name} -o FILE.tar`, then `--box-alias {bare}=FILE.tar`");
    notes.error("vagrant-box", *mark, message, hint);
    None
}

/// `config.vm.cloud_init`, of which a node takes one.
fn cloud_init(machine: &Machine, node: &mut Node, notes: &mut Notes<'_>) {
    let mut calls = machine.calls.calls("cloud_init");
    let Some((args, mark)) = calls.next() else {
        return;
    };
    if calls.next().is_some() {
        let message = "A node takes one user-data only";
        notes.error("vagrant-unsupported", mark, message, "put them into one");
    }
    let options = args.last().cloned().unwrap_or(Datum::Nil);
    let mut inner = Node::map(mark);
    for (theirs, ours) in [("path", "source"), ("inline", "content")] {
        if let Some(value) = options.get(theirs) {
            inner.put(ours, Node::text(mark, value.show()));
        }
    }
    node.put("cloud_init", inner);
}

/// What Vagrant does to a machine before its provisioners.
fn own_steps(
    machine: &Machine,
    name: &str,
    addresses: &[(String, String, Mark)],
    notes: &mut Notes<'_>,
) -> Vec<Node> {
    let mut steps = Vec::new();
    let hostname = machine.vm.get("hostname");
    if let Some(hostname) = hostname.filter(|given| given.datum.show() != name) {
        let text = hostname.datum.show();
        if is_host_name(&text) {
            steps.push(own_step("hostname", shell::hostname(&text), hostname.mark));
        } else {
            let message = format!("`{text}` is no host name");
            let hint = "it has letters, digits, `-` and `.`, and begins with a letter or digit";
            notes.error("vagrant-value", hostname.mark, message, hint);
        }
    }
    for (first, address, mark) in addresses {
        steps.push(own_step("address", shell::address(first, address), *mark));
    }
    steps
}

/// Files, environment and steps; `all` are those that come first.
fn setup(
    machine: &Machine,
    mut all: Vec<Node>,
    hardware: &Hardware,
    node: &mut Node,
    cx: &Context<'_>,
    notes: &mut Notes<'_>,
) {
    let mark = machine.mark;
    let mut files = folder::copies(machine, cx, notes);
    let mut steps = provision::steps(machine, cx, notes);
    files.append(&mut steps.files);
    if !files.is_empty() {
        node.put("files", Node::list(mark, files));
    }
    if steps.needs_user && hardware.container.is_none() {
        all.push(own_step("vagrant-user", shell::user(&machine.user()), mark));
    }
    all.append(&mut steps.steps);
    if let Some(container) = &hardware.container {
        write_container(container, mark, node, &mut all);
    }
    if !all.is_empty() {
        node.put("provision", Node::list(mark, all));
    }
}

fn write_container(
    container: &super::provider::Container,
    mark: Mark,
    node: &mut Node,
    steps: &mut Vec<Node>,
) {
    let mut env = Node::map(mark);
    for (key, value, mark) in &container.env {
        env.put(key.clone(), Node::text(*mark, value));
    }
    if !env.is_empty() {
        node.put("env", env);
    }
    let volumes = container
        .volumes
        .iter()
        .map(|(volume, mark)| Node::text(*mark, volume));
    let volumes = Node::list(mark, volumes.collect());
    if !volumes.is_empty() {
        node.put("volumes", volumes);
    }
    if let Some((words, mark)) = &container.cmd {
        steps.push(own_step("command", shell::service(words), *mark));
    }
}

/// A step that Vagrant or the box does by itself. It comes anew with every start.
fn own_step(name: &str, program: String, mark: Mark) -> Node {
    let mut step = Node::map(mark);
    step.put("name", Node::text(mark, name));
    step.put("run", Node::text(mark, "always"));
    step.put("inline", Node::text(mark, program));
    step
}

/// Vagrant's own rule.
fn is_host_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// What stands beside `config.vm`: how Vagrant reaches machines, and plugins.
fn sections(machine: &Machine, notes: &mut Notes<'_>) {
    for (name, log) in &machine.sections {
        let silent = ["disksize"].contains(&name.as_str());
        for event in log.events.iter().filter(|_| !silent) {
            if name == "ssh" && event.name == "username" {
                continue;
            }
            notes.ignore(&format!("`config.{name}`"), &event.name, event.mark);
        }
    }
}
