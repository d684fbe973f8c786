//! `nestlab net`: a program inside a layer's network. On the host that is a
//! program of this machine in the lab's namespaces; inside a node, where the
//! layer lives in the node's own network, it is an `exec` there.

use crate::cli::{ExecArgs, NetArgs};
use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_api::client::Client;
use nestlab_sys::namespace::Namespaces;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;

pub fn run(context: &Context, args: NetArgs) -> Result<u8, Error> {
    if args.path.is_host() {
        return context.block_on(on_host(context, args.argv));
    }
    let exec = ExecArgs {
        interactive: false,
        no_stdin: false,
        tty: false,
        no_tty: false,
        detach: false,
        env: Vec::new(),
        workdir: None,
        user: None,
        path: args.path,
        argv: args.argv,
    };
    super::exec::run(context, exec)
}

async fn on_host(context: &Context, argv: Vec<String>) -> Result<u8, Error> {
    let client = super::client(context).await?;
    run_in(&client, argv, &[]).await
}

/// Runs a program of this machine in a lab's network; gives its exit code.
pub async fn run_in(
    client: &Client,
    argv: Vec<String>,
    environment: &[(&str, OsString)],
) -> Result<u8, Error> {
    let keeper = client.layer().await?.keeper.ok_or_else(|| {
        Error::new(Code::Failed, "The lab has no network now").hint("`nestlab up` makes it")
    })?;
    let namespaces = Namespaces::of_process(keeper)
        .map_err(|error| Error::caused("Cannot open the lab's namespaces", &error))?;
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Error::new(Code::Usage, "No program was given"));
    };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    namespaces.attach(&mut command);
    let mut child = command.spawn().map_err(|error| {
        Error::caused(
            format!("Cannot run `{program}` in the lab's network"),
            &error,
        )
    })?;
    // Ctrl-C reaches the program by itself, from the terminal; we outlive it.
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let status =
        status.map_err(|error| Error::caused(format!("Cannot wait for `{program}`"), &error))?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}
