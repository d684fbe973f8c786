//! What the standard library does not know of sockets.

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::net::UnixListener;

/// The first descriptor behind the standard ones.
const INHERITED: RawFd = 3;

/// Takes the listening socket that this process was started with as its first descriptor
/// behind the standard ones; no program started from here has it. To be called once.
///
/// # Errors
/// There is none.
pub fn inherited_listener() -> io::Result<UnixListener> {
    // SAFETY: fcntl takes three numbers; a descriptor that is not open is an error.
    let closed = unsafe { nix::libc::fcntl(INHERITED, nix::libc::F_SETFD, nix::libc::FD_CLOEXEC) };
    if closed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen, and was given to us by whoever started us.
    let listener = unsafe { UnixListener::from_raw_fd(INHERITED) };
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Gives open files of ours to whoever is at the other end of a Unix socket (unix(7),
/// SCM_RIGHTS), with one byte.
///
/// # Errors
/// As sendmsg(2).
pub fn hand_over(socket: impl AsFd, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let word = [io::IoSlice::new(b"!")];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let socket = socket.as_fd().as_raw_fd();
    sendmsg::<()>(socket, &word, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

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

/// How much of what was written to a Unix socket its peer has not read yet
/// (`SIOCOUTQ`): 0 if that is nothing, else its bytes and what the kernel keeps
/// beside them.
///
/// # Errors
/// It is no socket.
pub fn unread(socket: impl AsFd) -> io::Result<usize> {
    let mut count: nix::libc::c_int = 0;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes one int, which lives until it returns.
    match unsafe { nix::libc::ioctl(socket, nix::libc::TIOCOUTQ, &raw mut count) } {
        0 => Ok(usize::try_from(count).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_the_peer_has_not_read_is_counted() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(unread(&ours).unwrap(), 0);
        ours.write_all(b"word").unwrap();
        assert!(unread(&ours).unwrap() >= 4);
        theirs.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(unread(&ours).unwrap(), 0);
    }
}
