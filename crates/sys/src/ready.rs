//! Descriptors that the runtime watches.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime watch a descriptor. Must be called within a tokio runtime.
///
/// # Errors
/// As epoll_ctl(2): the descriptor cannot be polled.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until dropped,
    // and the AsyncFd owns it from here on.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
