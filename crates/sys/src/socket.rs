//! Socket options that the standard library does not have.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Has datagrams refused rather than split when they exceed an MTU on the way
/// (ip(7), IP_MTU_DISCOVER). That is how an MTU is proved.
///
/// # Errors
/// As setsockopt(2).
pub fn dont_fragment(socket: &UdpSocket) -> io::Result<()> {
    let value: nix::libc::c_int = nix::libc::IP_PMTUDISC_DO;
    // SAFETY: the kernel reads one int, which lives until it returns, and its
    // size is passed along.
    let result = unsafe {
        nix::libc::setsockopt(
            socket.as_raw_fd(),
            nix::libc::IPPROTO_IP,
            nix::libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            size_of_val(&value) as nix::libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
