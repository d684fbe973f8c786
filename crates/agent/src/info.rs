//! What every level tells of itself.

use axum::routing::get;
use axum::{Json, Router};
use nestlab_api::message::{API_VERSION, Version};
use nestlab_api::{openapi, route};
use nestlab_sys::process::ProcessId;

/// The routes that describe a program of this role.
pub(crate) fn info_routes(role: &'static str, lab_id: Option<String>) -> Router {
    let version = move || {
        let lab_id = lab_id.clone();
        async move { Json(version(role, lab_id)) }
    };
    Router::new()
        .route(route::VERSION, get(version))
        .route(route::OPENAPI, get(document))
}

pub(crate) async fn document() -> Json<serde_json::Value> {
    Json(openapi::openapi())
}

/// What this program is.
pub(crate) fn version(role: &str, lab_id: Option<String>) -> Version {
    let pid = std::process::id();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: API_VERSION,
        role: role.to_owned(),
        pid,
        boot_id: boot_id.trim().to_owned(),
        resident_bytes: ProcessId::of(pid)
            .ok()
            .and_then(|process| process.resident_bytes()),
        lab_id,
        systemd: has_systemd(),
    }
}

/// As sd_booted(3).
pub(crate) fn has_systemd() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}
