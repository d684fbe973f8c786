//! Pseudo-terminals: a program that believes it has a terminal, and our end.

use crate::terminal::{WindowSize, set_window_size};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// Our end of a pseudo-terminal. Reading gives the end of file when no process
/// has the other end open any more.
#[derive(Debug)]
pub struct Pty(AsyncFd<OwnedFd>);

/// The program's end, to be given to one command.
#[derive(Debug)]
pub struct PtySlave(OwnedFd);

impl Pty {
    /// Opens a pseudo-terminal. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As openpty(3).
    pub fn open(size: WindowSize) -> io::Result<(Self, PtySlave)> {
        let pair = nix::pty::openpty(None, None)?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(
            &pair.master,
            FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK),
        )?;
        set_window_size(pair.master.as_fd(), size)?;
        Ok((
            Self(crate::ready::watch(
                pair.master,
                Interest::READABLE | Interest::WRITABLE,
            )?),
            PtySlave(pair.slave),
        ))
    }

    /// Tells the program the size of its terminal.
    ///
    /// # Errors
    /// As ioctl(2).
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        set_window_size(self.0.get_ref().as_fd(), size)
    }
}

impl PtySlave {
    /// Makes this the standard streams and the controlling terminal of a
    /// command, which becomes the leader of a new session. Drop the command
    /// after spawning it: it holds this end open.
    ///
    /// # Errors
    /// There are no free descriptors.
    pub fn attach(self, command: &mut tokio::process::Command) -> io::Result<()> {
        command.stdin(Stdio::from(self.0.try_clone()?));
        command.stdout(Stdio::from(self.0.try_clone()?));
        command.stderr(Stdio::from(self.0));
        // SAFETY: setsid and ioctl are async-signal-safe; descriptor 0 is the
        // terminal's end by now, since streams are set before pre_exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                match nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        Ok(())
    }
}

impl AsyncRead for Pty {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            let Ok(result) =
                guard.try_io(|fd| nix::unistd::read(fd.get_ref(), space).map_err(io::Error::from))
            else {
                continue;
            };
            return Poll::Ready(match result {
                Ok(count) => {
                    buffer.advance(count);
                    Ok(())
                }
                // So the kernel says that the other end is closed.
                Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(()),
                Err(error) => Err(error),
            });
        }
    }
}

impl AsyncWrite for Pty {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            let write = |fd: &AsyncFd<OwnedFd>| {
                nix::unistd::write(fd.get_ref(), bytes).map_err(io::Error::from)
            };
            if let Ok(result) = guard.try_io(write) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl std::os::fd::AsRawFd for Pty {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_program_has_a_terminal_of_our_size() {
        let (mut pty, slave) = Pty::open(WindowSize {
            rows: 33,
            columns: 77,
        })
        .unwrap();
        let mut command = tokio::process::Command::new("sh");
        command.args([
            "-c",
            "stty size </dev/tty; read word; echo got $word; exit 3",
        ]);
        slave.attach(&mut command).unwrap();
        let mut child = command.spawn().unwrap();
        drop(command);
        pty.write_all(b"this\n").await.unwrap();
        let mut seen = String::new();
        pty.read_to_string(&mut seen).await.unwrap();
        assert!(
            seen.contains("33 77") && seen.contains("got this"),
            "{seen}"
        );
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
    }
}
