//! The keeper: a process that does nothing but hold a lab's user, network and
//! mount namespace, and so outlives whoever works in them.
//!
//! It is the body of the hidden command `nestlab __keeper LABID`, run while the
//! process is single-threaded. Its standard output carries one line: `ready`,
//! or `refused STEP ERRNO`, read back by [`read_report`].

use nix::sched::{CloneFlags, unshare};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// Tells the keeper that it was started within the namespaces that it is to hold.
pub const JOINED: &str = "--joined";

/// A step of becoming a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making the user namespace and mapping our user into it.
    User,
    /// Making the network namespace.
    Network,
    /// Making the mount namespace.
    Mount,
    /// Setting the new network namespace up.
    Setup,
}

impl Step {
    const ALL: [(Self, &str); 4] = [
        (Self::User, "user"),
        (Self::Network, "network"),
        (Self::Mount, "mount"),
        (Self::Setup, "setup"),
    ];

    fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(step, _)| *step == self)
            .map_or("setup", |(_, word)| word)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "make a user namespace",
            Self::Network => "make a network namespace",
            Self::Mount => "make a mount namespace",
            Self::Setup => "set up the new network namespace",
        })
    }
}

/// Becomes a keeper. `arguments` are those behind `__keeper`: the lab's id,
/// then `--joined` (hold the namespaces we are in) or nothing (make new ones),
/// and optionally `--tmpfs DIR BYTES`. Never returns on success.
///
/// # Errors
/// The kernel refuses; it has been reported on standard output too.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Infallible> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let joined = arguments.iter().any(|argument| argument == JOINED);
    let prepared = if joined { Ok(()) } else { prepare(&arguments) };
    let line = match &prepared {
        Ok(()) => "ready\n".to_owned(),
        Err((step, error)) => {
            format!(
                "refused {} {}\n",
                step.word(),
                error.raw_os_error().unwrap_or(0)
            )
        }
    };
    // Whoever waited may be gone; the namespaces are held all the same.
    let _ = io::stdout()
        .write_all(line.as_bytes())
        .and_then(|()| io::stdout().flush());
    prepared
        .map_err(|(step, error)| io::Error::new(error.kind(), format!("cannot {step}: {error}")))?;
    let_go_of_streams()?;
    loop {
        nix::unistd::pause();
    }
}

/// What a keeper said.
///
/// # Errors
/// The step that was refused, and why.
pub fn read_report(line: &str) -> Result<(), (Step, io::Error)> {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("ready"), None, None) => Ok(()),
        (Some("refused"), Some(word), Some(code)) => {
            let step = Step::ALL.iter().find(|(_, known)| *known == word);
            let code = code.parse().unwrap_or(nix::libc::EIO);
            Err((
                step.map_or(Step::Setup, |(step, _)| *step),
                io::Error::from_raw_os_error(code),
            ))
        }
        _ => Err((
            Step::Setup,
            io::Error::new(io::ErrorKind::UnexpectedEof, "the keeper ended"),
        )),
    }
}

type Refused = (Step, io::Error);

fn prepare(arguments: &[OsString]) -> Result<(), Refused> {
    if !nix::unistd::geteuid().is_root() {
        make_user_namespace().map_err(|error| (Step::User, error))?;
    }
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| (Step::Network, error.into()))?;
    make_mount_namespace(arguments).map_err(|error| (Step::Mount, error))?;
    // Only now: these settings belong to the network namespace of the writer.
    set_up_network().map_err(|error| (Step::Setup, error))
}

fn make_user_namespace() -> io::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // An ordinary user may map its group only after giving up setgroups
    // (user_namespaces(7)).
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1\n"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1\n"))
}

fn make_mount_namespace(arguments: &[OsString]) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    crate::mount::make_private()?;
    let Some(at) = arguments.iter().position(|argument| argument == "--tmpfs") else {
        return Ok(());
    };
    let bad = || io::Error::from_raw_os_error(nix::libc::EINVAL);
    let folder = PathBuf::from(arguments.get(at + 1).ok_or_else(bad)?);
    let size = arguments
        .get(at + 2)
        .and_then(|text| text.to_str()?.parse().ok());
    crate::mount::tmpfs(&folder, size.ok_or_else(bad)?)
}

fn set_up_network() -> io::Result<()> {
    for name in ["all", "default"] {
        // Absent where the kernel has no IPv6, which is as good.
        for (key, value) in [("disable_ipv6", "1"), ("accept_ra", "0")] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{key}"), value);
        }
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    loopback_up()
}

/// Sets IFF_UP on `lo` (netdevice(7)).
fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an ifreq is plain data, for which all zeroes are valid.
    let mut request: nix::libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = *byte as _;
    }
    let flags = nix::libc::IFF_UP | nix::libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = flags as i16;
    use std::os::fd::AsRawFd;
    // SAFETY: the kernel reads one ifreq, which lives until it returns.
    match unsafe {
        nix::libc::ioctl(
            socket.as_raw_fd(),
            nix::libc::SIOCSIFFLAGS,
            &raw const request,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets whoever reads our output see its end, and keeps nothing of it open.
fn let_go_of_streams() -> io::Result<()> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    std::env::set_current_dir("/")
}

/// What to type when user namespaces are refused on this machine, if the cause
/// is known. `program` is our own executable.
pub fn user_namespace_hint(program: &str) -> Option<String> {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return Some(apparmor_hint(program));
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Some(
            "this kernel gives user namespaces to root only \
             (kernel.unprivileged_userns_clone = 0); run as root: `sudo nestlab …`"
                .to_owned(),
        );
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return Some(
            "this machine allows no user namespaces (user.max_user_namespaces = 0); \
             run as root: `sudo nestlab …`"
                .to_owned(),
        );
    }
    None
}

/// A profile for this one program, in place of a global setting.
fn apparmor_hint(program: &str) -> String {
    format!(
        "AppArmor keeps ordinary users from user namespaces here; allow this one program:\n\
         sudo tee /etc/apparmor.d/nestlab >/dev/null <<'END'\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         profile nestlab \"{program}\" flags=(unconfined) {{\n\
         \x20 userns,\n\
         }}\n\
         END\n\
         sudo apparmor_parser -r /etc/apparmor.d/nestlab"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_back() {
        assert!(read_report("ready\n").is_ok());
        let (step, error) = read_report("refused user 1\n").unwrap_err();
        assert_eq!((step, error.raw_os_error()), (Step::User, Some(1)));
        assert_eq!(read_report("").unwrap_err().0, Step::Setup);
    }

    #[test]
    fn the_profile_names_the_program() {
        assert!(apparmor_hint("/usr/bin/nestlab").contains("profile nestlab \"/usr/bin/nestlab\""));
    }
}
