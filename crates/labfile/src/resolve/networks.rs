//! The networks of a layer, before their nodes have addresses.

use super::{Resolver, Site};
use crate::fields::Fields;
use crate::keys::NETWORK;
use crate::limits::{DEFAULT_MTU, MAX_MTU, MIN_MTU};
use crate::marks::Part;
use crate::report::{Mark, Problem};
use crate::template::Scope;
use crate::yaml::{Entry, Tree};
use ipnet::{Ipv4Net, Ipv6Net};
use nestlab_model::{Network, NetworkMode, NetworkName};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The network of nodes that name none.
pub(super) const DEFAULT: &str = "default";

/// A network that is being filled with addresses.
pub(super) struct Draft {
    pub name: NetworkName,
    pub mark: Mark,
    /// `None` if it is wrong in the text.
    pub subnet: Option<Ipv4Net>,
    mtu: u16,
    mode: NetworkMode,
    /// Who has which address.
    pub owners: BTreeMap<Ipv4Addr, String>,
}

impl Resolver<'_> {
    /// The networks of a layer; the implicit one at the end, if wanted.
    pub(super) fn drafts(
        &mut self,
        tree: Option<&Tree>,
        site: &Site,
        implicit: Option<Mark>,
    ) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut free = Vec::new();
        let entries = match tree {
            Some(tree) => self
                .reader(&site.scope)
                .map(tree, "networks")
                .unwrap_or_default(),
            None => &[],
        };
        for entry in entries {
            let Some((draft, automatic)) = self.draft(entry, &site.scope) else {
                continue;
            };
            if automatic {
                free.push(drafts.len());
            }
            drafts.push(draft);
        }
        if let Some(mark) = implicit
            && drafts.iter().all(|draft| draft.name.as_str() != DEFAULT)
        {
            free.push(drafts.len());
            drafts.push(Draft::new(
                NetworkName::new(DEFAULT).expect("a valid name"),
                mark,
            ));
        }
        for index in free {
            drafts[index].subnet = self.free_subnet(&drafts, site);
        }
        for draft in &drafts {
            let part = Part::Network(draft.name.clone());
            self.marks.set(&site.path, part.clone(), draft.mark);
            if draft.subnet.is_none() {
                self.marks.set_wrong(&site.path, part);
            }
        }
        drafts
    }

    /// A network, and whether its subnet is to be chosen.
    fn draft(&mut self, entry: &Entry, scope: &Scope) -> Option<(Draft, bool)> {
        let name = self
            .reader(scope)
            .name(&entry.key, entry.key_mark, "network");
        let fields = Fields::read(&entry.value, &NETWORK, entry.key_mark, &mut self.report);
        let mut draft = Draft::new(name?, entry.key_mark);
        let Some(fields) = fields else {
            return Some((draft, false));
        };
        let written = fields.get("subnet");
        if let Some(tree) = written {
            draft.mark = tree.mark;
            draft.subnet = self.subnet(tree, scope);
        }
        let mut read = self.reader(scope);
        if let Some(tree) = fields.get("mtu")
            && let Some(mtu) = read.integer(tree, "mtu", MIN_MTU, MAX_MTU)
        {
            draft.mtu = mtu.try_into().unwrap_or(DEFAULT_MTU);
        }
        let modes = [
            ("nat", NetworkMode::Nat),
            ("isolated", NetworkMode::Isolated),
        ];
        if let Some(tree) = fields.get("mode")
            && let Some(mode) = read.choice(tree, "mode", &modes)
        {
            draft.mode = mode;
        }
        Some((draft, written.is_none()))
    }

    fn subnet(&mut self, tree: &Tree, scope: &Scope) -> Option<Ipv4Net> {
        let text = self.reader(scope).text(tree, "subnet")?;
        if text.parse::<Ipv6Net>().is_ok() {
            let problem = Problem::error("ipv6", tree.mark, "IPv6 subnets are not supported");
            self.report
                .add(problem.label("expected an IPv4 subnet such as `10.10.10.0/24`"));
            return None;
        }
        let expected = "an IPv4 subnet such as `10.10.10.0/24`";
        let subnet = self
            .reader(scope)
            .parse(tree, "subnet", expected, parse_subnet)?;
        Some(subnet)
    }

    /// The first 10.200.N.0/24 that is free at this place.
    fn free_subnet(&mut self, drafts: &[Draft], site: &Site) -> Option<Ipv4Net> {
        let here = drafts.iter().filter_map(|draft| draft.subnet);
        let taken: Vec<_> = here
            .chain(site.taken.iter().copied())
            .chain(self.written.iter().copied())
            .collect();
        (0..=u16::MAX)
            .map(|n| Ipv4Addr::from(0x0ac8_0000_u32 + (u32::from(n) << 8)))
            // 10.200.0.0/13 is what 10.200.N.0/24 may grow into.
            .take(8 * 256)
            .map(|address| Ipv4Net::new_assert(address, 24))
            .find(|candidate| taken.iter().all(|subnet| !overlap(subnet, candidate)))
            .or_else(|| {
                let mark = drafts.last().map_or(Mark::top(0), |draft| draft.mark);
                let problem = Problem::error("no-subnet", mark, "No free subnet is left");
                self.report
                    .add(problem.hint("give the network a `subnet:`"));
                None
            })
    }
}

impl Draft {
    fn new(name: NetworkName, mark: Mark) -> Self {
        let (mtu, mode) = (DEFAULT_MTU, NetworkMode::Nat);
        Self {
            name,
            mark,
            subnet: None,
            mtu,
            mode,
            owners: BTreeMap::new(),
        }
    }

    /// The address of the layer itself: the first, or the last.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        let (first, last) = bounds(&self.subnet?);
        [first, last]
            .into_iter()
            .find(|address| !self.owners.contains_key(address))
    }

    /// The network, with its final gateway.
    pub fn finish(&self, gateway: Option<Ipv4Addr>) -> Network {
        let subnet = self.subnet.unwrap_or_default();
        Network {
            name: self.name.clone(),
            subnet,
            gateway: gateway.unwrap_or(subnet.addr()).into(),
            mtu: self.mtu,
            mode: self.mode,
        }
    }
}

/// The first and last address that a machine can have. The subnet has at least
/// four addresses.
pub(super) fn bounds(subnet: &Ipv4Net) -> (Ipv4Addr, Ipv4Addr) {
    let first = u32::from(subnet.network()).saturating_add(1);
    let last = u32::from(subnet.broadcast()).saturating_sub(1);
    (first.into(), last.into())
}

/// Whether two subnets share an address.
pub(crate) fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

fn parse_subnet(text: &str) -> Result<Ipv4Net, String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Err(format!("add the prefix length: `{address}/24`"));
    }
    let subnet: Ipv4Net = text.parse().map_err(|_| String::new())?;
    let address = subnet.addr();
    if subnet.trunc() != subnet {
        return Err(format!("write its first address: `{}`", subnet.trunc()));
    }
    if !(8..=30).contains(&subnet.prefix_len()) {
        return Err("the prefix length is 8 to 30".into());
    }
    let special = address.is_loopback() || address.is_multicast() || address.is_link_local();
    if special || address.octets()[0] == 0 || address.octets()[0] >= 240 {
        return Err("these addresses have a special meaning; use a private subnet".into());
    }
    Ok(subnet)
}
