//! HTTP on whatever carries bytes: the link to the parent, a Unix socket.

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nestlab_api::link;
use nestlab_sys::virtio::VirtioPort;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

/// The name of the virtio-serial port that is the link to the parent.
pub const LINK_PORT: &str = "nestlab.link";

/// How often the port is looked for, before its driver has found it.
const LOOK: Duration = Duration::from_millis(20);

/// How long the head of a request may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;

/// Serves the routes to the parent on the virtio-serial port of that name, for
/// ever: parents come and go, and the port may still be missing.
pub async fn run_agent(port: &str, router: Router) {
    loop {
        match VirtioPort::open(port) {
            Ok(Some(stream)) => {
                let error = serve_link(stream, router.clone()).await;
                tracing::warn!(%error, "the link to the parent broke");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, port, "cannot open the link to the parent"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Serves the routes to the parent, for ever, on the listening socket that this process
/// was started with as its first descriptor behind the standard ones.
pub async fn run_inherited(router: Router) {
    let listener = nestlab_sys::socket::inherited_listener();
    let listener = listener.and_then(UnixListener::from_std);
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "there is no link to the parent"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_link(stream, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept the parent");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Serves the routes on a link until its byte stream ends.
pub async fn serve_link(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
) -> io::Error {
    link::serve(stream, |stream| {
        tokio::spawn(serve_connection(stream, router.clone()));
    })
    .await
}

/// Serves the routes on a Unix socket, to the same user and root only, for ever.
pub async fn serve_unix(listener: UnixListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(peer) if peer.uid() == 0 || Some(peer.uid()) == own_uid() => {
                    tokio::spawn(serve_connection(stream, router.clone()));
                }
                peer => tracing::warn!(?peer, "refused a stranger"),
            },
            // Out of descriptors: let some connections end first.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata("/proc/self").ok()?.uid())
}

/// Serves the routes on one connection.
pub async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}
