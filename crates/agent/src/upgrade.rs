//! Connections that cease to be HTTP and carry opaque bytes.

use crate::carry::carry;
use crate::rejection::Rejection;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use nestlab_api::route;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite};

/// Answers an upgrade request and carries bytes between its connection and a
/// stream until both directions have ended.
pub(crate) fn splice(
    request: Request,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Response {
    accept(request, |upgraded| carry(upgraded, stream))
}

/// Answers an upgrade request and hands the connection on.
pub(crate) fn accept<F, T>(mut request: Request, serve: F) -> Response
where
    F: FnOnce(TokioIo<Upgraded>) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let asked = request
        .headers()
        .get(header::UPGRADE)
        .map(HeaderValue::as_bytes);
    if !asked.is_some_and(|asked| asked.eq_ignore_ascii_case(route::UPGRADE.as_bytes())) {
        let message = format!("This route needs `Upgrade: {}`", route::UPGRADE);
        return Rejection::new(StatusCode::UPGRADE_REQUIRED, "upgrade", message).into_response();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "a connection was not handed over"),
        }
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, route::UPGRADE),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
}
