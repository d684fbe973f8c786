//! The other programs that this binary is: a lab's supervisor, its keeper, the
//! agent of a node. They are started by us, never typed by people.

use crate::commands::compare::Seen;
use crate::embedded;
use clap::Parser;
use nestlab_agent::supervisor::SupervisorConfig;
use nestlab_agent::{LinkPlace, NodeConfig};
use nestlab_measure::bench;
use serde_json::json;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// `nestlab __supervisor`
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct SupervisorArgs {
    /// The lab's folder.
    #[arg(long)]
    state: PathBuf,
    /// The lab's folder for sockets.
    #[arg(long)]
    run: PathBuf,
    /// The lab's folder for the memory of machines.
    #[arg(long)]
    memory: PathBuf,
    /// The image store.
    #[arg(long)]
    store: PathBuf,
    /// The socket of the container engine.
    #[arg(long)]
    engine: Option<PathBuf>,
    /// What templates may take on disk, in bytes.
    #[arg(long, default_value_t = 0)]
    templates: u64,
    /// The lab's id.
    lab_id: String,
}

/// Measures what it is told by a [`bench::Request`] in JSON, and writes a
/// [`bench::Line`] for each thing it knows.
pub const MEASURE: &str = "__measure";

/// Answers at an address those who measure a network, and writes the port first.
pub const ANSWER: &str = "__answer";

/// Tells what a program sees where it runs, and waits for the end of its input.
pub const LOOK: &str = "__look";

/// Where a container has this program that is measured.
pub const PROGRAM_IN_A_CONTAINER: &str = "/nestlab";

/// Becomes one of the others if the first argument says so.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    let rest = arguments.collect();
    match first.to_str()? {
        "__supervisor" => Some(supervisor(rest)),
        "__keeper" => Some(keeper(rest)),
        nestlab_backend_oci::ROLE => Some(stage(rest)),
        nestlab_backend_docker::ROLE => Some(archive(rest)),
        nestlab_image::ROLE => Some(within(rest)),
        "agent" => Some(agent(rest)),
        MEASURE => Some(measure(rest)),
        ANSWER => Some(answer(rest)),
        LOOK => Some(look()),
        nestlab_measure::bench::NOTHING => Some(ExitCode::SUCCESS),
        _ => None,
    }
}

/// Still single-threaded, as a keeper must be.
fn keeper(arguments: Vec<OsString>) -> ExitCode {
    match nestlab_sys::keeper::run(arguments) {
        Ok(never) => match never {},
        Err(error) => failed("keeper", &error),
    }
}

fn supervisor(arguments: Vec<OsString>) -> ExitCode {
    let args = match SupervisorArgs::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed("supervisor", &error),
    };
    match embedded::init(&program, &args.store.join("init")) {
        Ok(init) => start_supervisor(args, program, init),
        Err(error) => failed("supervisor", &error),
    }
}

fn start_supervisor(args: SupervisorArgs, program: PathBuf, init: PathBuf) -> ExitCode {
    start_log();
    // Whoever brings a lab up has been told of mistakes; a lab that runs goes on with them.
    let settings = crate::settings::load(false).unwrap_or_default();
    let config = SupervisorConfig {
        lab_id: args.lab_id,
        state_dir: args.state,
        run_dir: args.run,
        memory_dir: args.memory,
        store_dir: args.store,
        image_mirrors: settings.image_mirrors,
        template_budget: args.templates,
        container_engine: args.engine,
        program,
        init,
    };
    match in_runtime(nestlab_agent::supervisor::run(config)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(fault)) => failed("supervisor", &fault),
        Err(error) => failed("supervisor", &error),
    }
}

/// Still single-threaded, as who makes namespaces must be.
fn stage(arguments: Vec<OsString>) -> ExitCode {
    let file = arguments.first().map(PathBuf::from).unwrap_or_default();
    match nestlab_backend_oci::run_stage(&file) {
        Ok(never) => match never {},
        Err(words) => failed("stage", &words),
    }
}

/// Still single-threaded, for the same reason.
fn within(arguments: Vec<OsString>) -> ExitCode {
    match nestlab_image::run_within(&arguments) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(words) => failed("command", &words),
    }
}

/// Still single-threaded, for the same reason.
fn archive(arguments: Vec<OsString>) -> ExitCode {
    match nestlab_backend_docker::run_archive(&arguments) {
        Ok(never) => match never {},
        Err(words) => failed("archive", &words),
    }
}

fn agent(arguments: Vec<OsString>) -> ExitCode {
    start_log();
    let link = match arguments.iter().any(|argument| argument == "--container") {
        true => LinkPlace::Inherited,
        false => LinkPlace::Port,
    };
    let config = NodeConfig {
        link,
        ..NodeConfig::default()
    };
    match in_runtime(nestlab_agent::run_node(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("agent", &error),
    }
}

fn measure(arguments: Vec<OsString>) -> ExitCode {
    let argument = arguments.first().and_then(|argument| argument.to_str());
    let request = serde_json::from_str::<bench::Request>(argument.unwrap_or_default());
    match request {
        Ok(request) => {
            bench::run(&request, |line| crate::output::json_line(&json!(line)));
            ExitCode::SUCCESS
        }
        Err(error) => failed("measure", &error),
    }
}

fn look() -> ExitCode {
    crate::output::json_line(&json!(Seen::here()));
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}

fn answer(arguments: Vec<OsString>) -> ExitCode {
    let argument = arguments.first().and_then(|argument| argument.to_str());
    let Some(Ok(address)) = argument.map(str::parse) else {
        return failed("answer", &"an address is needed");
    };
    let serving = bench::network::serve(address, |port| crate::output::json_line(&json!(port)));
    match serving {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("answer", &error),
    }
}

/// One thread does: these programs wait far more than they work.
fn in_runtime<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// Logs to standard error, which whoever started us has sent to a file.
fn start_log() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        // A full disk must not end the task that logs: the subscriber would tell
        // of the failed write by `eprintln!`, which panics when that fails too.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .init();
}

fn failed(role: &str, error: &dyn std::fmt::Display) -> ExitCode {
    crate::output::say(&format!("nestlab {role}: {error}"));
    ExitCode::FAILURE
}
