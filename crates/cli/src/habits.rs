//! Verbs of Vagrant's that Nestlab has under another name, or not at all: whoever types one
//! is told what to type instead.

use crate::error::{Code, Error};
use crate::output;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Verbs, and what to type or know instead.
const INSTEAD: [(&str, &str); 21] = [
    (
        "autocomplete",
        "`nestlab completions SHELL` prints what a shell needs",
    ),
    (
        "cap",
        "`nestlab exec NODE -- CMD` runs any program in a node",
    ),
    (
        "cloud",
        "Images are files: `nestlab image export` and `nestlab image import`",
    ),
    (
        "docker-exec",
        "`nestlab exec NODE -- CMD` runs a program in a container as in a machine",
    ),
    (
        "docker-logs",
        "`nestlab logs NODE` shows what a container or a machine wrote",
    ),
    (
        "docker-run",
        "`nestlab exec NODE -- CMD` runs a program in a container as in a machine",
    ),
    ("help", "`nestlab --help`, and `nestlab VERB --help`"),
    ("list-commands", "`nestlab --help` lists them"),
    ("login", "There is nothing to log in to"),
    (
        "package",
        "`nestlab snapshot save` keeps a lab; `nestlab image export` writes an image to a file",
    ),
    (
        "powershell",
        "Windows guests are not supported; `nestlab ssh NODE` opens a shell elsewhere",
    ),
    (
        "provider",
        "`nestlab status` shows what every node really runs on",
    ),
    (
        "push",
        "`nestlab cp` copies files, `nestlab exec` runs programs",
    ),
    (
        "rdp",
        "Windows guests are not supported; `nestlab console NODE` is a serial console",
    ),
    (
        "repackage",
        "`nestlab image export NAME FILE` writes an image to a file",
    ),
    (
        "rsync-auto",
        "`nestlab rsync` copies files and folders once; repeat it as you like, such as with watch(1)",
    ),
    (
        "serve",
        "Every lab has a supervisor of its own, which starts by itself",
    ),
    (
        "share",
        "`nestlab connect NODE PORT` pipes to a port; `ports:` forwards one",
    ),
    ("upload", "`nestlab cp FILE NODE:PATH` copies into a node"),
    (
        "winrm",
        "Windows guests are not supported; `nestlab exec NODE -- CMD` runs a program elsewhere",
    ),
    (
        "winrm-config",
        "Windows guests are not supported; `nestlab ssh-config` is for OpenSSH",
    ),
];

/// Ends the program for a command line that cannot be read.
pub fn refuse(error: &clap::Error) -> ! {
    let verb = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if error.kind() == ErrorKind::InvalidSubcommand => verb,
        _ => error.exit(),
    };
    let Some((_, instead)) = INSTEAD.iter().find(|(known, _)| known == verb) else {
        error.exit();
    };
    let error = Error::new(
        Code::Usage,
        format!("`{verb}` is a verb of Vagrant's that Nestlab lacks"),
    )
    .hint(*instead);
    output::say(error.render("error", "hint").trim_end());
    std::process::exit(Code::Usage as i32);
}

#[cfg(test)]
mod tests {
    use super::INSTEAD;
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn no_verb_of_ours_is_said_to_be_missing() {
        let command = Cli::command();
        for (verb, _) in INSTEAD {
            assert!(command.find_subcommand(verb).is_none(), "{verb}");
        }
        assert!(INSTEAD.is_sorted());
    }
}
