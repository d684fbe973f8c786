//! The real program in an empty environment.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::PathBuf;
use std::process::Command;

/// A home with nothing in it.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for folder in ["home", "run", "lab"] {
            std::fs::create_dir(home.0.path().join(folder)).unwrap();
        }
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn with_lab(text: &str) -> Self {
        Self::with_file("nestlab.yaml", text)
    }

    /// With a file in the lab's folder.
    pub fn with_file(name: &str, text: &str) -> Self {
        let home = Self::new();
        home.write(&format!("lab/{name}"), text);
        home
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Exit code, standard output and standard error, with our folder as `~`.
    pub fn run(&self, arguments: &str) -> String {
        self.run_with(arguments, &[])
    }

    /// The same with variables of the environment.
    pub fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_nestlab"))
            .args(arguments.split_ascii_whitespace())
            .current_dir(self.path("lab"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let canonical = std::fs::canonicalize(self.0.path()).unwrap();
        let text = format!(
            "[{}]\n{}{}{}",
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout),
            if output.stderr.is_empty() {
                ""
            } else {
                "---\n"
            },
            String::from_utf8_lossy(&output.stderr),
        );
        text.replace(canonical.to_str().unwrap(), "~")
            .replace(self.0.path().to_str().unwrap(), "~")
    }
}
