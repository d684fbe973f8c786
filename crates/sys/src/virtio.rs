//! Virtio devices as a guest finds them, without udev.

use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::time::Sleep;

/// First pause while the host is absent.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause while the host is absent.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The block device with a serial.
///
/// # Errors
/// /sys cannot be read. `Ok(None)` if there is no such device.
pub fn block_device(serial: &str) -> io::Result<Option<PathBuf>> {
    Ok(find_block(Path::new("/sys/block"), |found| found == serial)?.map(|(path, _)| path))
}

/// The first block device whose serial begins so, with its whole serial.
///
/// # Errors
/// /sys cannot be read. `Ok(None)` if there is no such device.
pub fn block_device_with_prefix(prefix: &str) -> io::Result<Option<(PathBuf, String)>> {
    find_block(Path::new("/sys/block"), |found| found.starts_with(prefix))
}

fn find_block(
    root: &Path,
    matches: impl Fn(&str) -> bool,
) -> io::Result<Option<(PathBuf, String)>> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let Ok(serial) = std::fs::read_to_string(entry.path().join("serial")) else {
            continue;
        };
        if matches(serial.trim()) {
            let path = Path::new("/dev").join(entry.file_name());
            return Ok(Some((path, serial.trim().to_owned())));
        }
    }
    Ok(None)
}

/// The device of the virtio-serial port with a name.
///
/// # Errors
/// /sys cannot be read. `Ok(None)` if there is no such port, or not yet.
pub fn serial_port(name: &str) -> io::Result<Option<PathBuf>> {
    find_port(Path::new("/sys/class/virtio-ports"), name)
}

fn find_port(root: &Path, name: &str) -> io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let found = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if found.trim() == name {
            return Ok(Some(Path::new("/dev").join(entry.file_name())));
        }
    }
    Ok(None)
}

/// A virtio-serial port as a byte stream without end. While the host is absent
/// reads and writes wait: where a session begins and ends is the business of
/// the layer above.
#[derive(Debug)]
pub struct VirtioPort {
    // Two registrations: renewing one must not lose the other's waker.
    reader: Half,
    writer: Half,
}

impl VirtioPort {
    /// Opens the port with a name. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As open(2): `ResourceBusy` if another process has it. `Ok(None)` if there
    /// is no such port.
    pub fn open(name: &str) -> io::Result<Option<Self>> {
        serial_port(name)?
            .map(|path| Self::open_path(&path))
            .transpose()
    }

    /// Opens a port by its device.
    ///
    /// # Errors
    /// As open(2).
    pub fn open_path(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)?;
        let reader = OwnedFd::from(file);
        let writer = reader.try_clone()?;
        Self::new(reader, writer)
    }

    fn new(reader: OwnedFd, writer: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            reader: Half::new(reader, Interest::READABLE)?,
            writer: Half::new(writer, Interest::WRITABLE)?,
        })
    }
}

/// One direction.
#[derive(Debug)]
struct Half {
    interest: Interest,
    fd: AsyncFd<OwnedFd>,
    /// Runs while the host is absent.
    pause: Option<Pin<Box<Sleep>>>,
    next_pause: Duration,
}

impl Half {
    fn new(fd: OwnedFd, interest: Interest) -> io::Result<Self> {
        let fd = crate::ready::watch(fd, interest)?;
        Ok(Self {
            interest,
            fd,
            pause: None,
            next_pause: SHORTEST_PAUSE,
        })
    }

    /// Tries until something was moved; `Ok(0)` and "would block" both mean to wait.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&OwnedFd) -> nix::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
                self.renew()?;
            }
            let mut guard = ready!(if self.interest.is_readable() {
                self.fd.poll_read_ready(context)
            } else {
                self.fd.poll_write_ready(context)
            })?;
            let closed = guard.ready().is_read_closed() || guard.ready().is_write_closed();
            match attempt(guard.get_inner()) {
                Ok(0) => {}
                Ok(count) => {
                    self.next_pause = SHORTEST_PAUSE;
                    return Poll::Ready(Ok(count));
                }
                Err(nix::Error::EINTR) => continue,
                Err(nix::Error::EAGAIN) if !closed => {
                    guard.clear_ready();
                    continue;
                }
                Err(nix::Error::EAGAIN | nix::Error::EPIPE) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            self.pause = Some(Box::pin(tokio::time::sleep(self.next_pause)));
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Registers anew: tokio remembers a hang-up for good, while on this device
    /// it passes when the host returns.
    fn renew(&mut self) -> io::Result<()> {
        let again = self.fd.get_ref().as_fd().try_clone_to_owned()?;
        self.fd = crate::ready::watch(again, self.interest)?;
        Ok(())
    }
}

impl AsyncRead for VirtioPort {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let space = buffer.initialize_unfilled();
        if space.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let count = ready!(self.reader.poll(context, |fd| nix::unistd::read(fd, space)))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VirtioPort {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer
            .poll(context, |fd| nix::unistd::write(fd, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tokio::io::AsyncReadExt;

    /// A FIFO behaves as the port does: without a writer, poll says hang-up and
    /// read gives 0; both pass when a writer comes.
    #[tokio::test]
    async fn an_absent_host_is_waited_for_and_may_return() {
        let folder = crate::dir::scratch("virtio");
        let path = folder.join("port");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = || {
            let flags = OFlag::O_NONBLOCK.bits();
            OwnedFd::from(
                OpenOptions::new()
                    .read(true)
                    .custom_flags(flags)
                    .open(&path)
                    .unwrap(),
            )
        };
        let writer = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let Ok(writer) = Half::new(writer, Interest::WRITABLE) else {
            // /dev/null cannot be registered; any pollable descriptor does.
            let mut port = VirtioPort::new(open(), open()).unwrap();
            return sessions(&mut port, &path, &folder).await;
        };
        let mut port = VirtioPort {
            reader: Half::new(open(), Interest::READABLE).unwrap(),
            writer,
        };
        sessions(&mut port, &path, &folder).await;
    }

    async fn sessions(port: &mut VirtioPort, path: &Path, folder: &Path) {
        let mut bytes = [0; 16];
        for session in 0..3 {
            let absent = tokio::time::timeout(Duration::from_millis(150), port.read(&mut bytes));
            assert!(
                absent.await.is_err(),
                "session {session}: nothing to read yet"
            );
            let mut host = OpenOptions::new().write(true).open(path).unwrap();
            for word in [b"one", b"two"] {
                host.write_all(word).unwrap();
                let got = tokio::time::timeout(Duration::from_secs(2), port.read(&mut bytes));
                assert_eq!(got.await.unwrap().unwrap(), 3);
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
