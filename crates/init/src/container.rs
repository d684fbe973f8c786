//! PID 1 of a container: its kernel runs and its files are there, so it only keeps the
//! agent, and hands what it says to whoever listens at the console.
//!
//! It is started with two listening sockets, made outside: the link as descriptor 3, which
//! the agent takes, and the console as descriptor 4. Under an engine that hands nothing
//! down it fetches them first, from a socket that was put in its way.

use crate::end::How;
use crate::{agent, end, loopback, say};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{ForkResult, fork};
use std::fs::File;
use std::io::{self, IoSliceMut, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// By this variable a first process knows that it is a container's (systemd's document
/// CONTAINER_INTERFACE).
const VARIABLE: &str = "container";

/// By this one it learns where it fetches what it was not started with.
const HAND: &str = "NESTLAB_HAND";

const LINK: RawFd = 3;
const CONSOLE: RawFd = 4;

/// Where descriptors are put aside, behind all places that they go to.
const ASIDE: RawFd = 64;

/// Most bytes that are handed on at a time.
const CHUNK: usize = 4096;

/// Whether this is the first process of a container of ours.
pub fn is_one() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| value == "nestlab")
}

/// Keeps the agent running until the container is to end; gives its exit status.
pub fn run() -> i32 {
    if let Ok(hand) = std::env::var(HAND)
        && let Err(error) = fetch_sockets(&hand)
    {
        say::line(&format!("cannot fetch link and console: {error}"));
        return 1;
    }
    if let Err(error) = start_console() {
        say::line(&format!("there is no console: {error}"));
    }
    loopback::raise();
    say::line("up");
    let Err(error) = agent::keep_running(&[agent::AGENT, c"agent", c"--container"], ended);
    say::line(&format!("cannot go on: {error}"));
    1
}

/// A container that restarts keeps its files, its network and this process.
fn ended(how: How) {
    end::everybody();
    if let How::PowerOff = how {
        std::process::exit(0);
    }
    say::line("restarts");
}

/// Takes link and console from whoever listens at a path (unix(7), SCM_RIGHTS).
fn fetch_sockets(hand: &str) -> io::Result<()> {
    let stream = UnixStream::connect(hand)?;
    let mut byte = [0];
    let mut words = [IoSliceMut::new(&mut byte)];
    let mut rights = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut words, Some(&mut rights), flags)?;
    let given = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(given) => Some(given),
        _ => None,
    });
    let given = given.unwrap_or_default();
    let [link, console] = given[..] else {
        return Err(io::Error::other("nothing was given"));
    };
    drop(stream);
    // SAFETY: fcntl, dup2 and close take numbers. The two were just given to us, and
    // nobody here holds what is replaced: behind the standard streams nothing is open.
    unsafe {
        let aside = [link, console].map(|fd| {
            let copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ASIDE);
            libc::close(fd);
            copy
        });
        for (copy, place) in aside.into_iter().zip([LINK, CONSOLE]) {
            if libc::dup2(copy, place) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::close(copy);
        }
    }
    Ok(())
}

/// Has a process of its own serve the console, so that nobody who reads slowly or not at
/// all can stop us.
fn start_console() -> io::Result<()> {
    let (words, ours) = io::pipe()?;
    // SAFETY: this process has one thread, so the child may do whatever we may.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(ours);
            // What it was started with is a file outside, which nobody here is to fill.
            let null = File::options().read(true).write(true).open("/dev/null")?;
            for number in 0..3 {
                // SAFETY: dup2 takes two numbers; the first belongs to an open file, and
                // nobody here holds the standard streams.
                unsafe { libc::dup2(null.as_raw_fd(), number) };
            }
            // SAFETY: it was given to us, and nobody here holds it.
            let listener = unsafe { UnixListener::from_raw_fd(CONSOLE) };
            let _ = serve(&listener, words);
            // SAFETY: _exit ends this child at once, leaving the parent's things alone.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { .. } => {
            let null = File::options().read(true).write(true).open("/dev/null")?;
            for (file, number) in [
                (null.as_raw_fd(), 0),
                (ours.as_raw_fd(), 1),
                (ours.as_raw_fd(), 2),
            ] {
                // SAFETY: dup2 takes two numbers; the first belongs to an open file, and
                // nobody here holds the standard streams.
                unsafe { libc::dup2(file, number) };
            }
            // SAFETY: the child has it now; nobody here holds it.
            unsafe { libc::close(CONSOLE) };
            Ok(())
        }
    }
}

/// Hands words to the last who has connected, until there are no more.
fn serve(listener: &UnixListener, mut words: PipeReader) -> io::Result<()> {
    let mut client: Option<UnixStream> = None;
    let mut chunk = [0; CHUNK];
    loop {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut wanted = [readable(words.as_fd()), readable(listener.as_fd())];
        poll(&mut wanted, PollTimeout::NONE)?;
        let [said, knocked] = wanted.map(|fd| fd.any().unwrap_or(false));
        if knocked && let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            client = Some(stream);
        }
        if said {
            match words.read(&mut chunk)? {
                0 => return Ok(()),
                bytes => {
                    let told = client.as_mut().map(|client| client.write(&chunk[..bytes]));
                    if matches!(told, Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock)
                    {
                        client = None;
                    }
                }
            }
        }
    }
}
