//! Byte streams to a level, however many others lie between.

use super::error::{ApiError, other};
use super::{Client, Dialer, OPEN_DEADLINE};
use crate::route;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// What every byte stream is: readable and writable.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A byte stream, of whatever kind.
pub type ByteStream = Box<dyn Duplex>;

/// The body of a request.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The most bytes of an answer that is read as a whole.
const MAX_ANSWER: usize = 16 << 20;

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl Client {
    /// A fresh byte stream to the level, on which it speaks HTTP.
    pub(super) async fn stream(&self) -> Result<ByteStream, ApiError> {
        within(
            self,
            "the opening of a stream",
            OPEN_DEADLINE,
            self.stream_without_deadline(),
        )
        .await
    }

    async fn stream_without_deadline(&self) -> Result<ByteStream, ApiError> {
        let base: ByteStream = match &*self.dialer {
            Dialer::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(|source| {
                ApiError::Unreachable {
                    peer: format!("`{}`", path.display()),
                    source,
                }
            })?),
            Dialer::Link(link) => Box::new(link.open().await.map_err(|source| ApiError::Link {
                peer: self.peer(),
                source,
            })?),
        };
        match route::connect(&self.path) {
            None => Ok(base),
            Some(target) => self.upgrade_on(base, &target).await,
        }
    }

    /// Asks for opaque bytes on a fresh stream to the level.
    pub(super) async fn upgrade(&self, target: &str) -> Result<ByteStream, ApiError> {
        let stream = self.stream().await?;
        within(self, target, OPEN_DEADLINE, self.upgrade_on(stream, target)).await
    }

    async fn upgrade_on(&self, stream: ByteStream, target: &str) -> Result<ByteStream, ApiError> {
        let request = self
            .request(Method::GET, target)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, route::UPGRADE)
            .body(empty())
            .map_err(|error| self.unexpected(target, error))?;
        let response = self.send_on(stream, request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refused(target, response).await);
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| self.broken(target, other(error)))?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }

    /// Sends a request on a fresh stream.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, ApiError> {
        let stream = self.stream().await?;
        self.send_on(stream, request).await
    }

    async fn send_on(
        &self,
        stream: ByteStream,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, ApiError> {
        let action = format!("{} {}", request.method(), request.uri());
        let broken = |error: hyper::Error| self.broken(&action, other(error));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Ends with the request: the connection carries only this one.
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection broke");
            }
        });
        sender.send_request(request).await.map_err(broken)
    }

    pub(super) fn request(&self, method: Method, target: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "nestlab")
    }

    /// Reads an answer that is not what was hoped for.
    pub(super) async fn refused(&self, action: &str, response: Response<Incoming>) -> ApiError {
        let status = response.status();
        match self.whole(action, response).await {
            Ok(body) => self.failure(action, status.as_u16(), &body),
            Err(error) => error,
        }
    }

    pub(super) fn failure(&self, action: &str, status: u16, body: &[u8]) -> ApiError {
        match serde_json::from_slice(body) {
            Ok(failure) => ApiError::Failure { status, failure },
            Err(_) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
                self.unexpected(action, format!("status {status} {text}"))
            }
        }
    }

    /// The whole body of an answer, which must not be too long.
    pub(super) async fn whole(
        &self,
        action: &str,
        response: Response<Incoming>,
    ) -> Result<Bytes, ApiError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        Ok(body
            .map_err(|error| self.broken(action, other(error)))?
            .to_bytes())
    }

    /// What messages call the level.
    pub(super) fn peer(&self) -> String {
        match (&*self.dialer, self.path.is_host()) {
            (_, false) => format!("the agent of `{}`", self.path),
            (Dialer::Unix(path), true) => format!("`{}`", path.display()),
            (Dialer::Link(_), true) => "the agent".into(),
        }
    }

    pub(super) fn broken(&self, action: &str, source: io::Error) -> ApiError {
        ApiError::Broken {
            peer: self.peer(),
            action: action.to_owned(),
            source,
        }
    }

    pub(super) fn unexpected(&self, action: &str, reason: impl ToString) -> ApiError {
        ApiError::Unexpected {
            peer: self.peer(),
            action: action.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Gives up after a while.
pub(super) async fn within<T>(
    client: &Client,
    action: &str,
    after: std::time::Duration,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(after, work).await.unwrap_or_else(|_| {
        Err(ApiError::Timeout {
            peer: client.peer(),
            action: action.to_owned(),
            after,
        })
    })
}
