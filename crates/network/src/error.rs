//! What can go wrong, and what to type then.

use nestlab_sys::keeper::{Step, user_namespace_hint};
use std::io;
use std::process::ExitStatus;

/// A network could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refused the lab's namespaces.
    #[error("Cannot {step}")]
    Namespace {
        /// What the keeper was doing.
        step: Step,
        /// The keeper's program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Something was to be done with a process: the keeper, the gateway.
    #[error("Cannot {action}")]
    Process {
        /// What was being done to which process.
        action: String,
        /// Why not.
        source: io::Error,
    },
    /// A program that is needed is not installed, or does not start.
    #[error("Cannot run `{program}`")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program was run and refused.
    #[error("Cannot {action}")]
    Refused {
        /// What was being done.
        action: String,
        /// What the program said.
        source: Refusal,
    },
    /// The layer has no such network.
    #[error("The layer has no network `{0}`")]
    UnknownNetwork(String),
}

/// What a program said when it refused.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` ended with {status}{}{message}", if message.is_empty() { "" } else { ": " })]
pub struct Refusal {
    /// The program.
    pub program: &'static str,
    /// How it ended.
    pub status: ExitStatus,
    /// Its messages.
    pub message: String,
}

impl NetworkError {
    /// What to type next, where the cause is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Namespace { step: Step::User, program, .. } => user_namespace_hint(program),
            Self::Namespace { source, .. } if source.raw_os_error() == Some(NO_SPACE) => Some(
                "this machine has as many namespaces as it allows (user.max_net_namespaces); \
                 `nestlab list` shows the labs that hold some"
                    .to_owned(),
            ),
            Self::Program { program, source } if source.kind() == io::ErrorKind::NotFound => {
                package_of(program).map(|package| format!("sudo apt install {package}"))
            }
            Self::Refused { source, .. } if source.program == "ip" => tun_hint(),
            _ => None,
        }
    }
}

/// ENOSPC: what the kernel says when a namespace limit is reached
/// (namespaces(7)).
const NO_SPACE: i32 = 28;

fn package_of(program: &str) -> Option<&'static str> {
    match program {
        "ip" => Some("iproute2"),
        "nft" => Some("nftables"),
        _ => None,
    }
}

/// The device that taps are made with may be closed to us, or absent.
fn tun_hint() -> Option<String> {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    match opened.err()?.kind() {
        io::ErrorKind::PermissionDenied => Some("sudo chmod 0666 /dev/net/tun".to_owned()),
        io::ErrorKind::NotFound => Some("sudo modprobe tun".to_owned()),
        _ => None,
    }
}
