//! `nestlab exec` and `nestlab ssh`: a program in a node, as if it ran here.
//!
//! Its output, its exit code, its signals and its terminal are passed through.
//! If this program is killed, the other one is hung up on, as under ssh.

use crate::cli::{ExecArgs, SshArgs};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::terminal;
use bytes::BytesMut;
use nestlab_api::client::{Client, ExecEvent, ExecInput, ExecOutput};
use nestlab_api::message::{ExecControl, ExecEnd, ExecRequest, WindowSize};
use nestlab_model::NodePath;
use nestlab_sys::process::Signal as Number;
use nestlab_sys::terminal::RawMode;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Bytes of standard input read at once: one frame.
const PIECE: usize = 16 * 1024;

/// A terminal where ours does not say its size.
const SIZE: WindowSize = WindowSize {
    rows: 24,
    columns: 80,
};

/// How often Ctrl-C is passed on before it ends this program itself.
const INTERRUPTS: usize = 3;

pub fn run(context: &Context, args: ExecArgs) -> Result<u8, Error> {
    let tty = !args.detach && !args.no_tty && (args.tty || terminal::is_interactive());
    let request = ExecRequest {
        argv: args.argv,
        env: environment(tty, args.env),
        cwd: args.workdir,
        user: args.user,
        tty: tty.then(|| terminal::size().unwrap_or(SIZE)),
        stdin: !args.no_stdin && !args.detach,
        detach: args.detach,
    };
    context.block_on(execute(context, &args.path, request))
}

pub fn ssh(context: &Context, args: SshArgs) -> Result<u8, Error> {
    let command = match args.command {
        Some(command) => Some(command),
        None => (!args.argv.is_empty()).then(|| args.argv.join(" ")),
    };
    let tty = match command {
        Some(_) => args.tty,
        None => args.tty || terminal::is_interactive(),
    };
    let argv = match command {
        Some(command) => vec!["/bin/sh".to_owned(), "-lc".to_owned(), command],
        None => Vec::new(),
    };
    let request = ExecRequest {
        argv,
        env: environment(tty, Vec::new()),
        user: args.user,
        tty: tty.then(|| terminal::size().unwrap_or(SIZE)),
        stdin: true,
        ..ExecRequest::default()
    };
    context.block_on(async {
        let path = match args.path {
            Some(path) => path,
            None => only_node(context).await?,
        };
        execute(context, &path, request).await
    })
}

/// The node that is meant where none is named: there is but one at the top, or the
/// Vagrantfile says which it is.
async fn only_node(context: &Context) -> Result<NodePath, Error> {
    let place = context.place()?;
    place.known()?;
    if context.is_vagrantfile(&place.file) {
        let machines = context.read(&place.file)?.vagrant.unwrap_or_default();
        let primary = machines.iter().find(|machine| machine.primary);
        if let Some(path) = primary.and_then(|machine| machine.node.parse().ok()) {
            return Ok(path);
        }
    }
    let status = super::client(context).await?.layer().await?.status;
    match status.nodes.as_slice() {
        [node] => Ok(node.path.clone()),
        [] => {
            Err(Error::new(Code::Unknown, "The lab has no node yet")
                .hint("`nestlab up` makes them"))
        }
        nodes => {
            let names: Vec<String> = nodes
                .iter()
                .map(|node| format!("`{}`", node.path))
                .collect();
            Err(Error::new(Code::Usage, "The lab has several nodes")
                .hint(format!("Name one: {}", names.join(", "))))
        }
    }
}

/// What the user gave, and the kind of terminal if there is one.
fn environment(
    tty: bool,
    given: Vec<(String, String)>,
) -> std::collections::BTreeMap<String, String> {
    let term = std::env::var("TERM")
        .ok()
        .filter(|_| tty)
        .map(|term| ("TERM".to_owned(), term));
    term.into_iter().chain(given).collect()
}

async fn execute(context: &Context, path: &NodePath, request: ExecRequest) -> Result<u8, Error> {
    let client = super::client(context).await?;
    if path.is_host() {
        return Err(Error::new(Code::Usage, "`.` is this machine").hint(
            "Name a node; `nestlab net -- CMD` runs a program of this machine in the lab's network",
        ));
    }
    let detach = request.detach;
    let wants_input = request.stdin;
    let raw = request.tty.is_some() && io::IsTerminal::is_terminal(&io::stdin());
    // Made before the program starts: no signal is lost.
    let signals = Signals::new()?;
    let session = match client.at(path).exec(request).await {
        Ok(session) => session,
        Err(error) => return Err(super::explain(&client, path, error.into()).await),
    };
    let guard = match raw {
        true => Some(
            RawMode::stdin()
                .map_err(|error| Error::caused("Cannot set up the terminal", &error))?,
        ),
        false => None,
    };
    let (input, output) = session.split();
    let end = pump(input, output, signals, wants_input).await;
    drop(guard);
    match end? {
        ExecEnd::Detached { pid } => {
            output::data(&format!("{pid}\n"));
            Ok(0)
        }
        ExecEnd::NotStarted { reason, code } => {
            output::say(&format!(
                "{}: {}",
                context.paint("1;31", "error"),
                crate::error::clean(&reason)
            ));
            Ok(exit_code(code))
        }
        _ if detach => Ok(0),
        end => Ok(exit_code(end.code())),
    }
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// Carries bytes both ways until the program ends.
async fn pump(
    input: ExecInput,
    mut output: ExecOutput,
    signals: Signals,
    wants_input: bool,
) -> Result<ExecEnd, Error> {
    let (controls, queue) = mpsc::unbounded_channel();
    let signals = tokio::spawn(signals.forward(controls));
    let input = tokio::spawn(feed(input, queue, wants_input));
    let end = show(&mut output).await;
    input.abort();
    signals.abort();
    end
}

/// Writes what the program writes, as fast as it is taken.
async fn show(output: &mut ExecOutput) -> Result<ExecEnd, Error> {
    let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        let event = output.next().await.map_err(lost)?;
        let written = match event {
            ExecEvent::Stdout(bytes) => write(&mut out, &bytes).await,
            ExecEvent::Stderr(bytes) => write(&mut err, &bytes).await,
            ExecEvent::End(end) => return Ok(end),
        };
        if let Err(error) = written {
            // Nobody reads any more, as after `| head -1`: hang up, as a shell
            // would report a program that SIGPIPE ended.
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(ExecEnd::Signalled(Number::SIGPIPE as i32)),
                _ => Err(Error::caused("Cannot write the output", &error)),
            };
        }
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

fn lost(error: nestlab_api::client::ApiError) -> Error {
    Error::from(error)
        .code(Code::Lost)
        .hint("The program was hung up on; `nestlab status` shows whether its node still runs")
}

/// Sends standard input and, between its pieces, signals and window sizes.
async fn feed(
    mut input: ExecInput,
    mut queue: mpsc::UnboundedReceiver<ExecControl>,
    wants_input: bool,
) {
    let mut stdin = tokio::io::stdin();
    let mut open = wants_input;
    loop {
        let mut buffer = BytesMut::with_capacity(PIECE);
        tokio::select! {
            read = stdin.read_buf(&mut buffer), if open => {
                let sent = match read {
                    Ok(0) | Err(_) => {
                        open = false;
                        input.control(ExecControl::EndOfInput).await.is_ok()
                    }
                    Ok(_) => send(&mut input, buffer, &mut queue).await,
                };
                if !sent {
                    return;
                }
            }
            control = queue.recv() => match control {
                Some(control) if input.control(control.clone()).await.is_ok() => {}
                _ => return,
            },
        }
    }
}

/// Sends a piece. A program that reads nothing must still hear its signals:
/// such a signal gives the piece up if the program has no room for it.
async fn send(
    input: &mut ExecInput,
    piece: BytesMut,
    queue: &mut mpsc::UnboundedReceiver<ExecControl>,
) -> bool {
    let piece = piece.freeze();
    loop {
        let control = tokio::select! {
            biased;
            sent = input.send_stdin(piece.clone()) => return sent.is_ok(),
            control = queue.recv() => control,
        };
        match control {
            Some(control) if input.control(control.clone()).await.is_ok() => {}
            _ => return false,
        }
    }
}

/// The signals that are passed on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Signal,
    window: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let make =
            |kind| signal(kind).map_err(|error| Error::caused("Cannot listen for signals", &error));
        Ok(Self {
            interrupt: make(SignalKind::interrupt())?,
            terminate: make(SignalKind::terminate())?,
            quit: make(SignalKind::quit())?,
            hangup: make(SignalKind::hangup())?,
            window: make(SignalKind::window_change())?,
        })
    }

    async fn forward(mut self, controls: mpsc::UnboundedSender<ExecControl>) {
        let mut interrupts = 0;
        loop {
            let control = tokio::select! {
                _ = self.interrupt.recv() => {
                    interrupts += 1;
                    if interrupts > INTERRUPTS {
                        std::process::exit(Code::Interrupted as i32);
                    }
                    ExecControl::Signal(Number::SIGINT as i32)
                }
                _ = self.terminate.recv() => ExecControl::Signal(Number::SIGTERM as i32),
                _ = self.quit.recv() => ExecControl::Signal(Number::SIGQUIT as i32),
                _ = self.hangup.recv() => ExecControl::Signal(Number::SIGHUP as i32),
                _ = self.window.recv() => ExecControl::Resize(terminal::size().unwrap_or(SIZE)),
            };
            if controls.send(control).is_err() {
                return;
            }
        }
    }
}

/// Runs a shell script in a node and returns what it printed, trimmed.
pub async fn capture(
    client: &Client,
    path: &NodePath,
    script: &str,
    arg: &str,
) -> Result<String, Error> {
    let argv = ["/bin/sh", "-c", script, "sh", arg]
        .map(str::to_owned)
        .to_vec();
    let request = ExecRequest {
        argv,
        ..ExecRequest::default()
    };
    match client.at(path).run(request).await {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) => Err(super::explain(client, path, error.into()).await),
    }
}
