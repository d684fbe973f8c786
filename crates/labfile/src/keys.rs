//! Every key of a lab file: its type, default and meaning. The one place they
//! stand: the walker refuses what is not here, the JSON Schema and the
//! reference are written from it.

mod tables;

pub(crate) use tables::{
    ANSIBLE, CLOUD_INIT, DEPENDENCY, ENDPOINT, FILE, IMAGE, INSIDE, IO, LAB, NETWORK, NODE, PROBE,
    PROVISION, RECIPE, RECIPE_FILE, SETTINGS,
};

/// A map with known keys.
pub(crate) struct Object {
    /// What it is called in messages and in the reference: `node`.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

/// One key.
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// What holds if it is left out; empty if nothing does.
    pub default: &'static str,
    pub doc: &'static str,
}

/// What a key holds. Every single value may be written as a template.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Bool,
    Integer(u64, u64),
    Size,
    Duration,
    /// Bits in a second.
    Rate,
    /// `a-z`, `0-9` and `-`.
    Name,
    Text,
    /// A file or folder of this machine.
    Path,
    /// An absolute path in a node or image.
    Target,
    Address,
    Subnet,
    Port,
    /// Permission bits, octal.
    Mode,
    Digest,
    Url,
    Choice(&'static [&'static str]),
    List(&'static Shape),
    /// A map with keys of the user's own, which the text names.
    Map(&'static str, &'static Shape),
    Object(&'static Object),
    Either(&'static [Shape]),
}

impl Object {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

impl Shape {
    /// The shape in a few words, for the reference and for messages.
    pub fn words(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".into(),
            Self::Integer(min, max) => format!("number, {min} to {max}"),
            Self::Size => "size such as `512MiB`".into(),
            Self::Duration => "time such as `10s`".into(),
            Self::Rate => "rate such as `10mbit`".into(),
            Self::Name => "name".into(),
            Self::Text => "text".into(),
            Self::Path => "path on this machine".into(),
            Self::Target => "absolute path inside".into(),
            Self::Address => "IPv4 address".into(),
            Self::Subnet => "IPv4 subnet such as `10.10.10.0/24`".into(),
            Self::Port => "port such as `8080:80`".into(),
            Self::Mode => "permissions such as `0644`".into(),
            Self::Digest => "64 hexadecimal digits".into(),
            Self::Url => "address such as `https://…`".into(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::List(item) => format!("list of {}", item.words()),
            Self::Map(key, value) => format!("map {key}: {}", value.words()),
            Self::Object(object) => {
                format!("[{}](#{})", object.name, object.name.replace(' ', "-"))
            }
            Self::Either(shapes) => shapes
                .iter()
                .map(Shape::words)
                .collect::<Vec<_>>()
                .join(", or "),
        }
    }
}

/// Every object reachable from the lab, each once, outer ones first.
pub(crate) fn objects() -> Vec<&'static Object> {
    let mut found: Vec<&'static Object> = vec![&LAB];
    let mut next = 0;
    while let Some(object) = found.get(next).copied() {
        for key in object.keys {
            visit(&key.shape, &mut found);
        }
        next += 1;
    }
    found
}

fn visit(shape: &Shape, found: &mut Vec<&'static Object>) {
    match shape {
        Shape::List(inner) | Shape::Map(_, inner) => visit(inner, found),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| visit(shape, found)),
        Shape::Object(object) if found.iter().all(|known| known.name != object.name) => {
            found.push(object);
        }
        _ => {}
    }
}
