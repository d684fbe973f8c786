//! Answers that say what went wrong.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nestlab_api::message::Failure;
use std::error::Error;
use std::io;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    failure: Failure,
}

impl Rejection {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let failure = Failure {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            node: None,
        };
        Self { status, failure }
    }

    /// The request asks for something that makes no sense.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// What was tried did not work, for all these reasons.
    pub fn caused(action: impl Into<String>, cause: &dyn Error) -> Self {
        Self::with_causes(StatusCode::UNPROCESSABLE_ENTITY, "failed", action, cause)
    }

    pub fn with_causes(
        status: StatusCode,
        code: &str,
        action: impl Into<String>,
        cause: &dyn Error,
    ) -> Self {
        let mut message = action.into();
        let mut next = Some(cause);
        while let Some(cause) = next {
            message.push_str("\ncaused by: ");
            message.push_str(&cause.to_string());
            next = cause.source();
        }
        Self::new(status, code, message)
    }

    /// Wraps an I/O error with what was tried.
    pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |error| match error.kind() {
            io::ErrorKind::NotFound => {
                Self::with_causes(StatusCode::NOT_FOUND, "not-found", action, &error)
            }
            io::ErrorKind::StorageFull => Self::caused(action, &error)
                .hint("Free some space in the node, or give it a larger `disk:`"),
            _ => Self::caused(action, &error),
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.failure.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        (self.status, Json(self.failure)).into_response()
    }
}
