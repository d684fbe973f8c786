//! What a program writes, on its way to the caller.

use super::{Credit, Group};
use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut, BytesMut};
use futures::SinkExt;
use futures::stream::SplitSink;
use nestlab_api::message::{ExecChannel, ExecEnd, ExecFlow};
use nestlab_sys::pty::Pty;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout};

/// Bytes sent at once.
const CHUNK: usize = 16 * 1024;

/// How long streams that others still hold open stay silent before a program
/// that has ended counts as done.
const QUIET: Duration = Duration::from_millis(100);

/// How long the caller may take to hear the end.
const CLOSING: Duration = Duration::from_secs(5);

/// A terminal that reading, writing and resizing share. None of them holds it
/// while it waits.
pub(super) struct Shared(pub Arc<Mutex<Pty>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Pty>) -> T) -> T {
        act(Pin::new(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|pty| pty.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|pty| pty.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|pty| pty.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A terminal's input ends by the character for it.
        match self.with(|pty| pty.poll_write(cx, &[4])) {
            Poll::Ready(result) => Poll::Ready(result.map(drop)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// One stream of a program, or nothing once it has ended.
struct Source {
    reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
    buffer: Vec<u8>,
}

impl Source {
    fn new(reader: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        let reader = reader.map(|reader| Box::new(reader) as Box<dyn AsyncRead + Send + Unpin>);
        let buffer = if reader.is_some() {
            vec![0; CHUNK]
        } else {
            Vec::new()
        };
        Self { reader, buffer }
    }

    /// The next bytes; waits for ever once the stream has ended. May be
    /// cancelled without loss.
    async fn read(&mut self) -> Option<usize> {
        let Some(reader) = &mut self.reader else {
            return std::future::pending().await;
        };
        match reader.read(&mut self.buffer).await {
            Ok(count) if count > 0 => Some(count),
            _ => {
                self.reader = None;
                None
            }
        }
    }
}

/// The streams of a program.
pub(super) struct Sources {
    stdout: Source,
    stderr: Source,
}

impl Sources {
    pub fn terminal(terminal: Shared) -> Self {
        Self {
            stdout: Source::new(Some(terminal)),
            stderr: Source::new(None::<ChildStderr>),
        }
    }

    pub fn pipes(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        Self {
            stdout: Source::new(stdout),
            stderr: Source::new(stderr),
        }
    }

    fn have_ended(&self) -> bool {
        self.stdout.reader.is_none() && self.stderr.reader.is_none()
    }

    /// The next frame; `None` when one of the streams ends.
    async fn next(&mut self) -> Option<Message> {
        let Self { stdout, stderr } = self;
        let (channel, source, count) = tokio::select! {
            count = stdout.read() => (ExecChannel::Stdout, stdout, count?),
            count = stderr.read() => (ExecChannel::Stderr, stderr, count?),
        };
        let mut frame = BytesMut::with_capacity(1 + count);
        frame.put_u8(channel as u8);
        frame.put_slice(&source.buffer[..count]);
        Some(Message::Binary(frame.freeze()))
    }

    /// Reads what nobody wants any more, so that neither a program left in the
    /// background nor one that still tidies up is ended by its next line.
    pub fn abandon(self) {
        for reader in [self.stdout.reader, self.stderr.reader]
            .into_iter()
            .flatten()
        {
            tokio::spawn(async move {
                let mut reader = reader;
                let mut nowhere = [0; 1024];
                while reader.read(&mut nowhere).await.is_ok_and(|count| count > 0) {}
            });
        }
    }
}

/// Speaks to the caller.
pub(super) struct Sender {
    pub sink: SplitSink<WebSocket, Message>,
    pub credit: Arc<Credit>,
}

impl Sender {
    /// Sends all output and the end. `false`: the caller has gone.
    pub async fn run(mut self, child: &mut Child, group: &Group, sources: &mut Sources) -> bool {
        let mut end = None;
        while !(end.is_some() && sources.have_ended()) {
            let message = tokio::select! {
                message = sources.next() => message,
                status = child.wait(), if end.is_none() => {
                    group.ended();
                    end = Some(describe(status));
                    None
                }
                () = self.credit.news.notified() => self.taken(),
                () = tokio::time::sleep(QUIET), if end.is_some() => break,
            };
            if let Some(message) = message
                && self.sink.send(message).await.is_err()
            {
                return false;
            }
        }
        let end = end.unwrap_or(ExecEnd::Exited(255));
        let closing = send_end(&mut self.sink, &end);
        tokio::time::timeout(CLOSING, closing)
            .await
            .is_ok_and(|sent| sent)
    }

    fn taken(&self) -> Option<Message> {
        let bytes = self.credit.taken.swap(0, Ordering::Relaxed) as u64;
        let text = serde_json::to_string(&ExecFlow::StdinTaken(bytes)).ok()?;
        (bytes > 0).then(|| Message::Text(text.into()))
    }
}

fn describe(status: io::Result<ExitStatus>) -> ExecEnd {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ExecEnd::Exited(code),
            (None, Some(signal)) => ExecEnd::Signalled(signal),
            (None, None) => ExecEnd::Exited(255),
        },
        Err(error) => {
            tracing::error!(%error, "cannot wait for a program");
            ExecEnd::Exited(255)
        }
    }
}

async fn send_end<S>(sink: &mut S, end: &ExecEnd) -> bool
where
    S: SinkExt<Message> + Unpin,
{
    let Ok(text) = serde_json::to_string(end) else {
        return false;
    };
    sink.send(Message::Text(text.into())).await.is_ok() && sink.close().await.is_ok()
}

/// Sends nothing but the end.
pub(super) async fn finish(mut socket: WebSocket, end: ExecEnd) {
    if tokio::time::timeout(CLOSING, send_end(&mut socket, &end))
        .await
        .is_err()
    {
        tracing::debug!("the caller did not hear the end of its program");
    }
}
