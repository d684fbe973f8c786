//! Echoes (RFC 792), to find out whether a packet of some size gets through.

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// Bytes of an IPv4 header without options, and of an echo's.
const IP: usize = 20;
const ICMP: usize = 8;

const ECHO: u8 = 8;
const REPLY: u8 = 0;

/// The longest packet that is looked for, in bytes.
const LONGEST: usize = 65_535;

/// Sends a packet of so many bytes, headers included, that nobody on the way may split,
/// and tells whether it came back. Needs CAP_NET_RAW.
///
/// # Errors
/// As socket(2) and connect(2).
pub fn comes_back(address: Ipv4Addr, bytes: u16, within: Duration) -> io::Result<bool> {
    let raw = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Icmp,
    )?;
    // Any socket; that the standard library calls it UDP changes nothing.
    let socket = UdpSocket::from(raw);
    crate::socket::dont_fragment(&socket)?;
    socket.connect((address, 0))?;
    let mut nonce = [0; 4];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut nonce)?;
    match socket.send(&request(nonce, usize::from(bytes).saturating_sub(IP))) {
        Ok(_) => {}
        // That of our own card is smaller.
        Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => return Ok(false),
        Err(error) => return Err(error),
    }
    let deadline = Instant::now() + within;
    let mut packet = vec![0; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut packet) {
            Ok(length) if is_reply(&packet[..length], nonce) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An echo request with its header.
fn request(nonce: [u8; 4], length: usize) -> Vec<u8> {
    let mut message = vec![0; length.max(ICMP)];
    message[0] = ECHO;
    message[4..8].copy_from_slice(&nonce);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Whether a packet, with the header of IPv4, answers the request with this nonce.
fn is_reply(packet: &[u8], nonce: [u8; 4]) -> bool {
    let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    let message = packet.get(header..).unwrap_or_default();
    message.first() == Some(&REPLY) && message.get(4..8) == Some(&nonce)
}

/// As RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [last] => u32::from(*last) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_summed_and_its_reply_known() {
        let request = request([1, 2, 3, 4], 100);
        assert_eq!((request.len(), request[0]), (100, ECHO));
        assert_eq!(
            checksum(&request),
            0,
            "RFC 1071: a whole message sums up to nothing"
        );
        let mut packet = vec![0; IP];
        packet[0] = 0x45;
        packet.extend(&request);
        assert!(!is_reply(&packet, [1, 2, 3, 4]), "it is our own");
        packet[IP] = REPLY;
        assert!(is_reply(&packet, [1, 2, 3, 4]));
        assert!(!is_reply(&packet, [1, 2, 3, 5]));
        assert!(!is_reply(&[], [0; 4]));
        assert!(!is_reply(&[0x4f], [0; 4]));
    }
}
