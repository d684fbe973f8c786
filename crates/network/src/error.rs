//! What goes wrong with networks, and what to type next.

use nestlab_sys::keeper::{Step, user_namespace_hint};
use std::io;

/// Why a network could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A program is not installed.
    #[error("Cannot find the program `{program}`")]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The kernel refused a namespace.
    #[error("Cannot {step}")]
    Namespace {
        /// What was tried.
        step: Step,
        /// The program that tried.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A tap could not be made because /dev/net/tun is refused or absent.
    #[error("Cannot make the tap `{tap}`: /dev/net/tun is refused: {message}")]
    TunRefused {
        /// The interface.
        tap: String,
        /// The words of `ip`.
        message: String,
    },
    /// The kernel cannot limit how fast an endpoint is.
    #[error("Cannot {action}: {message}")]
    LimitRefused {
        /// What was tried.
        action: String,
        /// The program's words.
        message: String,
    },
    /// A program ended with an error.
    #[error("Cannot {action}: {message}")]
    Command {
        /// What was tried.
        action: String,
        /// The program's words.
        message: String,
    },
    /// The layer has no such network.
    #[error("There is no network `{0}` in this layer")]
    NoNetwork(String),
    /// A system call did not work.
    #[error("Cannot {action}")]
    Io {
        /// What was tried, on what.
        action: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl NetworkError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// What to type next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingProgram { package, .. } => Some(format!("sudo apt install {package}")),
            Self::Namespace { step, program, source } => namespace_hint(*step, program, source),
            Self::TunRefused { .. } => Some(
                "give ordinary users the tap device, as most distributions do: \
                 `sudo modprobe tun && sudo chmod 0666 /dev/net/tun`; or run as root: `sudo nestlab …`"
                    .to_owned(),
            ),
            Self::LimitRefused { .. } => Some(
                "`rate` and `priority` take the kernel modules sch_tbf, nft_limit and nft_meta_bridge: \
                 `sudo modprobe -a sch_tbf nft_limit nft_meta_bridge`; or leave the keys out"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn namespace_hint(step: Step, program: &str, source: &io::Error) -> Option<String> {
    if let (Step::User, Some(hint)) = (step, user_namespace_hint(program)) {
        return Some(hint);
    }
    // On Ubuntu the user namespace is granted, but without capabilities: what
    // is refused is the step after it.
    match source.raw_os_error() {
        // ENOSPC: a limit of user.max_*_namespaces is reached.
        Some(28) => Some("too many namespaces exist; `nestlab ls` shows the labs".to_owned()),
        Some(1 | 13) => user_namespace_hint(program).or_else(|| {
            Some(
                "this process may not make namespaces (inside a container?); run as root on the \
                 machine itself, or give the container `--privileged`"
                    .to_owned(),
            )
        }),
        _ => None,
    }
}
