//! The other programs that this binary is: a lab's supervisor, its keeper, the
//! agent of a node. They are started by us, never typed by people.

use crate::embedded;
use clap::Parser;
use nestlab_agent::NodeConfig;
use nestlab_agent::supervisor::SupervisorConfig;
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
    /// What templates may take on disk, in bytes.
    #[arg(long, default_value_t = 0)]
    templates: u64,
    /// The lab's id.
    lab_id: String,
}

/// Becomes one of the others if the first argument says so.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    let rest = arguments.collect();
    match first.to_str()? {
        "__supervisor" => Some(supervisor(rest)),
        "__keeper" => Some(keeper(rest)),
        "agent" => Some(agent(rest)),
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
    let config = SupervisorConfig {
        lab_id: args.lab_id,
        state_dir: args.state,
        run_dir: args.run,
        memory_dir: args.memory,
        store_dir: args.store,
        template_budget: args.templates,
        program,
        init,
    };
    match in_runtime(nestlab_agent::supervisor::run(config)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(fault)) => failed("supervisor", &fault),
        Err(error) => failed("supervisor", &error),
    }
}

fn agent(_arguments: Vec<OsString>) -> ExitCode {
    start_log();
    match in_runtime(nestlab_agent::run_node(NodeConfig::default())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("agent", &error),
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
