//! What went wrong, in words that travel up through every level.

use nestlab_api::message::Failure;
use nestlab_backend::BackendError;
use nestlab_model::Stage;
use std::error::Error;
use std::fmt;

/// Why something could not be done, and what to type next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was being done to which object, then the causes, each on a line.
    pub message: String,
    /// What to type or look at next.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without a cause of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// A fault with the whole chain of its causes.
    pub fn caused(message: impl Into<String>, cause: &dyn Error) -> Self {
        let mut text = message.into();
        let mut next = Some(cause);
        while let Some(cause) = next {
            text.push_str("\ncaused by: ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Self::new(text)
    }

    /// Adds what to type next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to type next, if there is something.
    #[must_use]
    pub fn with_optional_hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }

    /// Says what was being done when this happened.
    #[must_use]
    pub fn while_doing(self, action: impl fmt::Display) -> Self {
        Self {
            message: format!("{action}\ncaused by: {}", self.message),
            hint: self.hint,
        }
    }

    /// Wraps an I/O error with what was tried.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |error| {
            let full = error.raw_os_error() == Some(28); // ENOSPC
            let fault = Self::caused(action, &error);
            if full {
                fault.with_hint("Free some disk space, then run `nestlab up` again")
            } else {
                fault
            }
        }
    }

    /// The state of a node that failed in this way.
    pub fn at(self, stage: Stage) -> nestlab_model::NodeState {
        nestlab_model::NodeState::Failed {
            stage,
            reason: self.message,
            hint: self.hint,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

impl From<BackendError> for Fault {
    fn from(error: BackendError) -> Self {
        let hint = match &error {
            BackendError::MissingProgram { hint, .. } | BackendError::NotAtWork { hint, .. } => {
                Some(hint.clone())
            }
            BackendError::Missing { key, .. } => Some(format!("Leave `{key}` out of the lab file")),
            _ => None,
        };
        Self::caused("Cannot run the machine", &error).with_optional_hint(hint)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            code: "failed".into(),
            message: fault.message,
            hint: fault.hint,
            node: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let fault = Fault::io("Cannot write a.qcow2")(std::io::Error::from_raw_os_error(28));
        assert!(
            fault
                .message
                .starts_with("Cannot write a.qcow2\ncaused by: No space left")
        );
        assert!(fault.hint.unwrap().contains("disk space"));
    }
}
