//! Programs run for the parent, with their streams on a WebSocket.
//!
//! ```text
//!            ┌─ receive ─► stdin queue ─► feed ─► program ─► drain ─┐
//! WebSocket ─┤      (at most the credit)                            ├─► WebSocket
//!            └─ signals, window size, hang-up ─► program    credit ─┘
//! ```
//!
//! The receiving side never waits for the program, so that signals and the end
//! of the connection are always heard; what it holds is bounded by the credit
//! that the caller was given. The sending side reads from the program only what
//! it has passed on. A caller that goes away is a hang-up: SIGHUP to the
//! program's group, SIGKILL after a grace.

mod output;
mod spawn;

use crate::guest::Guest;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SplitStream;
use nestlab_api::message::{ExecChannel, ExecControl, ExecEnd, ExecRequest, STDIN_CREDIT};
use nestlab_sys::identity::signal_group;
use nestlab_sys::pty::Pty;
use output::{Sender, Sources};
use spawn::{Running, spawn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::{Notify, mpsc};

/// The largest message that is accepted.
const MAX_MESSAGE: usize = 256 * 1024;

/// How long the first message may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// How long a program may live after the hang-up.
const GRACE: Duration = Duration::from_secs(5);

const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;

/// `GET /v1/exec`
pub(crate) async fn exec(State(guest): State<Guest>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .on_upgrade(move |socket| serve(socket, guest))
}

async fn serve(mut socket: WebSocket, guest: Guest) {
    let Some(request) = read_request(&mut socket).await else {
        return;
    };
    match spawn(&guest, &request) {
        Err(end) => output::finish(socket, end).await,
        Ok(running) if request.detach => detach(socket, running).await,
        Ok(running) => attend(socket, running).await,
    }
}

async fn read_request(socket: &mut WebSocket) -> Option<ExecRequest> {
    let message = tokio::time::timeout(REQUEST_DEADLINE, socket.recv())
        .await
        .ok()??
        .ok()?;
    match serde_json::from_str(message.to_text().ok()?) {
        Ok(request) => Some(request),
        Err(error) => {
            tracing::warn!(%error, "a request to run a program makes no sense");
            None
        }
    }
}

async fn detach(socket: WebSocket, mut running: Running) {
    let pid = running.child.id().unwrap_or(0);
    output::finish(socket, ExecEnd::Detached { pid }).await;
    // Waited for, so that no zombie stays.
    let _ = running.child.wait().await;
}

/// Carries a program's streams until both it and they have ended, or until the
/// caller has gone.
async fn attend(socket: WebSocket, mut running: Running) {
    let group = Group::of(&running.child);
    let (sink, stream) = socket.split();
    let (queue, waiting) = mpsc::unbounded_channel();
    let credit = Arc::new(Credit::default());
    let (mut sources, input, terminal) = open_streams(&mut running);
    let feeding = tokio::spawn(feed(input, waiting, credit.clone()));
    let receiver = Receiver {
        stream,
        queue: Some(queue),
        credit: credit.clone(),
        group: group.clone(),
        terminal,
    };
    let sender = Sender { sink, credit };
    let end = tokio::select! {
        () = receiver.run() => None,
        sent = sender.run(&mut running.child, &group, &mut sources) => Some(sent),
    };
    feeding.abort();
    sources.abandon();
    if end.is_none_or(|sent| !sent) {
        hang_up(running.child, &group).await;
    }
}

type Input = Box<dyn AsyncWrite + Send + Unpin>;

fn open_streams(running: &mut Running) -> (Sources, Option<Input>, Option<Arc<Mutex<Pty>>>) {
    match running.terminal.take() {
        Some(pty) => {
            let pty = Arc::new(Mutex::new(pty));
            let input: Input = Box::new(output::Shared(pty.clone()));
            (
                Sources::terminal(output::Shared(pty.clone())),
                Some(input),
                Some(pty),
            )
        }
        None => {
            let child = &mut running.child;
            let input = child.stdin.take().map(|stdin| Box::new(stdin) as Input);
            (
                Sources::pipes(child.stdout.take(), child.stderr.take()),
                input,
                None,
            )
        }
    }
}

/// The program's process group, as long as its leader has not been waited for.
#[derive(Clone)]
struct Group(Arc<Mutex<Option<u32>>>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(Arc::new(Mutex::new(child.id())))
    }

    fn signal(&self, signal: i32) {
        let leader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *leader
            && let Err(error) = signal_group(leader, signal)
        {
            tracing::debug!(%error, leader, signal, "cannot signal");
        }
    }

    /// From here on the number may mean another process.
    fn ended(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn hang_up(mut child: Child, group: &Group) {
    group.signal(SIGHUP);
    group.signal(SIGCONT);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        group.signal(SIGKILL);
        let _ = child.wait().await;
    }
    group.ended();
}

/// What of the standard input was taken and has to be told.
#[derive(Default)]
struct Credit {
    queued: AtomicUsize,
    taken: AtomicUsize,
    news: Notify,
}

/// Listens to the caller. Ends when the caller has gone.
struct Receiver {
    stream: SplitStream<WebSocket>,
    queue: Option<mpsc::UnboundedSender<Bytes>>,
    credit: Arc<Credit>,
    group: Group,
    terminal: Option<Arc<Mutex<Pty>>>,
}

impl Receiver {
    async fn run(mut self) {
        while let Some(Ok(message)) = self.stream.next().await {
            let fine = match message {
                Message::Binary(frame) => self.stdin(frame),
                Message::Text(text) => self.control(&text),
                Message::Close(_) => false,
                Message::Ping(_) | Message::Pong(_) => true,
            };
            if !fine {
                return;
            }
        }
    }

    fn stdin(&self, mut frame: Bytes) -> bool {
        if frame.first() != Some(&(ExecChannel::Stdin as u8)) {
            return false;
        }
        let bytes = frame.split_off(1);
        let queued = self.credit.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        if queued + bytes.len() > STDIN_CREDIT {
            tracing::warn!("a caller sends more standard input than it may");
            return false;
        }
        if let Some(queue) = &self.queue {
            // The program may have closed its input: then it goes nowhere.
            let _ = queue.send(bytes);
        }
        true
    }

    fn control(&mut self, text: &str) -> bool {
        match serde_json::from_str(text) {
            Ok(ExecControl::EndOfInput) => self.queue = None,
            Ok(ExecControl::Signal(signal)) => self.group.signal(signal),
            Ok(ExecControl::Resize(size)) => {
                if let Some(pty) = &self.terminal {
                    let pty = pty.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = pty.resize(spawn::window(size));
                }
            }
            Err(error) => tracing::debug!(%error, "an unknown control message"),
        }
        true
    }
}

/// Writes standard input to the program and says how much it took. Input that
/// nobody reads any more is taken all the same.
async fn feed(
    mut input: Option<Input>,
    mut waiting: mpsc::UnboundedReceiver<Bytes>,
    credit: Arc<Credit>,
) {
    while let Some(bytes) = waiting.recv().await {
        if let Some(open) = &mut input {
            let written = open.write_all(&bytes).await;
            if written.is_err() || open.flush().await.is_err() {
                input = None;
            }
        }
        credit.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
        credit.taken.fetch_add(bytes.len(), Ordering::Relaxed);
        credit.news.notify_one();
    }
    if let Some(mut open) = input {
        let _ = open.shutdown().await;
    }
}
