//! A stream whose owner can be kept from writing for a while, without being told.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// How long the other end may take to read what is under way.
const DRAIN: Duration = Duration::from_millis(200);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// Through which a stream is written, one stream after the other. Clones are the
/// same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    shut: bool,
    /// Who waits for it to open.
    waiting: Option<Waker>,
    /// What is written to now.
    stream: Weak<UnixStream>,
}

impl Gate {
    /// Puts the gate before a stream.
    pub fn guard(&self, stream: UnixStream) -> Gated {
        let stream = Arc::new(stream);
        self.state().stream = Arc::downgrade(&stream);
        Gated {
            stream,
            gate: self.clone(),
        }
    }

    /// Lets nothing through any more; tells whether the other end has read all that
    /// came before.
    pub async fn shut(&self) -> bool {
        self.state().shut = true;
        let drained = async {
            while !self.is_drained() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(DRAIN, drained).await.is_ok()
    }

    /// Lets go through what has waited.
    pub fn open(&self) {
        let mut state = self.state();
        state.shut = false;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    fn is_drained(&self) -> bool {
        let stream = self.state().stream.upgrade();
        stream.is_none_or(|stream| nestlab_sys::socket::unread(&*stream).unwrap_or(0) == 0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

/// A stream behind a gate.
pub(crate) struct Gated {
    stream: Arc<UnixStream>,
    gate: Gate,
}

impl AsyncRead for Gated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            // Held while it is written: nothing slips through as the gate is shut.
            let mut state = self.gate.state();
            if state.shut {
                state.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The other end sees the end when the last holder drops the stream.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn nothing_goes_through_a_gate_that_is_shut() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let gate = Gate::default();
        let mut ours = gate.guard(ours);
        ours.write_all(b"a").await.unwrap();
        assert!(!gate.shut().await, "nobody has read it");
        let mut byte = [0];
        theirs.read_exact(&mut byte).await.unwrap();
        assert!(gate.shut().await);

        let writer = tokio::spawn(async move {
            ours.write_all(b"b").await.unwrap();
            ours
        });
        let early = tokio::time::timeout(Duration::from_millis(20), theirs.read_exact(&mut byte));
        assert!(early.await.is_err());
        // The other way is open.
        theirs.write_all(b"c").await.unwrap();
        gate.open();
        theirs.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        writer.await.unwrap().read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"c");
    }
}
