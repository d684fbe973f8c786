//! Running the program and looking at what it said.

use std::process::{Child, Output};
use std::time::{Duration, Instant};

/// A finished command.
#[derive(Debug)]
pub struct Done {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    pub(crate) fn new(command: String, output: &Output, took: Duration) -> Self {
        Self {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }

    /// Asserts the exit code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits_with(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Asserts that standard output holds a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "no {text:?} in the output of {self}"
        );
        self
    }

    /// Asserts that standard error holds a text.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in the complaints of {self}"
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` (exit {}, {:.1} s)\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            self.code,
            self.took.as_secs_f64(),
            self.stdout,
            self.stderr
        )
    }
}

/// A command that still runs; ended when dropped.
pub struct Running {
    child: Option<Child>,
    command: String,
    started: Instant,
}

impl Running {
    pub(crate) fn new(child: Child, command: String) -> Self {
        Self {
            child: Some(child),
            command,
            started: Instant::now(),
        }
    }

    fn child(&mut self) -> &mut Child {
        self.child
            .as_mut()
            .expect("only `wait` takes the child, and it takes us too")
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Its standard input, once.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child()
            .stdin
            .take()
            .expect("it was piped and not taken yet")
    }

    /// Sends it a signal by name, as kill(1) takes it.
    pub fn signal(&self, name: &str) {
        crate::host::kill(self.pid(), name);
    }

    /// Reads all it says and waits for its end.
    pub fn wait(mut self) -> Done {
        let child = self.child.take().expect("nobody else takes it");
        let output = child.wait_with_output().expect("a child can be waited for");
        Done::new(self.command.clone(), &output, self.started.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a program of this machine prints, which must succeed.
#[track_caller]
pub fn output_of(command: &mut std::process::Command) -> String {
    let output = command.output().expect("it is installed");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
