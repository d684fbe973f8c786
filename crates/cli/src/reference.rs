//! `docs/cli.md`, written from the command line itself and checked for drift.
//! `make generate` rewrites it.

use crate::cli::Cli;
use clap::CommandFactory;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# The command line

<!-- Written by `make generate`. Do not edit. -->

The lab is the `nestlab.yaml` of the current folder or of the nearest above it, or of `-C DIR` or
`--file FILE`; where there is none, a `Vagrantfile` ([coming from Vagrant](vagrant.md)). `-l NAME`
names any lab known on this machine, even if its folder has moved.

A node is named by its path, such as `l1/consul-1`; the host is `.`. Paths complete in the shell:

```sh
source <(nestlab completions bash)     # or zsh, fish, elvish
```

Data goes to standard output, conversation to standard error. With `--json`, `up`, `halt` and
`destroy` write one event per line as things happen and the outcome last; all other verbs write one
document. An error is then a document too, with `error`, `causes`, `hint` and `exit_code`. With
`--machine-readable` all that is said is lines of `TIME,NODE,TYPE,DATA…`, as Vagrant writes them.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | it did not work |
| 2 | wrong usage, or mistakes in the lab file |
| 3 | no such lab or node |
| 4 | this machine lacks something that is needed |
| 130 | interrupted |
| 255 | `exec` or `ssh` lost its connection |

`exec`, `ssh` and `net` otherwise exit as the program did; 127 says that there is no such program,
126 that it may not be run, 128 + N that signal N ended it.

Where things are kept: records and disks in `$XDG_STATE_HOME/nestlab` (`~/.local/state/nestlab`),
images in `$NESTLAB_STORE` or `$XDG_DATA_HOME/nestlab/store` (`~/.local/share/nestlab/store`),
sockets in `$XDG_RUNTIME_DIR/nestlab`, `/run/nestlab-0` for root, or `/tmp/nestlab-UID`,
the memory of running machines in `/dev/shm/nestlab-UID`. What you say for all labs is in
`$XDG_CONFIG_HOME/nestlab/config.yaml` (`~/.config/nestlab/config.yaml`): `box_aliases:`, a map of boxes'
names to images. Templates take up to `$NESTLAB_TEMPLATES` of
the store (`4GiB`; `0` for none).
";

fn page() -> String {
    let mut cli = Cli::command().term_width(96);
    cli.build();
    let mut text = HEAD.to_owned();
    let _ = write!(
        text,
        "\n## Options of every verb\n\n```text\n{}```\n",
        global(&cli)
    );
    for verb in cli.get_subcommands() {
        add(verb, &mut text);
    }
    text
}

fn add(verb: &clap::Command, text: &mut String) {
    let mut own = verb.clone().mut_args(|arg| {
        let everywhere = arg.is_global_set();
        arg.hide(everywhere)
    });
    let name = own
        .get_bin_name()
        .unwrap_or_else(|| own.get_name())
        .to_owned();
    let help = own.render_help().to_string();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    for below in verb.get_subcommands() {
        add(below, text);
    }
}

fn global(cli: &clap::Command) -> String {
    let mut own = clap::Command::new("nestlab")
        .term_width(96)
        .disable_help_flag(true);
    own = own.args(
        cli.get_arguments()
            .filter(|arg| arg.is_global_set())
            .cloned(),
    );
    own.render_help()
        .to_string()
        .split_once("Options:\n")
        .map_or(String::new(), |(_, rest)| rest.to_owned())
}

#[test]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = page();
    if std::env::var_os("NESTLAB_GENERATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is out of date: run `make generate`"
    );
}
