//! Why a call did not work.

use crate::link::LinkError;
use crate::message::Failure;
use std::io;
use std::time::Duration;

/// Why a call of the API did not work.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The level answered that it did not work.
    #[error("{failure}")]
    Failure {
        /// The HTTP status.
        status: u16,
        /// What it said.
        failure: Failure,
    },
    /// Nobody is there.
    #[error("Cannot reach {peer}")]
    Unreachable {
        /// The socket or node.
        peer: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The link to a node is not there.
    #[error("Cannot reach {peer}")]
    Link {
        /// The node.
        peer: String,
        /// Why.
        #[source]
        source: LinkError,
    },
    /// No answer in time.
    #[error("{peer} did not answer {action} within {} s", .after.as_secs())]
    Timeout {
        /// The socket or node.
        peer: String,
        /// What was asked.
        action: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended in the middle.
    #[error("The connection to {peer} broke in {action}")]
    Broken {
        /// The socket or node.
        peer: String,
        /// What was asked.
        action: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer makes no sense.
    #[error("{peer} answered {action} with something unexpected: {reason}")]
    Unexpected {
        /// The socket or node.
        peer: String,
        /// What was asked.
        action: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ApiError {
    /// The failure that the level itself described.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failure { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Whether the peer, rather than what was asked of it, is the trouble: a
    /// later try may work.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Failure { failure, .. } => failure.code == UNREACHABLE,
            Self::Unexpected { .. } => false,
            _ => true,
        }
    }

    /// What to type next, if somebody said so.
    pub fn hint(&self) -> Option<&str> {
        self.failure()?.hint.as_deref()
    }
}

/// The code of a failure that says that a node's agent is not there.
pub const UNREACHABLE: &str = "unreachable";

/// Any error as the cause of a broken connection.
pub(super) fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
