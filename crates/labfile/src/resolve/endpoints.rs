//! Addresses: those that the file gives, then the next free ones.

use super::Resolver;
use super::layer::Member;
use super::networks::{DEFAULT, Draft, bounds};
use crate::fields::Fields;
use crate::keys::ENDPOINT;
use crate::report::{Mark, Problem, did_you_mean, list};
use crate::yaml::{Tree, Value};
use ipnet::{IpNet, Ipv4Net};
use nestlab_model::{BitRate, Endpoint, Mac, NodePath};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The first automatic address of a subnet that is large enough.
const FIRST_AUTOMATIC: u32 = 11;

/// An attachment that a node asks for.
pub(super) struct Wanted {
    /// Which of the layer's networks.
    draft: usize,
    address: Address,
    mark: Mark,
    speed: Speed,
}

/// What an endpoint says of its speed.
#[derive(Clone, Copy, Default)]
struct Speed {
    rate: Option<BitRate>,
    priority: Option<u8>,
}

#[derive(Clone, Copy)]
enum Address {
    Automatic,
    Given(Ipv4Addr),
    /// Reported already.
    Wrong,
}

/// Whether a node's `networks` make the implicit network necessary.
pub(super) fn wants_default(tree: Option<&Tree>) -> bool {
    match tree.map(|tree| &tree.value) {
        None => true,
        Some(Value::List(items)) => items
            .iter()
            .any(|item| matches!(&item.value, Value::Scalar(t) if t == DEFAULT)),
        Some(Value::Map(entries)) => entries.iter().any(|entry| entry.key == DEFAULT),
        Some(_) => false,
    }
}

impl Resolver<'_> {
    /// What a node asks for; addresses given in the file are taken at once.
    pub(super) fn wanted(
        &mut self,
        tree: Option<&Tree>,
        member: &Member,
        drafts: &mut [Draft],
    ) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        match tree.map(|tree| &tree.value) {
            None => self.attach(
                DEFAULT,
                member.mark,
                Address::Automatic,
                drafts,
                &mut wanted,
            ),
            Some(Value::List(items)) => {
                for item in items {
                    if let Some(name) = self.reader(&member.scope).text(item, "networks") {
                        self.attach(&name, item.mark, Address::Automatic, drafts, &mut wanted);
                    }
                }
            }
            Some(Value::Map(entries)) => {
                for entry in entries {
                    let fields =
                        Fields::read(&entry.value, &ENDPOINT, entry.key_mark, &mut self.report);
                    let (address, mark) = self.address(fields.as_ref(), entry.key_mark, member);
                    let before = wanted.len();
                    self.attach(&entry.key, entry.key_mark, address, drafts, &mut wanted);
                    if let Some(new) = wanted.get_mut(before) {
                        new.mark = mark;
                        new.speed = fields
                            .map_or_else(Speed::default, |fields| self.speed(&fields, member));
                        self.take(new, member, drafts);
                    }
                }
            }
            Some(_) => {
                let tree = tree.expect("the value was just looked at");
                let problem =
                    Problem::error("wrong-type", tree.mark, "`networks` is a single value");
                let label = "expected a list of networks, or a map of networks to addresses";
                self.report
                    .add(problem.label(label).hint("write `networks: [NAME]`"));
            }
        }
        wanted
    }

    fn attach(
        &mut self,
        name: &str,
        mark: Mark,
        address: Address,
        drafts: &[Draft],
        wanted: &mut Vec<Wanted>,
    ) {
        let Some(draft) = drafts.iter().position(|draft| draft.name.as_str() == name) else {
            let known = || drafts.iter().map(|draft| draft.name.as_str());
            let hint = did_you_mean(name, known())
                .unwrap_or_else(|| format!("networks of this layer: {}", list(known())));
            let problem =
                Problem::error("unknown-network", mark, format!("Unknown network `{name}`"));
            self.report
                .add(problem.label("not a network of this layer").hint(hint));
            return;
        };
        if wanted.iter().any(|other| other.draft == draft) {
            let message = format!("Network `{name}` stands here twice");
            self.report
                .add(Problem::error("duplicate-network", mark, message));
            return;
        }
        wanted.push(Wanted {
            draft,
            address,
            mark,
            speed: Speed::default(),
        });
    }

    fn speed(&mut self, fields: &Fields<'_>, member: &Member) -> Speed {
        let mut reader = self.reader(&member.scope);
        let rate = fields.get("rate");
        let rate = rate.and_then(|tree| reader.parsed(tree, "rate", "a rate such as `10mbit`"));
        let priority = fields.get("priority");
        let priority = priority.and_then(|tree| reader.integer(tree, "priority", 0, 7));
        Speed {
            rate,
            priority: priority.and_then(|priority| u8::try_from(priority).ok()),
        }
    }

    fn address(
        &mut self,
        fields: Option<&Fields<'_>>,
        mark: Mark,
        member: &Member,
    ) -> (Address, Mark) {
        let Some(fields) = fields else {
            return (Address::Wrong, mark);
        };
        let Some(tree) = fields.get("ip") else {
            return (Address::Automatic, mark);
        };
        let Some(text) = self.reader(&member.scope).text(tree, "ip") else {
            return (Address::Wrong, tree.mark);
        };
        if text.parse::<Ipv6Addr>().is_ok() {
            let problem = Problem::error("ipv6", tree.mark, "IPv6 addresses are not supported");
            self.report.add(problem.label("expected an IPv4 address"));
            return (Address::Wrong, tree.mark);
        }
        let expected = "an IPv4 address such as `10.10.10.11`";
        let parsed = self
            .reader(&member.scope)
            .parse(tree, "ip", expected, |text| {
                text.parse().map_err(|_| explain_address(text))
            });
        (parsed.map_or(Address::Wrong, Address::Given), tree.mark)
    }

    /// Gives a node the address it asks for, if it can have it.
    fn take(&mut self, wanted: &mut Wanted, member: &Member, drafts: &mut [Draft]) {
        let draft = &mut drafts[wanted.draft];
        let Address::Given(address) = wanted.address else {
            return;
        };
        let Some(subnet) = draft.subnet else {
            wanted.address = Address::Wrong;
            return;
        };
        let problem = if !subnet.contains(&address) {
            let message = format!("Address {address} is outside network `{}`", draft.name);
            let label = format!("expected an address of {subnet}");
            Some(Problem::error("address-outside", wanted.mark, message).label(label))
        } else if address == subnet.network() || address == subnet.broadcast() {
            let what = if address == subnet.network() {
                "network"
            } else {
                "broadcast"
            };
            let message = format!(
                "Address {address} is the {what} address of `{}`",
                draft.name
            );
            let (first, last) = bounds(&subnet);
            let label = format!("expected {first} to {last}");
            Some(Problem::error("address-reserved", wanted.mark, message).label(label))
        } else if let Some(owner) = draft.owners.get(&address) {
            let message = format!("Address {address} belongs to `{owner}` already");
            let problem = Problem::error("address-twice", wanted.mark, message);
            let hint = if member.counted {
                "let it differ from node to node: \"10.0.0.1{{ index }}\""
            } else {
                "leave `ip` out for the next free one"
            };
            Some(
                problem
                    .label(format!("wanted by `{}` too", member.name))
                    .hint(hint),
            )
        } else {
            draft.owners.insert(address, member.name.to_string());
            None
        };
        if let Some(problem) = problem {
            self.report.add(problem);
            wanted.address = Address::Wrong;
        }
    }

    /// The gateway of a network; reports that there is no room for one.
    pub(super) fn gateway(&mut self, draft: &Draft) -> Option<Ipv4Addr> {
        draft.subnet?;
        let gateway = draft.gateway();
        if gateway.is_none() {
            let message = format!(
                "Network `{}` has no address left for its gateway",
                draft.name
            );
            let problem = Problem::error("gateway-clash", draft.mark, message);
            self.report
                .add(problem.label("nodes have the first and the last address"));
        }
        gateway
    }

    /// The endpoints of a node. `gateways` are those of the drafts.
    pub(super) fn endpoints(
        &mut self,
        wanted: &[Wanted],
        member: &Member,
        path: &NodePath,
        drafts: &mut [Draft],
        gateways: &[Option<Ipv4Addr>],
    ) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for wanted in wanted {
            let draft = &mut drafts[wanted.draft];
            let (Some(subnet), Some(gateway)) = (draft.subnet, gateways[wanted.draft]) else {
                continue;
            };
            let address = match wanted.address {
                Address::Wrong => continue,
                Address::Given(address) => address,
                Address::Automatic => match next_free(&subnet, gateway, draft) {
                    Some(address) => address,
                    None => {
                        let message = format!("Network `{}` has no free address left", draft.name);
                        let problem = Problem::error("no-address", wanted.mark, message);
                        self.report.add(problem.label(format!("{subnet} is full")));
                        continue;
                    }
                },
            };
            draft.owners.insert(address, member.name.to_string());
            let net = Ipv4Net::new_assert(address, subnet.prefix_len());
            endpoints.push(Endpoint {
                network: draft.name.clone(),
                address: IpNet::V4(net),
                mac: Mac::derive(&[&path.to_string(), draft.name.as_str()]),
                rate: wanted.speed.rate,
                priority: wanted.speed.priority.filter(|priority| *priority > 0),
            });
        }
        endpoints
    }
}

fn next_free(subnet: &Ipv4Net, gateway: Ipv4Addr, draft: &Draft) -> Option<Ipv4Addr> {
    let (first, last) = bounds(subnet);
    let (first, last) = (u32::from(first), u32::from(last));
    let start = u32::from(subnet.network()).saturating_add(FIRST_AUTOMATIC);
    let start = if start > last { first } else { start };
    (start..=last)
        .chain(first..start)
        .map(Ipv4Addr::from)
        .find(|address| *address != gateway && !draft.owners.contains_key(address))
}

fn explain_address(text: &str) -> String {
    if text.contains('/') {
        return "leave the prefix length out: it is that of the subnet".into();
    }
    let large = text
        .split('.')
        .find(|part| part.parse::<u64>().is_ok_and(|number| number > 255));
    large.map_or(String::new(), |part| format!("{part} is larger than 255"))
}
