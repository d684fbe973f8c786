//! Frames: the bytes of a session, marked so that bytes of another session are
//! never taken for them. See the module above for the picture.

use super::greeting::{self, Greeting, Kind};
use bytes::{Buf, BufMut, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Begins a frame.
const FRAME_MAGIC: [u8; 4] = *b"NLf1";
const HEADER: usize = 20;
const TRAILER: usize = 8;

/// The most payload of one frame. A multiplexer's largest frame fits, so that
/// one of them costs one write.
pub(super) const MAX_PAYLOAD: usize = 16 * 1024 + 64;

/// The longest frame, which is how much padding ends any frame that was cut.
pub(super) const MAX_FRAME: usize = HEADER + MAX_PAYLOAD + TRAILER;

/// The most bytes kept for a peer that does not read.
const MAX_OUTPUT: usize = 4 * MAX_FRAME;

/// The nonces of a session, as one end sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionId {
    /// Marks what we send: the nonce that the peer chose.
    pub outgoing: u64,
    /// Marks what we receive: the nonce that we chose.
    pub incoming: u64,
}

/// A byte stream with what was read from it too early.
pub(super) struct Transport<S> {
    stream: S,
    /// Read but not yet understood. At most one frame and one read.
    pub input: BytesMut,
    /// To be written: whole frames, then at most one that is still open.
    output: BytesMut,
    /// Payload of the input's first frame that was delivered already, if its
    /// trailer was checked.
    deliverable: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            deliverable: 0,
        }
    }

    /// Forgets what the last session left to be written. The frame that is cut
    /// by this is ended by padding.
    pub fn abandon(&mut self) {
        self.output = BytesMut::new();
        self.deliverable = 0;
    }

    /// Queues bytes outside any frame.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Queues what ends any frame that the peer may still be reading.
    pub fn queue_padding(&mut self) {
        self.output.put_bytes(0, MAX_FRAME);
    }

    pub fn queued(&self) -> usize {
        self.output.len()
    }

    /// Reads more input. `Ok(0)`: the stream has ended.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 16 * 1024];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes all that is queued.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        if self.output.capacity() > MAX_OUTPUT {
            self.output = BytesMut::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// The bytes of one session, as a stream for the multiplexer.
pub(super) struct Session<S> {
    transport: Arc<Mutex<Transport<S>>>,
    id: SessionId,
    /// Payload of the frame that is being filled.
    open: BytesMut,
    sent: u32,
    received: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub fn new(transport: Arc<Mutex<Transport<S>>>, id: SessionId) -> Self {
        Self {
            transport,
            id,
            open: BytesMut::new(),
            sent: 0,
            received: 0,
        }
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut transport = lock(&self.transport);
        let output = &mut transport.output;
        output.reserve(HEADER + self.open.len() + TRAILER);
        output.put_slice(&FRAME_MAGIC);
        output.put_u64_le(self.id.outgoing);
        output.put_u32_le(self.sent);
        output.put_u32_le(self.open.len() as u32);
        output.put_slice(&self.open);
        output.put_u64_le(self.id.outgoing);
        self.sent = self.sent.wrapping_add(1);
        self.open.clear();
    }
}

/// What stands at the beginning of the input.
enum Found {
    /// A frame of ours with this much payload, complete and checked.
    Frame(usize),
    /// Too little to tell.
    Partial,
    /// A greeting of this very session, said twice.
    Echo,
    /// Anything else: the session is over.
    Stranger,
}

fn inspect(input: &[u8], id: SessionId, sequence: u32) -> Found {
    let known = input.len().min(FRAME_MAGIC.len());
    if input[..known] != FRAME_MAGIC[..known] {
        return inspect_greeting(input, id);
    }
    let Some(header) = input.first_chunk::<HEADER>() else {
        return Found::Partial;
    };
    let mut fields = &header[FRAME_MAGIC.len()..];
    let (session, number, length) = (
        fields.get_u64_le(),
        fields.get_u32_le(),
        fields.get_u32_le(),
    );
    let length = length as usize;
    if session != id.incoming || number != sequence || length > MAX_PAYLOAD || length == 0 {
        return Found::Stranger;
    }
    let end = HEADER + length + TRAILER;
    match input.get(HEADER + length..end) {
        None => Found::Partial,
        // A frame that was cut, and ended by something else, ends otherwise.
        Some(trailer) if trailer == id.incoming.to_le_bytes() => Found::Frame(length),
        Some(_) => Found::Stranger,
    }
}

/// The parent says hello until it is answered, so the last answer may come twice.
fn inspect_greeting(input: &[u8], id: SessionId) -> Found {
    let ours = Greeting::new(Kind::Welcome, id.incoming, id.outgoing).encode();
    let known = input.len().min(greeting::SIZE);
    match input[..known] == ours[..known] {
        true if known == greeting::SIZE => Found::Echo,
        true => Found::Partial,
        false => Found::Stranger,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> futures::io::AsyncRead for Session<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut transport = lock(&this.transport);
        loop {
            if transport.deliverable > 0 {
                return Poll::Ready(Ok(deliver(&mut transport, target)));
            }
            match inspect(&transport.input, this.id, this.received) {
                Found::Frame(length) => {
                    transport.input.advance(HEADER);
                    transport.deliverable = length;
                    this.received = this.received.wrapping_add(1);
                }
                Found::Echo => transport.input.advance(greeting::SIZE),
                Found::Stranger => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Found::Partial => {
                    if ready!(transport.poll_fill(cx))? == 0 {
                        return Poll::Ready(Ok(0));
                    }
                }
            }
        }
    }
}

/// Hands out payload of the first frame, and with its last byte drops the trailer.
fn deliver<S>(transport: &mut Transport<S>, target: &mut [u8]) -> usize {
    let length = transport.deliverable.min(target.len());
    target[..length].copy_from_slice(&transport.input[..length]);
    transport.input.advance(length);
    transport.deliverable -= length;
    if transport.deliverable == 0 {
        transport.input.advance(TRAILER);
    }
    length
}

impl<S: AsyncRead + AsyncWrite + Unpin> futures::io::AsyncWrite for Session<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.open.len() == MAX_PAYLOAD {
            this.seal();
        }
        let mut transport = lock(&this.transport);
        if transport.queued() + this.open.len() >= MAX_OUTPUT - MAX_FRAME {
            ready!(transport.poll_drain(cx))?;
        }
        let length = bytes.len().min(MAX_PAYLOAD - this.open.len());
        this.open.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.seal();
        lock(&this.transport).poll_drain(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The stream itself stays: the next session runs on it.
        self.poll_flush(cx)
    }
}

/// A panic elsewhere leaves the buffers in a state that the next greeting mends.
pub(super) fn lock<S>(transport: &Mutex<Transport<S>>) -> MutexGuard<'_, Transport<S>> {
    transport.lock().unwrap_or_else(PoisonError::into_inner)
}
