//! The tables themselves.

use super::Shape::{
    Address, Bool, Choice, Digest, Duration, Either, Integer, List, Map, Mode, Name, Path, Port,
    Rate, Size, Subnet, Target, Text, Url,
};
use super::{Key, Object, Shape};
use crate::limits::{MAX_COUNT, MAX_CPUS, MAX_MTU, MAX_PIDS, MIN_MTU};

const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: true,
        default: "",
        doc,
    }
}

const NETWORKS: Shape = Map("NAME", &Shape::Object(&NETWORK));
// A `static`, since a `const` would have to hold itself.
static A_NODE: Shape = Shape::Object(&NODE);
const TEXTS: Shape = Map("NAME", &Text);

pub(crate) static LAB: Object = Object {
    name: "lab",
    doc: "The whole file. A lab is a layer: networks and nodes that live in one place, here on this \
          machine. Keys that begin with `x-` are ignored; they are a place for YAML anchors.",
    keys: &[
        required(
            "name",
            Name,
            "The name of the lab, unique among your labs on this machine.",
        ),
        key(
            "description",
            Text,
            "",
            "What the lab is for, in a sentence.",
        ),
        key(
            "templates",
            Bool,
            "true",
            "Whether machines start as clones of one that has booted before, if there is one of \
             their kind. `nestlab up --cold` boots them once.",
        ),
        key(
            "variables",
            TEXTS,
            "",
            "Values that `{{ NAME }}` stands for anywhere in the file. `--set NAME=VALUE` replaces \
             them. A variable may use those above it.",
        ),
        key(
            "images",
            Map("NAME", &Shape::Object(&IMAGE)),
            "",
            "Images of this lab. `debian`, `hypervisor` and stock cloud images such as \
             `ubuntu-24.04` are built in.",
        ),
        key(
            "networks",
            NETWORKS,
            "",
            "Networks of this machine's layer.",
        ),
        required(
            "nodes",
            Map("NAME", &A_NODE),
            "The machines on this machine.",
        ),
    ],
};

pub(crate) static NETWORK: Object = Object {
    name: "network",
    doc: "One bridge in one layer. A node without `networks:` stands on the network `default`, \
          which need not be defined.",
    keys: &[
        key(
            "subnet",
            Subnet,
            "a free `10.200.N.0/24`",
            "Its addresses. The layer itself takes the first one as gateway, or the last if a node \
             has the first. Subnets on one path of the tree must not overlap.",
        ),
        key(
            "mtu",
            Integer(MIN_MTU, MAX_MTU),
            "1500",
            "The MTU of every hop, in bytes.",
        ),
        key(
            "mode",
            Choice(&["nat", "isolated"]),
            "nat",
            "What it reaches: the outside through the layer's way out, or nothing.",
        ),
    ],
};

pub(crate) static NODE: Object = Object {
    name: "node",
    doc: "A machine. With `count: N` it is a group `NAME-1` … `NAME-N`, and `{{ name }}`, \
          `{{ index }}`, `{{ ip }}` and the like differ from node to node.",
    keys: &[
        required(
            "image",
            Text,
            "An image of `images:`, a built-in one, or one in a registry: `docker://debian:12`.",
        ),
        key(
            "kind",
            Choice(&["vm", "container"]),
            "vm",
            "What realises it: a virtual machine, or a container on the kernel of the level that \
             it stands on.",
        ),
        key(
            "backend",
            Name,
            "chosen by kind",
            "The program that runs it: `qemu` for machines; for containers `oci` (runc, crun or \
             youki), or `docker` for the Docker Engine or Podman of the level that they stand on.",
        ),
        key(
            "count",
            Integer(0, MAX_COUNT),
            "",
            "Makes a group of so many equal nodes; none with 0.",
        ),
        key(
            "cpus",
            Integer(1, MAX_CPUS),
            "1",
            "Virtual CPUs; at most those of its parent.",
        ),
        key(
            "memory",
            Size,
            "512MiB",
            "Memory. What is inside must fit in it, with 64 MiB more for each machine and 192 MiB \
             for the parent itself.",
        ),
        key(
            "disk",
            Size,
            "that of the image",
            "The size of the root disk.",
        ),
        key(
            "disks",
            Map("NAME", &Size),
            "",
            "Empty disks beside the root; NAME is the serial.",
        ),
        key(
            "kernel",
            Path,
            "the kit's",
            "A kernel of your own: a bzImage or an ELF file.",
        ),
        key("initrd", Path, "the kit's", "An initramfs of your own."),
        key(
            "cmdline",
            Text,
            "",
            "Words added to the kernel command line.",
        ),
        key(
            "firmware",
            Choice(&["auto", "direct", "bios", "uefi"]),
            "auto",
            "What starts the machine: the kit's kernel directly, or a firmware that starts the \
             image's own boot loader and kernel (SeaBIOS, OVMF). `auto` takes the kit's kernel \
             wherever it can mount the image's root, and beside `kernel`, `initrd` or `cmdline`.",
        ),
        key(
            "arch",
            Choice(&["x86_64", "aarch64"]),
            "this machine's",
            "The architecture. Only this machine's own is possible.",
        ),
        key(
            "accel",
            Choice(&["auto", "kvm", "tcg"]),
            "auto",
            "The accelerator: KVM where it really works and TCG otherwise, KVM or an error, or TCG.",
        ),
        key(
            "nested",
            Bool,
            "false",
            "Whether it sees hardware virtualisation. Needed for what is inside, unless that says \
             `accel: tcg`.",
        ),
        key(
            "balloon",
            Bool,
            "false",
            "Whether memory can be taken back from it.",
        ),
        key(
            "devices",
            List(&Text),
            "",
            "Of a container: devices of the level that it stands on, such as `/dev/kvm`.",
        ),
        key(
            "volumes",
            List(&Text),
            "",
            "Of a container: folders of the level that it stands on, `FOLDER:TARGET[:ro]`. On this \
             machine a relative folder starts at the lab file.",
        ),
        key(
            "cap_add",
            List(&Text),
            "",
            "Of a container: capabilities beside Docker's usual ones, such as `NET_ADMIN`.",
        ),
        key(
            "pids_limit",
            Integer(1, MAX_PIDS),
            "4096",
            "Of a container: the most processes and threads at a time.",
        ),
        key(
            "io",
            Shape::Object(&IO),
            "",
            "Of a container: how fast it may use the disk that its files lie on.",
        ),
        key(
            "networks",
            Either(&[List(&Text), Map("NAME", &Shape::Object(&ENDPOINT))]),
            "`[default]`",
            "Networks of its layer that it is attached to. `[]` for none.",
        ),
        key(
            "ports",
            List(&Port),
            "",
            "Ports of this machine that lead here: `[ADDRESS:]PORT:[NODE:]PORT[/udp]`. NODE is the \
             path of a node inside this one. Listens on 127.0.0.1 if no address is given.",
        ),
        key(
            "depends_on",
            Either(&[List(&Text), Map("NODE", &Shape::Object(&DEPENDENCY))]),
            "",
            "Nodes of the same layer, or groups, that come first. In a list they must be ready.",
        ),
        key(
            "cloud_init",
            Shape::Object(&CLOUD_INIT),
            "",
            "What cloud-init is told, if the image has it. An image that is brought (`path`, `url`) \
             is always told its name, its network and your public keys (`~/.ssh/*.pub`).",
        ),
        key(
            "files",
            List(&Shape::Object(&FILE)),
            "",
            "Files and folders copied in first.",
        ),
        key(
            "env",
            TEXTS,
            "",
            "Environment of provisioners, probes and `exec`.",
        ),
        key(
            "provision",
            List(&Shape::Object(&PROVISION)),
            "",
            "Steps that set it up, in order.",
        ),
        key(
            "ready",
            Shape::Object(&PROBE),
            "its agent answers",
            "How one knows that it is ready.",
        ),
        key(
            "quorum",
            Bool,
            "false",
            "Says that the group votes: an even `count` gets a warning.",
        ),
        key(
            "inside",
            Shape::Object(&INSIDE),
            "",
            "What stands inside it.",
        ),
    ],
};

pub(crate) static ENDPOINT: Object = Object {
    name: "endpoint",
    doc: "A node's attachment to a network.",
    keys: &[
        key(
            "ip",
            Address,
            "the next free one from .11 on",
            "Its address on that network.",
        ),
        key(
            "rate",
            Rate,
            "",
            "The most that it receives, and the most that it sends, in a second. A running node takes \
             another one up at the next `up`.",
        ),
        key(
            "priority",
            Integer(0, 7),
            "0",
            "What it sends goes before what others send to an endpoint with a `rate` (6 and 7), or \
             after it (1, 2, 3 and 5).",
        ),
    ],
};

pub(crate) static IO: Object = Object {
    name: "disk limits",
    doc: "The most that a container reads and writes in a second, of the disk that its files lie on. \
          Control groups of version 1 do not count what is written by way of the page cache.",
    keys: &[
        key("read", Size, "", "What it reads in a second."),
        key("write", Size, "", "What it writes in a second."),
    ],
};

pub(crate) static DEPENDENCY: Object = Object {
    name: "dependency",
    doc: "How far another node must have come.",
    keys: &[key(
        "condition",
        Choice(&["started", "ready"]),
        "ready",
        "Its agent answers, or its provisioners have run and its probe has succeeded.",
    )],
};

pub(crate) static FILE: Object = Object {
    name: "file",
    doc: "A file or folder copied into a node: `source` or `content`, and where to.",
    keys: &[
        key(
            "source",
            Path,
            "",
            "The file or folder; a relative path starts at the lab file.",
        ),
        key("content", Text, "", "The text itself."),
        required("target", Target, "Where it goes."),
        key(
            "mode",
            Mode,
            "0644, or the source's",
            "Permissions of a single file.",
        ),
    ],
};

pub(crate) static CLOUD_INIT: Object = Object {
    name: "cloud-init",
    doc: "User-data for cloud-init, in any of its forms: `source` or `content`. It is applied once, \
          when the machine boots for the first time.",
    keys: &[
        key(
            "source",
            Path,
            "",
            "A file; a relative path starts at the lab file.",
        ),
        key(
            "content",
            Text,
            "",
            "The text itself, such as a `#cloud-config`.",
        ),
    ],
};

pub(crate) static PROVISION: Object = Object {
    name: "provisioner",
    doc: "A step that sets a node up: one of `script`, `inline`, `file` and `ansible`.",
    keys: &[
        key(
            "script",
            Path,
            "",
            "A program text, run by its `#!` line or else by `/bin/sh`.",
        ),
        key("args", List(&Text), "", "Arguments of the script."),
        key("inline", Text, "", "Commands, run the same way."),
        key(
            "file",
            Shape::Object(&FILE),
            "",
            "A file or folder to copy in at this point.",
        ),
        key(
            "ansible",
            Shape::Object(&ANSIBLE),
            "",
            "A playbook that Ansible on this machine applies once the whole lab is up. The node needs \
             Python, and no ssh.",
        ),
        key(
            "name",
            Text,
            "the script's file name",
            "What messages call the step.",
        ),
        key(
            "run",
            Choice(&["once", "always", "never"]),
            "once",
            "Until it has succeeded once, at every `up`, or only when asked for.",
        ),
        key("env", TEXTS, "", "Environment beside the node's own."),
    ],
};

pub(crate) static ANSIBLE: Object = Object {
    name: "playbook",
    doc: "What Ansible applies to a node. Nodes with the same playbook, variables and arguments are \
          taken together, in one run.",
    keys: &[
        required(
            "playbook",
            Path,
            "The file; a relative path starts at the lab file.",
        ),
        key(
            "groups",
            List(&Text),
            "",
            "Groups of the inventory that the node belongs to, beside that of its name without number.",
        ),
        key(
            "extra_vars",
            TEXTS,
            "",
            "Variables, as `--extra-vars` gives them.",
        ),
        key(
            "args",
            List(&Text),
            "",
            "Further arguments of `ansible-playbook`, such as `--tags=web`.",
        ),
    ],
};

pub(crate) static PROBE: Object = Object {
    name: "probe",
    doc: "A test that tells whether a node is ready: one of `exec`, `tcp` and `http`.",
    keys: &[
        key(
            "exec",
            Text,
            "",
            "A command line for `/bin/sh -c` that must exit with 0.",
        ),
        key(
            "tcp",
            Text,
            "",
            "`HOST:PORT`, as the node sees it, that must accept a connection.",
        ),
        key(
            "http",
            Url,
            "",
            "An `http://` address, as the node sees it, that must answer 2xx.",
        ),
        key(
            "matches",
            Text,
            "",
            "Text that the answer to `http` must contain.",
        ),
        key("interval", Duration, "1s", "Time between two tries."),
        key(
            "timeout",
            Duration,
            "5m",
            "Time after which the node has failed.",
        ),
        key("hint", Text, "", "What to look at when it never succeeds."),
    ],
};

pub(crate) static INSIDE: Object = Object {
    name: "layer",
    doc: "What stands inside a node: networks and nodes again, or another lab file.",
    keys: &[
        key("networks", NETWORKS, "", "Networks of this layer."),
        key("nodes", Map("NAME", &A_NODE), "", "Nodes of this layer."),
        key(
            "from",
            Path,
            "",
            "Another lab file, whose nodes and networks stand here. Its images and variables come \
             along.",
        ),
        key("with", TEXTS, "", "Values for variables of that file."),
    ],
};

pub(crate) static IMAGE: Object = Object {
    name: "image",
    doc: "Where a root disk comes from: one of `recipe`, `path`, `url` and `oci`.",
    keys: &[
        key(
            "recipe",
            Shape::Object(&RECIPE),
            "",
            "Built here, from Debian packages or another image.",
        ),
        key(
            "path",
            Path,
            "",
            "A qcow2 or raw disk image on this machine, or an archive of a container image: what \
             `docker save` writes, or an OCI image layout, which may also be a folder.",
        ),
        key(
            "url",
            Url,
            "",
            "A file of one of these kinds, to be fetched.",
        ),
        key(
            "oci",
            Text,
            "",
            "A container image in a registry, as Docker names it: `debian:12`, \
             `ghcr.io/org/name:tag`, `name@sha256:…`. What a tag means first is kept in \
             `nestlab.lock`; `nestlab image pull --upgrade` asks again. Needs skopeo(1).",
        ),
        key(
            "sha256",
            Digest,
            "",
            "What the file must hash to; it or `checksums` is required with `url`.",
        ),
        key(
            "checksums",
            Url,
            "",
            "The publisher's file of checksums for `url`, as `SHA256SUMS` or `SHA512SUMS`. What it \
             says first is kept in `nestlab.lock`; `nestlab image pull --upgrade` asks again.",
        ),
    ],
};

pub(crate) static RECIPE: Object = Object {
    name: "recipe",
    doc: "A root file system that is made here: of the packages of a `suite`, or `from` another \
          image.",
    keys: &[
        key("suite", Name, "", "The Debian suite, such as `bookworm`."),
        key(
            "from",
            Text,
            "",
            "Instead of `suite`, `packages`, `mirror` and `keyring`: another image with a root file \
             system, which is a recipe or a container image. It stands above in `images:`, is \
             built in, or is one in a registry, as `docker://debian:12`.",
        ),
        key(
            "packages",
            List(&Text),
            "",
            "Packages added to the minimal system.",
        ),
        key(
            "files",
            List(&Shape::Object(&RECIPE_FILE)),
            "",
            "Files added after the packages.",
        ),
        key(
            "commands",
            List(&Text),
            "",
            "Shell commands run in the new root, after the files.",
        ),
        key("mirror", Url, "this machine's, or Debian's", "The mirror."),
        key(
            "keyring",
            Path,
            "Debian's",
            "The keyring file that signs the mirror.",
        ),
        key(
            "size",
            Size,
            "2GiB, or the other image's",
            "The size of the file system.",
        ),
    ],
};

pub(crate) static RECIPE_FILE: Object = Object {
    name: "recipe file",
    doc: "A file put into an image: one of `source`, `content` and `url`.",
    keys: &[
        key(
            "source",
            Path,
            "",
            "A file of this machine; a relative path starts at the lab file.",
        ),
        key("content", Text, "", "The text itself."),
        key("url", Url, "", "A file to be fetched."),
        key(
            "sha256",
            Digest,
            "",
            "What that file must hash to; required with `url`.",
        ),
        required("target", Target, "Where it goes."),
        key("mode", Mode, "0644, or the source's", "Its permissions."),
    ],
};

pub(crate) static SETTINGS: Object = Object {
    name: "settings file",
    doc: "What a user says for every lab.",
    keys: &[
        key(
            "image_mirrors",
            Map("https://…/", &Url),
            "",
            "Beginnings of addresses of images, and what stands in place of each.",
        ),
        key(
            "box_aliases",
            Map("BOX", &Name),
            "",
            "Names of Vagrant's boxes, and the images that stand for them.",
        ),
    ],
};
