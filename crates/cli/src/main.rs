//! `nestlab`: labs of machines inside machines, from one file.
//!
//! This file is the table of contents. A verb is its arguments ([`cli`]) and
//! one function under [`commands`] that calls a level's API and renders what
//! comes back. Nothing below this crate prints, prompts or reads the
//! environment.

mod cli;
mod commands;
mod complete;
mod context;
mod embedded;
mod error;
mod habits;
mod machine;
mod output;
mod pins;
mod place;
#[cfg(test)]
mod reference;
mod render;
mod role;
mod settings;
mod starters;
mod supervisor;
mod sweep;
mod terminal;

use clap::{CommandFactory, Parser};
use cli::{Cli, Verb};
use context::Context;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The same binary is supervisor, keeper and agent: not verbs for people.
    if let Some(code) = role::run_if_asked() {
        return code;
    }
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = Cli::try_parse().unwrap_or_else(|error| habits::refuse(&error));
    let context = Context::new(cli.global);
    match run(&context, cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => context.fail(&error),
    }
}

fn run(context: &Context, verb: Verb) -> Result<u8, error::Error> {
    match verb {
        Verb::Init(args) => commands::init::run(context, &args),
        Verb::Up(args) => commands::up::run(context, args),
        Verb::Status(args) => commands::status::run(context, &args),
        Verb::Provision(args) => commands::provision::run(context, args),
        Verb::Reload(args) => commands::reload::run(context, args),
        Verb::Rsync(args) => commands::provision::copy_again(context, args.paths),
        Verb::Exec(args) => commands::exec::run(context, args),
        Verb::Ssh(args) => commands::exec::ssh(context, args),
        Verb::Cp(args) => commands::cp::run(context, args),
        Verb::Logs(args) => commands::logs::run(context, args),
        Verb::Console(args) => commands::console::run(context, args),
        Verb::Pause(args) => commands::pause::pause(context, args),
        Verb::Suspend(args) => commands::halt::suspend(context, args.paths),
        Verb::Resume(args) => commands::pause::resume(context, args),
        Verb::Fork(args) => commands::fork::run(context, args),
        Verb::Snapshot(args) => commands::snapshot::run(context, args.verb),
        Verb::Resize(args) => commands::resize::run(context, args),
        Verb::Halt(args) => commands::halt::run(context, args),
        Verb::Destroy(args) => commands::destroy::run(context, args),
        Verb::Wait(args) => commands::wait::run(context, args),
        Verb::Ls(_) => commands::ls::run(context),
        Verb::Bench(args) => commands::bench::run(context, args),
        Verb::Compare(args) => commands::compare::run(context, args),
        Verb::Doctor(args) => commands::doctor::run(context, args),
        Verb::Validate => commands::validate::run(context),
        Verb::Plan => commands::plan::run(context),
        Verb::Net(args) => commands::net::run(context, args),
        Verb::Port(args) => commands::port::run(context, &args),
        Verb::Connect(args) => commands::connect::run(context, args),
        Verb::SshConfig(args) => commands::ssh_config::run(context, args),
        Verb::Inventory(args) => commands::inventory::run(context, args),
        Verb::Image(args) => commands::image::run(context, args.verb),
        Verb::Box(args) => commands::boxes::run(context, args.verb),
        Verb::Convert(args) => commands::convert::run(context, &args),
        Verb::Plugin(args) => commands::plugin::run(context, &args),
        Verb::Schema => commands::describe::schema(context),
        Verb::ApiDescription => commands::describe::api(context),
        Verb::Completions(args) => commands::describe::completions(&args),
        Verb::Version => commands::describe::version(context),
    }
}
