//! The services of a node: what a parent does inside it.

use crate::{blobs, configure, dial, examine, exec, files, grow, info, power, tail};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nestlab_api::message::{Configure, Version};
use nestlab_api::route;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the guest services keep their things.
#[derive(Debug, Clone)]
pub struct GuestConfig {
    /// Blobs that the parent sent, each named by its 64 hexadecimal digits.
    pub blobs: PathBuf,
    /// A folder that the next boot finds empty, for what was configured.
    pub run_dir: PathBuf,
    /// The root of the file system whose /etc is written; `/` but in tests.
    pub root: PathBuf,
    /// The agent's own log.
    pub log: Option<PathBuf>,
    /// What may be changed of the machine.
    pub reach: Reach,
}

/// What an agent may change of the machine that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All: name, addresses, clock and power.
    Machine,
    /// What is the container's own. Its parent has given it name and addresses.
    Container,
    /// Nothing: in tests, which run on somebody's machine.
    Nothing,
}

/// The guest services of one node. Clones share it.
#[derive(Debug, Clone)]
pub struct Guest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: GuestConfig,
    identity: Mutex<Option<Configure>>,
}

impl Guest {
    /// Takes up what an earlier agent of the same boot was configured to.
    pub fn new(config: GuestConfig) -> Self {
        let identity = Mutex::new(configure::recall(&config.run_dir));
        Self(Arc::new(Inner { config, identity }))
    }

    pub(crate) fn config(&self) -> &GuestConfig {
        &self.0.config
    }

    /// Who the node is, once its parent has told.
    pub(crate) fn identity(&self) -> Option<Configure> {
        self.0
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn version(&self) -> Version {
        let lab_id = self.identity().map(|identity| identity.lab_id);
        info::version("agent", lab_id)
    }

    pub(crate) fn set_identity(&self, identity: Configure) {
        *self
            .0
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }
}

/// The routes of a node's guest services.
pub fn guest_routes(guest: Guest) -> Router {
    Router::new()
        .route(route::VERSION, get(version))
        .route(route::OPENAPI, get(info::document))
        .route(route::LOG, get(log))
        .route(route::EXEC, get(exec::exec))
        .route(route::FILES, get(files::get).put(files::put))
        .route(route::BLOB, get(blobs::get).put(blobs::put))
        .route(route::CONFIGURE, post(configure::configure))
        .route(route::IDENTITY, post(configure::renew))
        .route(route::DOCTOR, get(examine::node))
        .route(route::GROW, post(grow::grow))
        .route(route::POWER, post(power::power))
        .route(route::DIAL, get(dial::dial))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_MESSAGE))
        .with_state(guest)
}

/// The longest JSON body; uploads are streams and have limits of their own.
const MAX_MESSAGE: usize = 1 << 20;

async fn version(State(guest): State<Guest>) -> Json<Version> {
    Json(guest.version())
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    follow: bool,
    tail: Option<usize>,
}

async fn log(State(guest): State<Guest>, Query(query): Query<LogQuery>) -> Response {
    let body = match guest.config().log.clone() {
        Some(path) => tail::body(path, query.tail, query.follow),
        None => Body::empty(),
    };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}
