//! The client of a level: what the CLI, a parent and a test call.
//!
//! Each call opens one stream, speaks HTTP/1.1 on it and closes it. A stream
//! costs no round trip on a link and one however deep a relay goes, so there is
//! no pool whose state could go stale.

mod error;
mod events;
mod exec;
mod stream;

pub use error::{ApiError, UNREACHABLE};
pub use events::EventStream;
pub use exec::{ExecEvent, ExecInput, ExecOutput, ExecSession, Output};
pub use stream::{ByteStream, Duplex};

use crate::link::Link;
use crate::message::{
    Configure, Examination, ForkReport, ForkRequest, Growth, LayerReport, LayerSpec, LogKind,
    Outcome, PauseRequest, Power, ResizeRequest, Resized, Snapshot, SnapshotRequest, StopRequest,
    UpRequest, Version,
};
use crate::route;
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response, StatusCode, body::Incoming};
use nestlab_model::{ByteSize, Digest, NodeName, NodePath, Protocol};
use serde::{Serialize, de::DeserializeOwned};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use stream::{Body, empty, within};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// How long the opening of a stream may take, over all levels.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// How long a level may take for a short request.
const DEADLINE: Duration = Duration::from_secs(30);

/// Bytes read at once from what is sent.
const CHUNK: usize = 16 * 1024;

/// Bytes as they arrive.
pub type ByteReader = Pin<Box<dyn AsyncRead + Send>>;

/// Speaks to one level. Clones are cheap and independent.
#[derive(Debug, Clone)]
pub struct Client {
    dialer: Arc<Dialer>,
    /// Where the level is, seen from the dialer's end.
    path: NodePath,
}

#[derive(Debug)]
enum Dialer {
    Unix(PathBuf),
    Link(Link),
}

impl Client {
    /// The level that listens on a Unix socket.
    pub fn unix(path: PathBuf) -> Self {
        Self::over(Dialer::Unix(path))
    }

    /// The level at the other end of a link.
    pub fn link(link: Link) -> Self {
        Self::over(Dialer::Link(link))
    }

    fn over(dialer: Dialer) -> Self {
        Self {
            dialer: Arc::new(dialer),
            path: NodePath::host(),
        }
    }

    /// The level of a node below this one, reached by relay.
    #[must_use]
    pub fn at(&self, path: &NodePath) -> Self {
        Self {
            dialer: self.dialer.clone(),
            path: self.path.join(path),
        }
    }

    /// What the level is.
    ///
    /// # Errors
    /// As for every call: see [`ApiError`].
    pub async fn version(&self) -> Result<Version, ApiError> {
        self.get(route::VERSION).await
    }

    /// What stands at the level.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn layer(&self) -> Result<LayerReport, ApiError> {
        self.get(route::LAYER).await
    }

    /// Says what shall stand at the level.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_layer(&self, spec: &LayerSpec) -> Result<(), ApiError> {
        within(
            self,
            route::LAYER,
            DEADLINE,
            self.tell(Method::PUT, route::LAYER, spec),
        )
        .await
    }

    /// What shall stand at the level, as it was said last.
    ///
    /// # Errors
    /// See [`ApiError`]; that nobody has said so yet is a failure.
    pub async fn spec(&self) -> Result<LayerSpec, ApiError> {
        self.get(route::SPEC).await
    }

    /// Brings up what shall stand at the level. Takes as long as it takes.
    ///
    /// # Errors
    /// See [`ApiError`]. That a node failed is an [`Outcome`], not an error.
    pub async fn up(&self, request: &UpRequest) -> Result<Outcome, ApiError> {
        self.post(route::UP, request).await
    }

    /// Stops the virtual CPUs of nodes, those of what is inside them first.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn pause(&self, request: &PauseRequest) -> Result<Outcome, ApiError> {
        self.post(route::PAUSE, request).await
    }

    /// Lets paused nodes go on, those of what is inside them last.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn resume(&self, request: &PauseRequest) -> Result<Outcome, ApiError> {
        self.post(route::RESUME, request).await
    }

    /// Copies the lab as it is now into new ones, which are at rest then.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn fork(&self, request: &ForkRequest) -> Result<ForkReport, ApiError> {
        self.post(route::FORK, request).await
    }

    /// The snapshots of the lab, the oldest first.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, ApiError> {
        self.get(route::SNAPSHOTS).await
    }

    /// Keeps the lab as it is now. Takes as long as it takes.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn save_snapshot(&self, request: &SnapshotRequest) -> Result<Snapshot, ApiError> {
        self.post(route::SNAPSHOTS, request).await
    }

    /// Makes the lab what it was when a snapshot was saved.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn restore_snapshot(&self, name: &str) -> Result<Outcome, ApiError> {
        self.post(&route::snapshot(route::RESTORE, name), &()).await
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete_snapshot(&self, name: &str) -> Result<(), ApiError> {
        let route = route::snapshot(route::SNAPSHOT, name);
        self.tell(Method::DELETE, &route, &()).await
    }

    /// Stops nodes. Takes as long as it takes.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn halt(&self, request: &StopRequest) -> Result<Outcome, ApiError> {
        self.post(route::HALT, request).await
    }

    /// Removes nodes. Takes as long as it takes.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn destroy(&self, request: &StopRequest) -> Result<Outcome, ApiError> {
        self.post(route::DESTROY, request).await
    }

    /// Tells a node who it is.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn configure(&self, configure: &Configure) -> Result<Version, ApiError> {
        let telling = self.post(route::CONFIGURE, configure);
        within(self, route::CONFIGURE, DEADLINE, telling).await
    }

    /// Finds out what works in a node, by trying. `nests`: whether machines are meant to
    /// stand inside it; `reach`: a place that it tries to connect to, as `host:port`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn doctor(&self, nests: bool, reach: Option<&str>) -> Result<Examination, ApiError> {
        let reach = reach.map(|place| format!("&reach={}", route::escape(place)));
        let route = format!(
            "{}?nests={nests}{}",
            route::DOCTOR,
            reach.unwrap_or_default()
        );
        self.get(&route).await
    }

    /// Gives a node a new machine-id and new ssh host keys.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn renew_identity(&self) -> Result<(), ApiError> {
        let telling = self.tell(Method::POST, route::IDENTITY, &());
        within(self, route::IDENTITY, DEADLINE, telling).await
    }

    /// Asks a node to power off or reboot.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn power(&self, power: Power) -> Result<(), ApiError> {
        let telling = self.tell(Method::POST, route::POWER, &power);
        within(self, route::POWER, DEADLINE, telling).await
    }

    /// Unpacks a tar archive into a folder, which is made if missing. The
    /// archive's names stay within it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_files(
        &self,
        target: &str,
        tar: impl AsyncRead + Send + 'static,
    ) -> Result<(), ApiError> {
        let route = format!("{}?path={}", route::FILES, route::escape(target));
        self.upload(&route, tar).await
    }

    /// A file or folder as a tar archive whose entries are named from the last
    /// part of the path.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn get_files(&self, path: &str) -> Result<ByteReader, ApiError> {
        self.download(&format!("{}?path={}", route::FILES, route::escape(path)))
            .await
    }

    /// Whether the level has a blob.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, ApiError> {
        let route = blob(digest);
        within(self, &route, DEADLINE, async {
            let request = self.request(Method::HEAD, &route).body(empty());
            let request = request.map_err(|error| self.unexpected(&route, error))?;
            let response = self.send(request).await?;
            match response.status() {
                status if status.is_success() => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                status => Err(self.unexpected(&route, status)),
            }
        })
        .await
    }

    /// Stores a blob, which must have this digest.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_blob(
        &self,
        digest: &Digest,
        bytes: impl AsyncRead + Send + 'static,
    ) -> Result<(), ApiError> {
        self.upload(&blob(digest), bytes).await
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn get_blob(&self, digest: &Digest) -> Result<ByteReader, ApiError> {
        self.download(&blob(digest)).await
    }

    /// Connects to a port at the level: its loopback, else its own addresses.
    /// A UDP stream carries datagrams, each after its length in two bytes, the
    /// higher one first.
    ///
    /// # Errors
    /// See [`ApiError`]; nobody listening is a failure with code `refused`.
    pub async fn dial(&self, port: u16, protocol: Protocol) -> Result<ByteStream, ApiError> {
        self.upgrade(&format!("{}?port={port}&protocol={protocol}", route::DIAL))
            .await
    }

    /// A raw stream to the agent of a node below, on which it speaks HTTP.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn relay(&self, node: &NodePath) -> Result<ByteStream, ApiError> {
        self.at(node).stream().await
    }

    /// The console of a node of the level's layer, both ways.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn console(&self, node: &NodeName) -> Result<ByteStream, ApiError> {
        self.upgrade(&route::node(route::CONSOLE, node)).await
    }

    /// Makes a disk of a node of the level's layer larger.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn resize(
        &self,
        node: &NodeName,
        request: &ResizeRequest,
    ) -> Result<Resized, ApiError> {
        self.post(&route::node(route::RESIZE, node), request).await
    }

    /// Has the level use all of a disk of its own, which has so many bytes now.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn grow(&self, serial: &str, bytes: ByteSize) -> Result<Growth, ApiError> {
        let route = format!(
            "{}?serial={}&bytes={}",
            route::GROW,
            route::escape(serial),
            bytes.as_bytes()
        );
        self.post(&route, &serde_json::Value::Null).await
    }

    /// A log of a node of the level's layer: its last `tail` lines (all if
    /// `None`), then, to follow it, whatever is added.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn logs(
        &self,
        node: &NodeName,
        kind: LogKind,
        follow: bool,
        tail: Option<u64>,
    ) -> Result<ByteReader, ApiError> {
        let kind = serde_json::to_value(kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        let route = route::node(route::NODE_LOG, node);
        self.download(&format!("{route}?kind={kind}&{}", log_query(follow, tail)))
            .await
    }

    /// The log of the program at the level.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn log(&self, follow: bool, tail: Option<u64>) -> Result<ByteReader, ApiError> {
        self.download(&format!("{}?{}", route::LOG, log_query(follow, tail)))
            .await
    }

    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ApiError> {
        within(self, route, DEADLINE, async {
            let response = self.ask(Method::GET, route, empty()).await?;
            self.read(route, response).await
        })
        .await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        message: &impl Serialize,
    ) -> Result<T, ApiError> {
        let response = self
            .ask(Method::POST, route, self.json(route, message)?)
            .await?;
        self.read(route, response).await
    }

    /// Sends a message whose answer has no body.
    async fn tell(
        &self,
        method: Method,
        route: &str,
        message: &impl Serialize,
    ) -> Result<(), ApiError> {
        let response = self.ask(method, route, self.json(route, message)?).await?;
        self.whole(route, response).await.map(drop)
    }

    async fn upload(
        &self,
        route: &str,
        bytes: impl AsyncRead + Send + 'static,
    ) -> Result<(), ApiError> {
        let stream = ReaderStream::with_capacity(bytes, CHUNK).map_ok(Frame::data);
        let body = BodyExt::boxed_unsync(StreamBody::new(stream));
        let response = self.ask(Method::PUT, route, body).await?;
        self.whole(route, response).await.map(drop)
    }

    async fn download(&self, route: &str) -> Result<ByteReader, ApiError> {
        let asking = self.ask(Method::GET, route, empty());
        let response = within(self, route, DEADLINE, asking).await?;
        let data = response
            .into_body()
            .into_data_stream()
            .map_err(error::other);
        Ok(Box::pin(StreamReader::new(data)))
    }

    /// An answer, if it is a good one.
    async fn ask(
        &self,
        method: Method,
        route: &str,
        body: Body,
    ) -> Result<Response<Incoming>, ApiError> {
        let request = self
            .request(method, route)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| self.unexpected(route, error))?;
        let response = self.send(request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refused(route, response).await)
        }
    }

    fn json(&self, route: &str, message: &impl Serialize) -> Result<Body, ApiError> {
        let bytes = serde_json::to_vec(message).map_err(|error| self.unexpected(route, error))?;
        Ok(Full::new(Bytes::from(bytes))
            .map_err(|never| match never {})
            .boxed_unsync())
    }

    async fn read<T: DeserializeOwned>(
        &self,
        route: &str,
        response: Response<Incoming>,
    ) -> Result<T, ApiError> {
        let body = self.whole(route, response).await?;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(route, error))
    }
}

fn blob(digest: &Digest) -> String {
    route::BLOB.replace("{digest}", &digest.to_string())
}

fn log_query(follow: bool, tail: Option<u64>) -> String {
    let tail = tail
        .map(|lines| format!("&tail={lines}"))
        .unwrap_or_default();
    format!("follow={follow}{tail}")
}
