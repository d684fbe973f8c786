//! Connections to ports of this node, for the parent that forwards them.

use crate::guest::Guest;
use crate::rejection::Rejection;
use crate::upgrade;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use nestlab_model::Protocol;
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long one address may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// The largest datagram in bytes.
const MAX_DATAGRAM: usize = 65_535;

#[derive(Deserialize)]
pub(crate) struct DialQuery {
    port: u16,
    #[serde(default = "tcp")]
    protocol: Protocol,
}

fn tcp() -> Protocol {
    Protocol::Tcp
}

pub(crate) async fn dial(
    State(guest): State<Guest>,
    Query(DialQuery { port, protocol }): Query<DialQuery>,
    request: Request,
) -> Result<Response, Rejection> {
    let addresses = addresses(&guest);
    let refused = |error: io::Error| {
        let message = format!("Nothing answers on {protocol} port {port}");
        Rejection::with_causes(StatusCode::BAD_GATEWAY, "refused", message, &error)
    };
    match protocol {
        Protocol::Tcp => {
            let stream = connect(&addresses, port).await.map_err(refused)?;
            Ok(upgrade::splice(request, stream))
        }
        Protocol::Udp => {
            let socket = udp(&addresses, port).await.map_err(refused)?;
            Ok(upgrade::accept(request, |stream| async move {
                if let Err(error) = carry(stream, socket).await {
                    tracing::debug!(%error, "a flow of datagrams has ended");
                }
            }))
        }
    }
}

/// The loopback first, then the node's own: a server may listen on one of them only.
fn addresses(guest: &Guest) -> Vec<IpAddr> {
    let own = guest
        .identity()
        .map(|identity| identity.interfaces)
        .unwrap_or_default();
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        .into_iter()
        .chain(own.into_iter().map(|interface| interface.address.addr()))
        .collect()
}

async fn connect(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut refusal: Option<io::Error> = None;
    for address in addresses {
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        match tokio::time::timeout(DEADLINE, connecting).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            // The first refusal tells most: the loopback is always there.
            Ok(Err(error)) => refusal = refusal.or(Some(error)),
            Err(_) => refusal = refusal.or(Some(io::ErrorKind::TimedOut.into())),
        }
    }
    Err(refusal.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// A socket for the first address on which somebody listens. Datagrams are not
/// refused, so the kernel's table is asked (proc(5), net/udp).
async fn udp(addresses: &[IpAddr], port: u16) -> io::Result<UdpSocket> {
    let table = |name| std::fs::read_to_string(name).unwrap_or_default();
    let (v4, v6) = (table("/proc/net/udp"), table("/proc/net/udp6"));
    let listens = |address: &IpAddr| match address {
        IpAddr::V4(address) => listens_v4(&v4, *address, port) || listens_any_v6(&v6, port),
        IpAddr::V6(_) => listens_any_v6(&v6, port),
    };
    let target = addresses
        .iter()
        .find(|address| listens(address))
        .or(addresses.first());
    let target = target.copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
    let local: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect((target, port)).await?;
    Ok(socket)
}

/// The addresses of sockets bound to a port, in the table's hexadecimal.
fn bound(table: &str, port: u16) -> impl Iterator<Item = &str> {
    table.lines().filter_map(move |line| {
        let (address, found) = line.split_ascii_whitespace().nth(1)?.split_once(':')?;
        (u16::from_str_radix(found, 16).ok()? == port).then_some(address)
    })
}

fn listens_v4(table: &str, address: Ipv4Addr, port: u16) -> bool {
    let wanted = format!("{:08X}", u32::from_le_bytes(address.octets()));
    bound(table, port).any(|found| found == wanted || found == "00000000")
}

fn listens_any_v6(table: &str, port: u16) -> bool {
    bound(table, port).any(|found| found.bytes().all(|digit| digit == b'0'))
}

/// Carries datagrams, each after its length in two bytes, both ways.
async fn carry(stream: impl AsyncRead + AsyncWrite + Send, socket: UdpSocket) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let forth = async {
        let mut datagram = vec![0; MAX_DATAGRAM];
        loop {
            let length = usize::from(reader.read_u16().await?);
            reader.read_exact(&mut datagram[..length]).await?;
            // Nobody listening yet is no reason to end the flow.
            let _ = socket.send(&datagram[..length]).await;
        }
    };
    let back = async {
        let mut datagram = vec![0; MAX_DATAGRAM];
        loop {
            let Ok(length) = socket.recv(&mut datagram).await else {
                continue;
            };
            let prefix = u16::try_from(length).map_err(io::Error::other)?;
            writer.write_u16(prefix).await?;
            writer.write_all(&datagram[..length]).await?;
            writer.flush().await?;
        }
    };
    tokio::select! {
        ended = forth => ended,
        ended = back => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address\n\
            1: 0100007F:0035 00000000:0000 07\n 2: 00000000:0044 00000000:0000 07\n";
        assert!(listens_v4(table, Ipv4Addr::LOCALHOST, 53));
        assert!(!listens_v4(table, Ipv4Addr::new(10, 0, 0, 1), 53));
        assert!(listens_v4(table, Ipv4Addr::new(10, 0, 0, 1), 68));
        assert!(!listens_v4(table, Ipv4Addr::LOCALHOST, 1));
    }
}
