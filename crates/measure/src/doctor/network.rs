//! Whether a node reaches its neighbours, by name and with the largest packets.

use nestlab_api::message::{Configure, HostEntry, InterfaceConfig};
use nestlab_model::doctor::{Check, Verdict};
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a neighbour may take to answer. It is emulated, perhaps, and busy.
const ANSWER: Duration = Duration::from_secs(2);

/// Bytes of a packet that passes every network.
const SMALL: u16 = 84;

/// All that the node was told of its networks, tried.
pub(super) fn checks(identity: &Configure) -> Vec<Check> {
    let mut checks = vec![names(identity), resolvers(identity), way_out(identity)];
    for entry in &identity.hosts {
        if let (Some(card), IpAddr::V4(address)) = (neighbour(identity, entry), entry.address) {
            let name = entry.names.first().map_or("", String::as_str);
            checks.push(packets(name, address, card.mtu));
        }
    }
    checks
}

/// The card behind which a host is, if it is another one and in a network of the node's.
fn neighbour<'a>(identity: &'a Configure, entry: &HostEntry) -> Option<&'a InterfaceConfig> {
    let cards = &identity.interfaces;
    let own = cards
        .iter()
        .any(|card| card.address.addr() == entry.address);
    let card = cards
        .iter()
        .find(|card| card.address.contains(&entry.address));
    card.filter(|_| !own)
}

fn packets(name: &str, address: Ipv4Addr, mtu: u16) -> Check {
    let id = format!("network.packets.{name}");
    let check = Check::new(
        id,
        format!("sent {name} echoes of {SMALL} and {mtu} bytes that nobody may split"),
    );
    let comes_back = |bytes| nestlab_sys::echo::comes_back(address, bytes, ANSWER);
    judge_packets(check, comes_back(mtu), || comes_back(SMALL))
}

fn judge_packets(
    check: Check,
    large: io::Result<bool>,
    small: impl FnOnce() -> io::Result<bool>,
) -> Check {
    match large {
        Ok(true) => check.found(Verdict::Ok, "both come back"),
        Err(error) => check.found(Verdict::Unproved, error.to_string()),
        Ok(false) if small().unwrap_or(false) => check
            .found(Verdict::Broken, "small ones come back, large ones do not")
            .means("connections begin and then hang")
            .mend("Give every bridge and card on the way the same MTU (`ip link set dev NAME mtu BYTES`)"),
        Ok(false) => check
            .found(Verdict::Degraded, "nothing comes back")
            .means("it is down, or does not answer echoes")
            .mend("`nestlab status` tells whether it runs"),
    }
}

/// Whether the first hop of every way out answers; what lies beyond is asked only by
/// [`reach`].
fn way_out(identity: &Configure) -> Check {
    let check = Check::new(
        "network.gateway",
        "looked for the default route, sent its gateway an echo",
    );
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    judge_way_out(check, identity.gateway, gateway(&routes), |address| {
        nestlab_sys::echo::comes_back(address, SMALL, ANSWER)
    })
}

fn judge_way_out(
    check: Check,
    wanted: Option<IpAddr>,
    found: Option<Ipv4Addr>,
    answers: impl FnOnce(Ipv4Addr) -> io::Result<bool>,
) -> Check {
    let Some(IpAddr::V4(wanted)) = wanted else {
        return check.found(Verdict::NotApplicable, "the lab gives it none");
    };
    if found != Some(wanted) {
        let found = found.map_or("none".to_owned(), |found| found.to_string());
        return check
            .found(
                Verdict::Broken,
                format!("the default route leads to {found}, not to {wanted}"),
            )
            .means("nothing outside its networks is reached")
            .mend(format!(
                "`ip route replace default via {wanted}` in the node"
            ))
            .fix([
                "ip",
                "route",
                "replace",
                "default",
                "via",
                &wanted.to_string(),
            ]);
    }
    match answers(wanted) {
        Ok(true) => check.found(Verdict::Ok, format!("{wanted} answers")),
        Ok(false) => check
            .found(Verdict::Broken, format!("{wanted} does not answer"))
            .means("nothing outside its networks is reached")
            .mend("`nestlab up` makes the networks of every level as they should be"),
        Err(error) => check.found(Verdict::Unproved, error.to_string()),
    }
}

/// The gateway of the default route in /proc/net/route, whose numbers are hexadecimal in
/// the order of the processor's bytes.
fn gateway(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (words.next()?, words.next()?);
        let number = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && number != 0).then(|| Ipv4Addr::from(number.to_ne_bytes()))
    })
}

/// Whether a place that somebody names, as `host:port`, is found and lets itself be
/// connected to by TCP.
pub fn reach(place: &str) -> Check {
    let check = Check::new(
        "network.reach",
        format!("looked up and connected to {place}"),
    );
    let addresses = match place.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            return check
                .found(Verdict::Broken, format!("not found: {error}"))
                .means("the name does not resolve here")
                .mend("See `network.resolver`; a network with `mode: nat` has a resolver");
        }
    };
    let mut why = String::from("it has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(_) => return check.found(Verdict::Ok, format!("{address} answers")),
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    check
        .found(Verdict::Broken, why)
        .means("it is not reached from here")
        .mend("See `network.gateway`; a network with `mode: nat` has a way out")
}

/// As programs do it, by getaddrinfo(3).
fn names(identity: &Configure) -> Check {
    let check = Check::new("network.names", "looked up the names of all neighbours");
    let mut names = 0;
    for entry in &identity.hosts {
        for name in &entry.names {
            let found = (name.as_str(), 0).to_socket_addrs();
            let mut found = found.into_iter().flatten();
            if !found.any(|found| found.ip() == entry.address) {
                return check
                    .found(
                        Verdict::Broken,
                        format!("`{name}` is not {}", entry.address),
                    )
                    .means("programs do not find each other by name")
                    .mend("`nestlab halt` and `nestlab up` write /etc/hosts anew");
            }
            names += 1;
        }
    }
    check.found(Verdict::Ok, format!("{names} names"))
}

fn resolvers(identity: &Configure) -> Check {
    let check = Check::new("network.resolver", "read /etc/resolv.conf");
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    judge_resolvers(check, &identity.resolvers, &text)
}

fn judge_resolvers(check: Check, wanted: &[IpAddr], text: &str) -> Check {
    let servers: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .collect();
    let local = servers.iter().any(|server| server.is_loopback());
    match wanted {
        [] => check.found(Verdict::NotApplicable, "the lab gives it none"),
        [first, ..] if servers.contains(first) || local => {
            check.found(Verdict::Ok, format!("{first} is asked"))
        }
        [first, ..] => check
            .found(Verdict::Broken, format!("{first} is not asked"))
            .means("names of the outside world are not found")
            .mend(format!(
                "`nestlab exec NODE -- sh -c 'echo nameserver {first} >/etc/resolv.conf'`"
            ))
            .fix([
                "sh",
                "-c",
                &format!("echo nameserver {first} >/etc/resolv.conf"),
            ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Configure {
        Configure {
            interfaces: vec![InterfaceConfig {
                mac: "52:54:00:00:00:01".into(),
                address: "10.1.0.11/24".parse().unwrap(),
                mtu: 1400,
                was: None,
            }],
            ..Configure::default()
        }
    }

    fn entry(address: &str) -> HostEntry {
        HostEntry {
            address: address.parse().unwrap(),
            names: vec!["localhost".into()],
        }
    }

    #[test]
    fn neighbours_are_others_in_a_network_of_ours() {
        let identity = identity();
        let mtu = |address| neighbour(&identity, &entry(address)).map(|card| card.mtu);
        assert_eq!(mtu("10.1.0.12"), Some(1400));
        assert_eq!(mtu("10.1.0.11"), None);
        assert_eq!(mtu("10.2.0.12"), None);
    }

    #[test]
    fn only_large_packets_lost_is_another_trouble_than_all_lost() {
        let verdict =
            |large, small: bool| judge_packets(Check::new("", ""), large, || Ok(small)).verdict;
        assert_eq!(verdict(Ok(true), true), Verdict::Ok);
        assert_eq!(verdict(Ok(false), true), Verdict::Broken);
        assert_eq!(verdict(Ok(false), false), Verdict::Degraded);
        let refused = Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(verdict(refused, true), Verdict::Unproved);
    }

    #[test]
    fn the_way_out_is_the_one_that_was_told() {
        let table = "Iface\tDestination\tGateway\tFlags\neth0\t00000A0A\t00000000\t0001\neth0\t00000000\t010A0A0A\t0003\n";
        let found = gateway(table);
        assert_eq!(found, Some(Ipv4Addr::new(10, 10, 10, 1)));
        assert_eq!(gateway(""), None);
        let verdict = |wanted: Option<[u8; 4]>, answers| {
            let wanted = wanted.map(IpAddr::from);
            judge_way_out(Check::new("", ""), wanted, found, |_| Ok(answers)).verdict
        };
        assert_eq!(verdict(None, true), Verdict::NotApplicable);
        assert_eq!(verdict(Some([10, 10, 10, 1]), true), Verdict::Ok);
        assert_eq!(verdict(Some([10, 10, 10, 1]), false), Verdict::Broken);
        assert_eq!(verdict(Some([10, 10, 10, 2]), true), Verdict::Broken);
    }

    #[test]
    fn a_place_is_reached_or_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string();
        assert_eq!(reach(&place).verdict, Verdict::Ok);
        drop(listener);
        assert_eq!(reach(&place).verdict, Verdict::Broken);
        assert_eq!(reach("no port").verdict, Verdict::Broken);
    }

    #[test]
    fn names_are_looked_up() {
        let mut identity = identity();
        identity.hosts = vec![entry("127.0.0.1")];
        assert_eq!(names(&identity).verdict, Verdict::Ok);
        identity.hosts = vec![entry("10.9.9.9")];
        let check = names(&identity);
        assert_eq!(check.verdict, Verdict::Broken);
        assert_eq!(check.found, "`localhost` is not 10.9.9.9");
    }

    #[test]
    fn the_resolver_is_the_one_that_was_told() {
        let wanted = ["10.0.0.1".parse().unwrap()];
        let verdict = |text| judge_resolvers(Check::new("", ""), &wanted, text).verdict;
        assert_eq!(verdict("# none\nnameserver 10.0.0.1\n"), Verdict::Ok);
        assert_eq!(verdict("nameserver 127.0.0.53\n"), Verdict::Ok);
        assert_eq!(verdict("nameserver 10.0.0.2\n"), Verdict::Broken);
        let none = judge_resolvers(Check::new("", ""), &[], "");
        assert_eq!(none.verdict, Verdict::NotApplicable);
    }
}
