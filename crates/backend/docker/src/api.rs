//! The Engine API over a Unix socket: one request, one answer.
//!
//! Only what Docker Engine and Podman have in common is asked, in the version that both
//! we and the engine know.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nestlab_backend::BackendError;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The version of the API that this is written for: Docker Engine 20.10, Podman 4.
const OURS: (u32, u32) = (1, 41);

/// The oldest that has all that is asked here: Docker Engine 19.03.
const OLDEST: (u32, u32) = (1, 40);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// How long an answer may take, but for what has a deadline of its own.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a request carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An engine that answers.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    socket: PathBuf,
    version: String,
}

/// What an engine has answered.
pub(crate) struct Answer {
    request: String,
    pub status: StatusCode,
    body: Bytes,
}

impl Api {
    /// Greets the engine at a socket, and settles on a version; gives what it said.
    pub async fn greet(socket: &Path, within: Duration) -> Result<(Self, Value), String> {
        let mut api = Self {
            socket: socket.to_owned(),
            version: String::new(),
        };
        let asked = api.send(Method::GET, "/version", empty(), within).await;
        let answer = asked.and_then(Answer::value);
        let said = answer.map_err(|error| chain(&error))?;
        api.version = format!("/v{}", settle(&said)?);
        Ok((api, said))
    }

    pub async fn get(&self, path: &str) -> Result<Answer, BackendError> {
        self.request(Method::GET, path, empty(), DEADLINE).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, BackendError> {
        self.request(Method::DELETE, path, empty(), DEADLINE).await
    }

    /// Asks for something to be done that takes no more words.
    pub async fn post(&self, path: &str) -> Result<Answer, BackendError> {
        self.request(Method::POST, path, empty(), DEADLINE).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Answer, BackendError> {
        let body = Full::new(Bytes::from(body.to_string()));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        self.request(Method::POST, path, body, DEADLINE).await
    }

    /// Sends an archive, which may take its time.
    pub async fn post_stream(
        &self,
        path: &str,
        body: Body,
        within: Duration,
    ) -> Result<Answer, BackendError> {
        self.request(Method::POST, path, body, within).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
        within: Duration,
    ) -> Result<Answer, BackendError> {
        let path = format!("{}{path}", self.version);
        self.send(method, &path, body, within).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        within: Duration,
    ) -> Result<Answer, BackendError> {
        let plain = path.split('?').next().unwrap_or(path);
        let request = format!("{method} {plain}");
        let answered = tokio::time::timeout(within, self.exchange(method, path, body)).await;
        match answered {
            Ok(Ok((status, body))) => Ok(Answer {
                request,
                status,
                body,
            }),
            Ok(Err(error)) => Err(BackendError::io(format!("ask the engine {request}"))(error)),
            Err(_) => Err(BackendError::Timeout {
                what: format!("answer {request}"),
                seconds: within.as_secs(),
            }),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> io::Result<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let kind = match path.contains("fromSrc=") {
            true => "application/x-tar",
            false => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            // HTTP wants a name, and a Unix socket has none.
            .header("host", "engine")
            .header("content-type", kind)
            .body(body)
            .map_err(io::Error::other)?;
        let answer = async {
            let response = sender.send_request(request).await;
            let response = response.map_err(io::Error::other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
            let body = body.await.map_err(io::Error::other)?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // It ends by itself when all has been said.
            ended = connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

impl Answer {
    /// Refuses an answer that is an error.
    pub fn accepted(self) -> Result<Self, BackendError> {
        match self.status.is_success() || self.status == StatusCode::NOT_MODIFIED {
            true => Ok(self),
            false => Err(BackendError::Refused {
                command: self.request.clone(),
                message: self.complaint(),
            }),
        }
    }

    /// Refuses an answer that is an error, except that there is no such thing.
    pub fn accepted_or_gone(self) -> Result<Option<Self>, BackendError> {
        match self.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.accepted().map(Some),
        }
    }

    /// What it says.
    pub fn value(self) -> Result<Value, BackendError> {
        let answer = self.accepted()?;
        serde_json::from_slice(&answer.body).map_err(|error| BackendError::Refused {
            command: answer.request,
            message: format!("its answer makes no sense: {error}"),
        })
    }

    /// As it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Of a command that tells how it goes on, line by line, after it has accepted: the
    /// error that it ended with, if any.
    pub fn late_error(&self) -> Option<String> {
        let lines = self.body.split(|byte| *byte == b'\n');
        let mut errors = lines.filter_map(|line| {
            let line: Value = serde_json::from_slice(line).ok()?;
            line["error"].as_str().map(str::to_owned)
        });
        errors.next()
    }

    fn complaint(&self) -> String {
        let said: Option<Value> = serde_json::from_slice(&self.body).ok();
        let message = said.as_ref().and_then(|said| said["message"].as_str());
        message.map_or_else(|| format!("it answered {}", self.status), str::to_owned)
    }
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The version of the API that both sides know.
fn settle(said: &Value) -> Result<String, String> {
    let newest = said["ApiVersion"].as_str().and_then(parse);
    let newest = newest.ok_or("what answers is no container engine")?;
    if newest < OLDEST {
        return Err(format!(
            "it speaks version {}.{} of the Engine API, and {}.{} is needed",
            newest.0, newest.1, OLDEST.0, OLDEST.1
        ));
    }
    let oldest = said["MinAPIVersion"].as_str().and_then(parse);
    let (major, minor) = OURS.min(newest).max(oldest.unwrap_or(OLDEST));
    Ok(format!("{major}.{minor}"))
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_sides_know_the_version() {
        let check = |newest: &str, oldest: Option<&str>, settled: Result<&str, &str>| {
            let said = json!({ "ApiVersion": newest, "MinAPIVersion": oldest });
            match (settle(&said), settled) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{found}"),
                (found, wanted) => panic!("{newest}: {found:?}, not {wanted:?}"),
            }
        };
        check("1.41", Some("1.12"), Ok("1.41"));
        check("1.40", Some("1.24"), Ok("1.40"));
        check("1.52", Some("1.44"), Ok("1.44"));
        check("1.41", None, Ok("1.41"));
        check("1.24", Some("1.12"), Err("1.40 is needed"));
        check("new", None, Err("no container engine"));
    }

    #[test]
    fn an_error_behind_an_accepted_answer_is_seen() {
        let answer = |body: &'static str| Answer {
            request: "POST /images/create".into(),
            status: StatusCode::OK,
            body: Bytes::from_static(body.as_bytes()),
        };
        let bad = answer("{\"status\":\"importing\"}\r\n{\"error\":\"unexpected EOF\"}\r\n");
        assert_eq!(bad.late_error().as_deref(), Some("unexpected EOF"));
        assert_eq!(answer("{\"status\":\"sha256:00\"}\n").late_error(), None);
    }
}
