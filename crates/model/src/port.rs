//! Forwarded ports.

use crate::{NodePath, ParsePathError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// The transport of a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A stream per connection.
    Tcp,
    /// Datagrams, kept in flows by the sender's address.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of this machine that leads to a port of a node, at any level.
///
/// Written as compose does, with an optional path to a node *inside* the one
/// that lists it: `[ADDRESS:]PORT:[PATH:]PORT[/udp]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortForward {
    /// The address of this machine to listen on; 127.0.0.1 if none was given.
    pub listen: IpAddr,
    /// The port of this machine to listen on; 0 lets the kernel choose.
    pub host_port: u16,
    /// The node that answers, below the node that lists the port.
    pub target: NodePath,
    /// The port of that node.
    pub node_port: u16,
    /// The transport.
    pub protocol: Protocol,
}

/// Why a text is not a forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePortError {
    /// The text has not two, three or four parts between colons.
    #[error("A port is written `[ADDRESS:]PORT:[NODE:]PORT[/udp]`, as in `8080:80`")]
    Shape,
    /// A part that must be a port is none.
    #[error("{0:?} is not a port number (1 to 65535)")]
    Port(String),
    /// The word behind the slash is no transport.
    #[error("{0:?} is not a protocol: use `tcp` or `udp`")]
    Protocol(String),
    /// The part before the inner port is no path.
    #[error(transparent)]
    Path(#[from] ParsePathError),
}

impl FromStr for PortForward {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, ParsePortError> {
        let (addresses, protocol) = match split_protocol(text) {
            (rest, None | Some("tcp")) => (rest, Protocol::Tcp),
            (rest, Some("udp")) => (rest, Protocol::Udp),
            (_, Some(other)) => return Err(ParsePortError::Protocol(other.to_owned())),
        };
        let (listen, rest) = split_address(addresses);
        let parts: Vec<&str> = rest.split(':').collect();
        let (host, target, node) = match parts.as_slice() {
            [host, node] => (host, NodePath::host(), node),
            [host, target, node] => (host, target.parse()?, node),
            _ => return Err(ParsePortError::Shape),
        };
        Ok(Self {
            listen: listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host_port: parse_port(host, 0)?,
            target,
            node_port: parse_port(node, 1)?,
            protocol,
        })
    }
}

/// `8080:80/udp` → (`8080:80`, `udp`). A slash also stands in paths, but never
/// after the last colon.
fn split_protocol(text: &str) -> (&str, Option<&str>) {
    let tail = text.rfind(':').unwrap_or(0);
    match text[tail..].find('/') {
        Some(slash) => (&text[..tail + slash], Some(&text[tail + slash + 1..])),
        None => (text, None),
    }
}

/// Takes a leading `127.0.0.1:` or `[::1]:` off.
fn split_address(text: &str) -> (Option<IpAddr>, &str) {
    if let Some((inner, rest)) = text.strip_prefix('[').and_then(|t| t.split_once("]:")) {
        return (inner.parse().ok(), rest);
    }
    match text.split_once(':') {
        Some((head, rest)) if head.contains('.') => match head.parse() {
            Ok(address) => (Some(address), rest),
            Err(_) => (None, text),
        },
        _ => (None, text),
    }
}

fn parse_port(text: &str, least: u16) -> Result<u16, ParsePortError> {
    text.parse()
        .ok()
        .filter(|port| *port >= least)
        .ok_or_else(|| ParsePortError::Port(text.to_owned()))
}

impl fmt::Display for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.listen {
            IpAddr::V4(Ipv4Addr::LOCALHOST) => {}
            IpAddr::V4(address) => write!(f, "{address}:")?,
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}:", self.host_port)?;
        if !self.target.is_host() {
            write!(f, "{}:", self.target)?;
        }
        write!(f, "{}", self.node_port)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_parse_and_print() {
        let same = |text: &str| assert_eq!(text.parse::<PortForward>().unwrap().to_string(), text);
        same("8080:80");
        same("8500:consul-1:8500");
        same("8500:l2/consul-1:8500/udp");
        same("0.0.0.0:53:53/udp");
        same("[::1]:80:80");
        let error = |text: &str| text.parse::<PortForward>().unwrap_err().to_string();
        assert!(error("80").contains("written"));
        assert!(error("80:0").contains("not a port"));
        assert!(error("80:80/sctp").contains("not a protocol"));
        assert!(error("80:A:80").contains("not a node name"));
    }
}
