//! A link: many streams over one byte stream that has no beginning.
//!
//! The byte stream to a guest (virtio-serial) is there before either end is,
//! and tells neither of them when the other was replaced: it may hand over the
//! second half of what a killed supervisor wrote, or replay what a restored
//! snapshot still held. So every connection begins with a greeting, and every
//! byte after it says which greeting it belongs to.
//!
//! ```text
//! parent (yamux client)                         child (yamux server)
//!                         ◄── padding, KNOCK ──  at its start, after a loss
//! padding, HELLO(p)       ──►                    repeated until answered
//!                         ◄── WELCOME(p,c) ────  c is new for each p
//! CONFIRM(p,c)            ──►                    repeated p: the same c
//! frame(c) frame(c) …     ──►
//!                         ◄── frame(p) frame(p)
//!
//! greeting: magic 16 │ kind 1 │ version 1 │ 0 2 │ p 8 │ c 8 │ checksum 4
//! frame:    magic 4 │ session 8 │ sequence 4 │ length 4 │ payload │ session 8
//! ```
//!
//! `p` and `c` are random. A frame carries the nonce that its reader chose.
//!
//! - **Looking for a greeting**, an end throws away every byte that is not one;
//!   greetings of other nonces are thrown away too.
//! - **Within a session** only the next frame is acceptable. Anything else —
//!   another session's frame, a gap in the sequence, a greeting, garbage — ends
//!   the session and is looked through for a greeting at once. Payload is never
//!   looked through: a file may well hold the magic.
//! - **A frame that was cut** is continued by whatever the next writer sends
//!   first, which is padding as long as the longest frame; its trailer is wrong
//!   then, so that the torn payload is delivered to nobody, and the greeting
//!   behind the padding is whole.
//! - A knock tells a parent at once that its child was replaced; a hello tells
//!   a child that its parent was.
//!
//! Nothing here grows with what the peer sends: the input holds one frame, the
//! output a few, the multiplexer a window of each stream.

mod greeting;
mod session;

use greeting::{Greeting, Kind, VERSION};
use session::{Session, SessionId, Transport, lock};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};
use yamux::{Connection, ConnectionError, Mode};

/// Streams that may be open at once on one link.
const MAX_STREAMS: usize = 128;

/// Streams whose end is not yet known to both sides, beside the open ones.
const ENDING_STREAMS: usize = 64;

/// How soon a hello is repeated at first; each pause is twice the one before.
/// A child that was replaced knocks, so that nothing depends on this.
const HELLO_INTERVAL: Duration = Duration::from_millis(100);

/// The longest pause between two hellos: a guest that boots for minutes then
/// finds few of them waiting.
const MAX_HELLO_INTERVAL: Duration = Duration::from_secs(2);

/// How long the opening of a stream may take.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// Why a link is not there.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody answered in time.
    #[error("The agent did not answer a greeting within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    /// The peer is from another time.
    #[error("The agent speaks version {theirs} of the link, this program version {VERSION}")]
    Version {
        /// What the peer speaks.
        theirs: u8,
    },
    /// The byte stream broke.
    #[error("The byte stream to the agent broke")]
    Stream(#[source] io::Error),
    /// The session is over; a new link has to be made.
    #[error("The link to the agent is gone")]
    Closed,
    /// As many streams as may be are open.
    #[error("{MAX_STREAMS} streams are open on the link and none ended in time")]
    Busy,
}

/// The parent's end of a link. Clones are the same link, which ends with the
/// last clone and stream, or when the peer is lost.
#[derive(Debug, Clone)]
pub struct Link(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    opens: mpsc::Sender<oneshot::Sender<yamux::Stream>>,
    permits: Arc<Semaphore>,
    closed: watch::Receiver<bool>,
    abandoned: Arc<Notify>,
}

impl Link {
    /// Greets the child at the other end of a byte stream, as often as needed.
    ///
    /// # Errors
    /// The stream breaks, nobody answers within the deadline, or a peer of
    /// another version does.
    pub async fn connect(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        deadline: Duration,
    ) -> Result<Self, LinkError> {
        let mut transport = Transport::new(stream);
        let id = tokio::time::timeout(deadline, greet_child(&mut transport))
            .await
            .map_err(|_| LinkError::NoAnswer(deadline))??;
        let session = Session::new(Arc::new(Mutex::new(transport)), id);
        let connection = Connection::new(session, multiplexing(), Mode::Client);
        let (opens, requests) = mpsc::channel(8);
        let (ended, closed) = watch::channel(false);
        let abandoned = Arc::new(Notify::new());
        let given_up = abandoned.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = drive(connection, requests) => {}
                () = given_up.notified() => tracing::debug!("the link was abandoned"),
            }
            ended.send_replace(true);
        });
        let permits = Arc::new(Semaphore::new(MAX_STREAMS));
        Ok(Self(Arc::new(Handle {
            opens,
            permits,
            closed,
            abandoned,
        })))
    }

    /// Opens a stream. Costs no round trip.
    ///
    /// # Errors
    /// The link is gone, or too many streams are open for 10 s.
    pub async fn open(&self) -> Result<LinkStream, LinkError> {
        tokio::time::timeout(OPEN_DEADLINE, self.open_without_deadline())
            .await
            .map_err(|_| LinkError::Busy)?
    }

    async fn open_without_deadline(&self) -> Result<LinkStream, LinkError> {
        if self.is_closed() {
            return Err(LinkError::Closed);
        }
        let permits = self.0.permits.clone();
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| LinkError::Closed)?;
        let (answer, opened) = oneshot::channel();
        self.0
            .opens
            .send(answer)
            .await
            .map_err(|_| LinkError::Closed)?;
        let stream = opened.await.map_err(|_| LinkError::Closed)?;
        Ok(LinkStream {
            stream: stream.compat(),
            _held: Some((permit, self.clone())),
        })
    }

    /// Whether the peer is lost.
    pub fn is_closed(&self) -> bool {
        *self.0.closed.borrow() || self.0.opens.is_closed()
    }

    /// Gives the peer up for lost. Every stream of the link ends with an error,
    /// and nothing more is said to the peer.
    pub fn abandon(&self) {
        self.0.abandoned.notify_one();
    }

    /// Waits until the peer is lost.
    pub async fn closed(&self) {
        let mut closed = self.0.closed.clone();
        // An error means that the driver is gone, which is the same.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}

/// One stream of a link.
#[derive(Debug)]
pub struct LinkStream {
    stream: Compat<yamux::Stream>,
    _held: Option<(OwnedSemaphorePermit, Link)>,
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The child's end: greets, hands every stream that the parent opens to the
/// handler, and greets again when the session is lost. Streams of a lost session
/// end with an error. A handler must not block; it spawns what takes time.
///
/// A byte stream that says [`io::ErrorKind::NotConnected`] has lost its peer for
/// now, which ends the session but not this function.
///
/// # Errors
/// Returns only when the byte stream ends or breaks for good.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    on_stream: impl Fn(LinkStream),
) -> io::Error {
    let transport = Arc::new(Mutex::new(Transport::new(stream)));
    loop {
        let id = match greet_parent(&transport).await {
            Ok(id) => id,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => continue,
            Err(error) => return error,
        };
        tracing::debug!("a parent has greeted");
        let session = Session::new(transport.clone(), id);
        let mut connection = Connection::new(session, multiplexing(), Mode::Server);
        while let Some(inbound) = poll_fn(|cx| connection.poll_next_inbound(cx)).await {
            match inbound {
                Ok(stream) => on_stream(LinkStream {
                    stream: stream.compat(),
                    _held: None,
                }),
                Err(error) => {
                    tracing::debug!(%error, "the session with the parent is over");
                    break;
                }
            }
        }
    }
}

/// Windows are as small as yamux allows. A stream that nobody reads then holds
/// 256 KiB, and frames of 16 KiB from all streams take turns.
fn multiplexing() -> yamux::Config {
    let streams = MAX_STREAMS + ENDING_STREAMS;
    let mut config = yamux::Config::default();
    config.set_max_num_streams(streams);
    config.set_max_connection_receive_window(Some(streams * yamux::DEFAULT_CREDIT as usize));
    config.set_split_send_size(16 * 1024);
    config
}

type Requests = mpsc::Receiver<oneshot::Sender<yamux::Stream>>;

/// Moves bytes until the session is lost or nobody holds the link any more.
async fn drive<S>(mut connection: Connection<Session<S>>, mut requests: Requests)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let result = poll_fn(|cx| poll_connection(&mut connection, &mut requests, cx)).await;
    match result {
        Ok(()) => {
            let closing = poll_fn(|cx| connection.poll_close(cx));
            let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
        }
        Err(error) => tracing::debug!(%error, "the link is gone"),
    }
}

/// Ready when it is over: by an error, or because the link was dropped.
fn poll_connection<S: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<Session<S>>,
    requests: &mut Requests,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ConnectionError>> {
    while let Poll::Ready(request) = requests.poll_recv(cx) {
        let Some(answer) = request else {
            return Poll::Ready(Ok(()));
        };
        match connection.poll_new_outbound(cx) {
            Poll::Ready(Ok(stream)) => drop(answer.send(stream)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            // Too many unanswered streams: the asker is told by the dropped answer.
            Poll::Pending => {}
        }
    }
    loop {
        match ready!(connection.poll_next_inbound(cx)) {
            // Children only answer: a stream from below is dropped.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(ConnectionError::Closed)),
        }
    }
}

/// Writes what is queued and waits for the next greeting.
fn poll_greeting<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut Transport<S>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Greeting>> {
    if let Poll::Ready(Err(error)) = transport.poll_drain(cx) {
        return Poll::Ready(Err(error));
    }
    loop {
        if let Some(greeting) = greeting::scan(&mut transport.input) {
            return Poll::Ready(Ok(greeting));
        }
        if ready!(transport.poll_fill(cx))? == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// The parent's side of the greeting.
async fn greet_child<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut Transport<S>,
) -> Result<SessionId, LinkError> {
    let ours = random();
    let hello = Greeting::new(Kind::Hello, ours, 0).encode();
    transport.queue_padding();
    transport.queue(&hello);
    let mut pause = HELLO_INTERVAL;
    loop {
        let next = poll_fn(|cx| poll_greeting(transport, cx));
        let heard = match tokio::time::timeout(pause, next).await {
            Ok(heard) => Some(heard.map_err(LinkError::Stream)?),
            Err(_) => {
                pause = (pause * 2).min(MAX_HELLO_INTERVAL);
                None
            }
        };
        match heard {
            Some(Greeting {
                kind: Kind::Welcome,
                version,
                parent,
                child,
            }) if parent == ours => {
                if version != VERSION {
                    return Err(LinkError::Version { theirs: version });
                }
                transport.queue(&Greeting::new(Kind::Confirm, ours, child).encode());
                return Ok(SessionId {
                    outgoing: child,
                    incoming: ours,
                });
            }
            // The child's buffers may have swallowed what was said before.
            None
            | Some(Greeting {
                kind: Kind::Knock, ..
            }) if transport.queued() == 0 => {
                transport.queue(&hello);
            }
            _ => {}
        }
    }
}

/// The child's side of the greeting.
async fn greet_parent<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &Mutex<Transport<S>>,
) -> io::Result<SessionId> {
    {
        let mut transport = lock(transport);
        transport.abandon();
        transport.queue_padding();
        transport.queue(&Greeting::new(Kind::Knock, 0, 0).encode());
    }
    let (mut parent, mut child) = (0, 0);
    loop {
        let heard = poll_fn(|cx| poll_greeting(&mut *lock(transport), cx)).await?;
        match heard.kind {
            Kind::Hello => {
                if heard.parent != parent {
                    (parent, child) = (heard.parent, random());
                }
                let mut transport = lock(transport);
                // Who does not read its answers gets no more of them.
                if transport.queued() < 2 * session::MAX_FRAME {
                    transport.queue(&Greeting::new(Kind::Welcome, parent, child).encode());
                }
            }
            Kind::Confirm if child != 0 && (heard.parent, heard.child) == (parent, child) => {
                return Ok(SessionId {
                    outgoing: parent,
                    incoming: child,
                });
            }
            Kind::Confirm | Kind::Knock | Kind::Welcome => {}
        }
    }
}

fn random() -> u64 {
    crate::random::nonce()
}
