//! Networks: Vagrant has them said machine by machine, a lab file once for all. Those with one
//! name, or with one subnet, are one.

use super::datum::{Datum, Options};
use super::document::Node;
use super::machine::{Machine, Network};
use super::notes::Notes;
use crate::report::Mark;
use ipnet::{Ipv4Net, ipv4_mask_to_prefix};
use nestlab_model::NetworkName;
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// Options that only say how a hypervisor does what is done here in one way.
const DONE: [&str; 8] = [
    "id",
    "protocol",
    "type",
    "ip",
    "netmask",
    "libvirt__dhcp_enabled",
    "libvirt__netmask",
    "libvirt__network_address",
];

/// All networks of a file, and who is attached to which.
pub(super) struct Networks {
    drafts: Vec<Draft>,
    /// For each machine.
    attached: Vec<Vec<Attachment>>,
}

struct Draft {
    /// As the file calls it.
    given: Option<String>,
    public: bool,
    /// The one network of those who ask for DHCP and say no more.
    dhcp: bool,
    subnet: Option<Ipv4Net>,
    isolated: bool,
    mtu: Option<(String, Mark)>,
    mark: Mark,
    /// As the lab file calls it.
    name: String,
}

struct Attachment {
    draft: usize,
    ip: Option<(String, Mark)>,
    mark: Mark,
}

impl Networks {
    pub fn of(machines: &[Machine], notes: &mut Notes<'_>) -> Self {
        let mut networks = Self {
            drafts: Vec::new(),
            attached: Vec::new(),
        };
        for machine in machines {
            let mut attached = Vec::new();
            for network in &machine.networks {
                attached.extend(networks.attach(network, notes));
            }
            networks.attached.push(attached);
        }
        networks.name();
        networks
    }

    fn attach(&mut self, network: &Network, notes: &mut Notes<'_>) -> Option<Attachment> {
        let options = &network.options;
        let public = match network.kind.as_str() {
            "private_network" | "hostonly" => false,
            "public_network" | "bridged" => true,
            "forwarded_port" => return None,
            other => {
                let known = ["private_network", "public_network", "forwarded_port"];
                notes.unknown("config.vm.network", other, options.mark, known);
                return None;
            }
        };
        if public {
            is_public(options.mark, notes);
        }
        let wanted = Wanted::read(options, public, notes);
        let draft = self.draft(&wanted, options.mark);
        Some(Attachment {
            draft,
            ip: wanted.ip,
            mark: options.mark,
        })
    }

    /// The network that is asked for, new or known.
    fn draft(&mut self, wanted: &Wanted, mark: Mark) -> usize {
        let by_name = |draft: &Draft| draft.given.is_some() && draft.given == wanted.name;
        let nameless = |draft: &Draft| draft.given.is_none() || wanted.name.is_none();
        let by_subnet = |draft: &Draft| {
            nameless(draft) && draft.subnet.is_some() && draft.subnet == wanted.subnet
        };
        let dhcp = wanted.name.is_none() && wanted.subnet.is_none();
        let by_dhcp = |draft: &Draft| dhcp && draft.dhcp && draft.public == wanted.public;
        let found = self.drafts.iter().position(by_name);
        let found = found.or_else(|| self.drafts.iter().position(by_subnet));
        let found = found.or_else(|| self.drafts.iter().position(by_dhcp));
        let at = found.unwrap_or_else(|| {
            self.drafts.push(Draft {
                given: None,
                public: wanted.public,
                dhcp,
                subnet: None,
                isolated: true,
                mtu: None,
                mark,
                name: String::new(),
            });
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[at];
        draft.given = draft.given.take().or_else(|| wanted.name.clone());
        draft.subnet = draft.subnet.or(wanted.subnet);
        // One machine that wants a way out is enough for the network to have one.
        draft.isolated &= wanted.isolated;
        draft.mtu = draft.mtu.take().or_else(|| wanted.mtu.clone());
        at
    }

    fn name(&mut self) {
        let mut taken: BTreeSet<String> = BTreeSet::from(["default".to_owned()]);
        for draft in &mut self.drafts {
            if let Some(given) = &draft.given {
                draft.name = unique(&name_of(given, "network"), &mut taken);
            }
        }
        let mut alone = HashMap::new();
        for draft in self.drafts.iter().filter(|draft| draft.given.is_none()) {
            *alone.entry(draft.public).or_insert(0) += 1;
        }
        for draft in self.drafts.iter_mut().filter(|draft| draft.given.is_none()) {
            let base = if draft.public { "public" } else { "private" };
            draft.name = match (alone[&draft.public], draft.subnet) {
                (1, _) | (_, None) => unique(base, &mut taken),
                (_, Some(subnet)) => {
                    let address = subnet.network().to_string().replace('.', "-");
                    unique(&format!("{base}-{address}"), &mut taken)
                }
            };
        }
    }

    /// The lab file's `networks:`.
    pub fn node(&self, mark: Mark) -> Node {
        let mut all = Node::map(mark);
        for draft in &self.drafts {
            let mut one = Node::map(draft.mark);
            if let Some(subnet) = draft.subnet {
                one.put("subnet", Node::text(draft.mark, subnet.to_string()));
            }
            if draft.isolated {
                one.put("mode", Node::text(draft.mark, "isolated"));
            }
            if let Some((mtu, mark)) = &draft.mtu {
                one.put("mtu", Node::text(*mark, mtu));
            }
            all.put(draft.name.clone(), one);
        }
        all
    }

    /// A node's `networks:`; `None` if it has no other than the default one. Every machine of
    /// Vagrant reaches the outside, so one that would not by its own networks keeps that.
    pub fn endpoints(&self, machine: usize, mark: Mark) -> Option<Node> {
        let attached = &self.attached[machine];
        if attached.is_empty() {
            return None;
        }
        let mut all = Node::map(mark);
        for attachment in firsts(attached) {
            let mut endpoint = Node::map(attachment.mark);
            if let Some((ip, mark)) = &attachment.ip {
                endpoint.put("ip", Node::text(*mark, ip));
            }
            all.put(self.drafts[attachment.draft].name.clone(), endpoint);
        }
        if attached
            .iter()
            .all(|attachment| self.drafts[attachment.draft].isolated)
        {
            all.put("default", Node::map(mark));
        }
        Some(all)
    }

    /// Further addresses of a machine on a network that it is attached to already: what it
    /// has there, the address with its prefix length, and where that is said.
    pub fn more_addresses(&self, machine: usize) -> Vec<(String, String, Mark)> {
        let attached = &self.attached[machine];
        let mut more = Vec::new();
        for (number, attachment) in attached.iter().enumerate() {
            let same = |other: &&Attachment| other.draft == attachment.draft;
            let first = attached[..number].iter().find(same);
            let first = first.and_then(|first| first.ip.as_ref());
            let prefix = self.drafts[attachment.draft]
                .subnet
                .map(|subnet| subnet.prefix_len());
            if let (Some((first, _)), Some((ip, mark)), Some(prefix)) =
                (first, &attachment.ip, prefix)
            {
                more.push((first.clone(), format!("{ip}/{prefix}"), *mark));
            }
        }
        more
    }
}

/// The first attachment to each network; also what cannot be anything but a mistake.
fn firsts(attached: &[Attachment]) -> impl Iterator<Item = &Attachment> {
    attached
        .iter()
        .enumerate()
        .filter_map(move |(number, attachment)| {
            let same = |other: &&Attachment| other.draft == attachment.draft;
            let first = attached[..number].iter().find(same);
            let both = first.is_some_and(|first| first.ip.is_some() && attachment.ip.is_some());
            (!both).then_some(attachment)
        })
}

/// What one `config.vm.network` asks for.
struct Wanted {
    name: Option<String>,
    subnet: Option<Ipv4Net>,
    ip: Option<(String, Mark)>,
    isolated: bool,
    mtu: Option<(String, Mark)>,
    public: bool,
}

impl Wanted {
    fn read(options: &Options, public: bool, notes: &mut Notes<'_>) -> Self {
        let mut wanted = Self {
            name: None,
            subnet: None,
            ip: None,
            isolated: false,
            mtu: None,
            public,
        };
        let dhcp = options
            .text("type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("dhcp"));
        if let Some(ip) = options.get("ip").filter(|_| !dhcp) {
            wanted.ip = Some((ip.datum.show(), ip.mark));
        }
        wanted.subnet = subnet(options);
        for (name, value) in options.iter() {
            match name {
                "libvirt__network_name" | "docker_network__name" => {
                    wanted.name = Some(value.datum.show());
                }
                "virtualbox__intnet" | "intnet" => {
                    wanted.isolated = value.datum.is_true();
                    wanted.name = match &value.datum {
                        Datum::Text(name) | Datum::Symbol(name) => Some(name.clone()),
                        _ => wanted.name,
                    };
                }
                "libvirt__forward_mode" => wanted.forward(&value.datum.show(), value.mark, notes),
                "mtu" | "libvirt__mtu" => {
                    wanted.mtu = Some((value.datum.show(), value.mark));
                }
                name if DONE.contains(&name) => {}
                name => notes.ignore("`config.vm.network`", name, value.mark),
            }
        }
        wanted
    }

    fn forward(&mut self, mode: &str, mark: Mark, notes: &mut Notes<'_>) {
        match mode {
            "nat" | "route" | "open" => {}
            "none" | "veryisolated" => self.isolated = true,
            "bridge" => is_public(mark, notes),
            other => {
                let message = format!("`libvirt__forward_mode` cannot be `{other}`");
                let hint = "one of `nat`, `route`, `open`, `none`, `veryisolated`, `bridge`";
                notes.error("vagrant-value", mark, message, hint);
            }
        }
    }
}

fn is_public(mark: Mark, notes: &mut Notes<'_>) {
    if notes.first("vagrant-public") {
        let message = "A lab is never bridged to the network of this machine";
        let hint = "it gets a network of its own with a way out; `forwarded_port` lets others in";
        notes.warn("vagrant-public", mark, message, hint);
    }
}

/// The subnet that an address or a network's address lies in. One that is wrong gets the
/// nearest that makes sense: the address itself is judged later, at its place.
fn subnet(options: &Options) -> Option<Ipv4Net> {
    let text = |name| options.text(name);
    let address = text("libvirt__network_address").or_else(|| text("ip"))?;
    let address = address.split('/').next().unwrap_or_default();
    let address: Ipv4Addr = address.parse().ok().or_else(|| {
        let (front, _) = address.rsplit_once('.')?;
        format!("{front}.0").parse().ok()
    })?;
    let mask = text("libvirt__netmask").or_else(|| text("netmask"));
    let prefix = mask.and_then(|mask| match mask.parse::<Ipv4Addr>() {
        Ok(mask) => ipv4_mask_to_prefix(mask).ok(),
        Err(_) => mask.trim_start_matches('/').parse().ok(),
    });
    let prefix = prefix
        .filter(|prefix| (8..=30).contains(prefix))
        .unwrap_or(24);
    Some(Ipv4Net::new(address, prefix).ok()?.trunc())
}

/// A name that a lab file can have, as near to the given one as can be.
pub(super) fn name_of(text: &str, otherwise: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = text.chars().take(63).map(letter).collect();
    let name = name.trim_matches('-');
    match NetworkName::new(name) {
        Ok(_) => name.to_owned(),
        Err(_) => otherwise.to_owned(),
    }
}

/// The name, with a number if it is taken.
pub(super) fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut tries = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let free = tries
        .find(|name| !taken.contains(name))
        .expect("numbers do not end");
    taken.insert(free.clone());
    free
}
