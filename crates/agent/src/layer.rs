//! The routes of a layer: the same on the host and inside every node.
//!
//! An operation lives as long as its request: a caller that goes away stops
//! it, and every level below hears of it in the same way.

use crate::supervisor::Ports;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRef, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use nestlab_api::message::{
    Failure, ForkReport, ForkRequest, LayerReport, LayerSpec, LogKind, Outcome, PauseRequest,
    ResizeRequest, Resized, Snapshot, SnapshotRequest, StopRequest, UpRequest,
};
use nestlab_api::route;
use nestlab_engine::{ConsoleSession, Engine, Fault};
use nestlab_model::{Event, EventKind, NodeName, NodePath};
use serde::Deserialize;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;

/// What the routes of a layer speak to.
#[derive(Clone)]
pub(crate) struct Level {
    pub engine: Engine,
    /// The forwarded ports; only the host's level has any.
    pub ports: Option<Arc<Ports>>,
}

impl FromRef<Level> for Engine {
    fn from_ref(level: &Level) -> Self {
        level.engine.clone()
    }
}

/// The longest description of a layer, with its scripts, in bytes.
const MAX_LAYER: usize = 64 << 20;

/// The routes of an engine's layer.
pub(crate) fn layer_routes(level: Level) -> Router {
    Router::new()
        .route(route::LAYER, get(report).put(put_layer))
        .route(route::SPEC, get(spec))
        .route(route::UP, post(up))
        .route(route::PAUSE, post(pause))
        .route(route::RESUME, post(resume))
        .route(route::FORK, post(fork))
        .route(route::SNAPSHOTS, get(snapshots).post(save_snapshot))
        .route(route::SNAPSHOT, delete(delete_snapshot))
        .route(route::RESTORE, post(restore_snapshot))
        .route(route::HALT, post(halt))
        .route(route::DESTROY, post(destroy))
        .route(route::EVENTS, get(events))
        .route(route::CONNECT, get(connect))
        .route(route::CONSOLE, get(console))
        .route(route::RESIZE, post(resize))
        .route(route::NODE_LOG, get(log))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_LAYER))
        .with_state(level)
}

/// An answer that says what went wrong.
pub(crate) struct Refusal(Fault);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(Failure::from(self.0)),
        )
            .into_response()
    }
}

async fn report(State(level): State<Level>) -> Json<LayerReport> {
    let mut report = level.engine.report().await;
    if let Some(ports) = &level.ports {
        report.listeners = ports.listeners();
    }
    Json(report)
}

async fn put_layer(
    State(engine): State<Engine>,
    Json(spec): Json<LayerSpec>,
) -> Result<(), Refusal> {
    Ok(engine.put_layer(spec)?)
}

async fn spec(State(engine): State<Engine>) -> Result<Json<LayerSpec>, Refusal> {
    Ok(Json(engine.spec()?.as_ref().clone()))
}

async fn up(
    State(level): State<Level>,
    Json(request): Json<UpRequest>,
) -> Result<Json<Outcome>, Refusal> {
    if let Some(ports) = &level.ports {
        ports.open(&level.engine.spec()?.layer).await?;
    }
    Ok(Json(level.engine.up(&request).await?))
}

async fn pause(
    State(engine): State<Engine>,
    Json(request): Json<PauseRequest>,
) -> Result<Json<Outcome>, Refusal> {
    Ok(Json(engine.pause(&request).await?))
}

async fn resume(
    State(level): State<Level>,
    Json(request): Json<PauseRequest>,
) -> Result<Json<Outcome>, Refusal> {
    // What goes on from disk had its ports closed.
    if let Some(ports) = &level.ports {
        ports.open(&level.engine.spec()?.layer).await?;
    }
    Ok(Json(level.engine.unpause(&request).await?))
}

async fn fork(
    State(engine): State<Engine>,
    Json(request): Json<ForkRequest>,
) -> Result<Json<ForkReport>, Refusal> {
    Ok(Json(engine.fork(&request).await?))
}

async fn snapshots(State(engine): State<Engine>) -> Result<Json<Vec<Snapshot>>, Refusal> {
    Ok(Json(engine.snapshots()?))
}

async fn save_snapshot(
    State(engine): State<Engine>,
    Json(request): Json<SnapshotRequest>,
) -> Result<Json<Snapshot>, Refusal> {
    Ok(Json(engine.save_snapshot(&request).await?))
}

async fn delete_snapshot(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<(), Refusal> {
    Ok(engine.delete_snapshot(&name).await?)
}

async fn restore_snapshot(
    State(level): State<Level>,
    Path(name): Path<String>,
) -> Result<Json<Outcome>, Refusal> {
    let outcome = level.engine.restore_snapshot(&name).await?;
    if let Some(ports) = &level.ports {
        ports.open(&level.engine.spec()?.layer).await?;
    }
    Ok(Json(outcome))
}

async fn halt(
    State(engine): State<Engine>,
    Json(request): Json<StopRequest>,
) -> Result<Json<Outcome>, Refusal> {
    Ok(Json(engine.halt(&request).await?))
}

async fn destroy(
    State(level): State<Level>,
    Json(request): Json<StopRequest>,
) -> Result<Json<Outcome>, Refusal> {
    let outcome = level.engine.destroy(&request).await?;
    if let (Some(ports), true) = (&level.ports, request.paths.is_empty()) {
        ports.close();
    }
    Ok(Json(outcome))
}

async fn events(State(engine): State<Engine>, upgrade: WebSocketUpgrade) -> Response {
    // Subscribed before the answer: what happens after it is seen.
    let receiver = engine.events();
    upgrade.on_upgrade(move |socket| send_events(socket, receiver))
}

async fn send_events(mut socket: WebSocket, mut receiver: tokio::sync::broadcast::Receiver<Event>) {
    loop {
        let event = tokio::select! {
            received = receiver.recv() => match received {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => Event {
                    path: NodePath::host(),
                    kind: EventKind::Lagged { missed },
                },
                Err(RecvError::Closed) => return,
            },
            // The reader sends nothing: whatever comes is the end or a ping.
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
        };
        let text = serde_json::to_string(&event).expect("events are plain data");
        if socket.send(Message::Text(text.into())).await.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct ConnectQuery {
    /// The rest of the path, below the node; empty for the node itself.
    #[serde(default)]
    path: String,
}

/// Opens a stream to the agent of a node at any depth and carries opaque bytes
/// between it and the caller.
async fn connect(
    State(engine): State<Engine>,
    Path(name): Path<NodeName>,
    Query(query): Query<ConnectQuery>,
    request: Request,
) -> Result<Response, Refusal> {
    let rest: NodePath = query
        .path
        .parse()
        .map_err(|error| Fault::caused(format!("Cannot connect below `{name}`"), &error))?;
    let stream = engine
        .agent_soon(&name)
        .await?
        .relay(&rest)
        .await
        .map_err(|error| Fault::caused(format!("Cannot connect to `{name}`"), &error))?;
    Ok(crate::upgrade::splice(request, stream))
}

async fn console(
    State(engine): State<Engine>,
    Path(name): Path<NodeName>,
    request: Request,
) -> Result<Response, Refusal> {
    let session = engine.console(&name)?;
    let (ours, theirs) = tokio::io::duplex(16 << 10);
    tokio::spawn(show_console(ours, session));
    Ok(crate::upgrade::splice(request, theirs))
}

async fn resize(
    State(engine): State<Engine>,
    Path(name): Path<NodeName>,
    Json(request): Json<ResizeRequest>,
) -> Result<Json<Resized>, Refusal> {
    Ok(Json(engine.resize(&name, &request).await?))
}

/// Carries a console to one reader until either goes away.
async fn show_console(stream: tokio::io::DuplexStream, mut session: ConsoleSession) {
    let (mut typed, mut shown) = tokio::io::split(stream);
    let mut buffer = vec![0; 1024];
    loop {
        tokio::select! {
            output = session.output.recv() => match output {
                Ok(bytes) => {
                    if shown.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            count = typed.read(&mut buffer) => match count {
                Ok(count) if count > 0 => {
                    let bytes = bytes::Bytes::copy_from_slice(&buffer[..count]);
                    if session.input.send(bytes).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

#[derive(Deserialize)]
struct LogQuery {
    kind: LogKind,
    #[serde(default)]
    follow: bool,
    /// Only this many last lines.
    tail: Option<usize>,
}

async fn log(
    State(engine): State<Engine>,
    Path(name): Path<NodeName>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refusal> {
    let word = match query.kind {
        LogKind::Console => "console",
        LogKind::Provision => "provision",
        LogKind::Vmm => "vmm",
        LogKind::Agent => {
            return Err(Fault::new("The agent's log lies in the node itself")
                .with_hint("Ask the node's own level for it")
                .into());
        }
    };
    let path = engine.log_path(&name, word)?;
    let body = crate::tail::body(path, query.tail, query.follow);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}
