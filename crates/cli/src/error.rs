//! What a verb fails with: a message, its causes, a hint, and the exit code.

use nestlab_api::client::ApiError;
use std::error::Error as StdError;
use std::fmt::Write;

/// Why a verb did not work.
#[derive(Debug)]
pub struct Error {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    code: Code,
}

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It did not work.
    Failed = 1,
    /// Wrong usage, or mistakes in the lab file.
    Usage = 2,
    /// No such lab or node.
    Unknown = 3,
    /// This machine lacks something.
    Needs = 4,
    /// Interrupted by the user.
    Interrupted = 130,
    /// The connection to a running program was lost.
    Lost = 255,
}

impl Error {
    /// An error without a cause. Lines that begin with `caused by:` become
    /// causes: that is how levels below send theirs.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut lines = message.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let causes = lines
            .map(|line| {
                line.trim()
                    .strip_prefix("caused by:")
                    .unwrap_or(line)
                    .trim()
                    .to_owned()
            })
            .collect();
        Self {
            message: first,
            causes,
            hint: None,
            code,
        }
    }

    /// An error of the operation itself, with the chain of its causes.
    pub fn caused(message: impl Into<String>, cause: &dyn StdError) -> Self {
        let mut error = Self::new(Code::Failed, message);
        let mut next = Some(cause);
        while let Some(cause) = next {
            error
                .causes
                .extend(cause.to_string().lines().map(str::to_owned));
            next = cause.source();
        }
        error
    }

    /// The same error, told as the cause of another.
    pub fn in_other_words(mut self, message: impl Into<String>) -> Self {
        let told = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, told);
        self
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Gives it another exit code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.code as u8
    }

    /// What kind of error it is, in a word for Vagrant's `error-exit`.
    pub fn kind(&self) -> &'static str {
        match self.code {
            Code::Failed => "Nestlab::Errors::Failed",
            Code::Usage => "Nestlab::Errors::Usage",
            Code::Unknown => "Nestlab::Errors::Unknown",
            Code::Needs => "Nestlab::Errors::Needs",
            Code::Interrupted => "Nestlab::Errors::Interrupted",
            Code::Lost => "Nestlab::Errors::Lost",
        }
    }

    /// The error as people read it.
    pub fn render(&self, head: &str, hint: &str) -> String {
        let mut text = format!("{head}: {}\n", clean(&self.message));
        for cause in &self.causes {
            let _ = writeln!(text, "  caused by: {}", clean(cause));
        }
        if let Some(words) = &self.hint {
            let _ = writeln!(text, "{hint}: {}", clean(words));
        }
        text
    }

    /// The error as programs read it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": self.message,
            "causes": self.causes,
            "hint": self.hint,
            "exit_code": self.exit(),
        })
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let Some(failure) = error.failure() else {
            let caused = error.source().map(chain).unwrap_or_default();
            let mut this = Self::new(Code::Failed, error.to_string());
            this.causes.extend(caused);
            return this;
        };
        let code = match failure.code.as_str() {
            "no-such-node" | "not-found" => Code::Unknown,
            "needs" | "missing" => Code::Needs,
            "usage" | "invalid" => Code::Usage,
            _ => Code::Failed,
        };
        let mut this = Self::new(code, failure.message.clone());
        this.hint.clone_from(&failure.hint);
        this
    }
}

fn chain(first: &dyn StdError) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = Some(first);
    while let Some(cause) = next {
        all.push(cause.to_string());
        next = cause.source();
    }
    all
}

/// Text from a guest or a stranger's file without what would steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_from_below_become_lines() {
        let error = Error::new(
            Code::Failed,
            "Cannot start `l1`\ncaused by: QEMU exited\ncaused by: No\x1b[31m KVM",
        )
        .hint("Try `accel: tcg`");
        insta::assert_snapshot!(error.render("error", "hint"), @r"
        error: Cannot start `l1`
          caused by: QEMU exited
          caused by: No�[31m KVM
        hint: Try `accel: tcg`
        ");
    }
}
