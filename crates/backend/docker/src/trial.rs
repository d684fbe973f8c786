//! A container that proves an engine: one program, with all that is asked of an engine for
//! any container.

use crate::engine::Engine;
use crate::image;
use nestlab_backend::BackendError;
use serde_json::{Value, json};
use std::path::Path;

const PROGRAM: &str = "/program";

/// Has the engine run this program, which tells its version, and looks how it ended.
pub(crate) async fn run(engine: &Engine, program: &Path) -> Result<(), BackendError> {
    let name = format!("nestlab/trial:{}", std::process::id());
    image::ensure_empty(&engine.api, &name).await?;
    let ran = in_container(engine, &name, program).await;
    let removed = engine.api.delete(&format!("/images/{name}?force=1")).await;
    ran.and(removed.map(drop))
}

async fn in_container(engine: &Engine, image: &str, program: &Path) -> Result<(), BackendError> {
    let api = &engine.api;
    let made = api
        .post_json("/containers/create", &body(image, program))
        .await?;
    let made = made.value()?;
    let id = made["Id"].as_str().unwrap_or_default();
    let ran = ran(engine, id).await;
    let removed = api.delete(&format!("/containers/{id}?force=1")).await;
    ran.and(removed.map(drop))
}

async fn ran(engine: &Engine, id: &str) -> Result<(), BackendError> {
    let api = &engine.api;
    let started = api.post(&format!("/containers/{id}/start")).await?;
    started.accepted()?;
    let ended = api.post(&format!("/containers/{id}/wait")).await?.value()?;
    match ended["StatusCode"].as_i64() {
        Some(0) => Ok(()),
        code => Err(BackendError::Refused {
            command: format!("{PROGRAM} --version"),
            message: format!("it ended with {}", code.unwrap_or(-1)),
        }),
    }
}

fn body(image: &str, program: &Path) -> Value {
    json!({
        "Image": image,
        "Entrypoint": [PROGRAM],
        "Cmd": ["--version"],
        "HostConfig": {
            "NetworkMode": "none",
            "Memory": 64 << 20,
            "CpuPeriod": 100_000,
            "CpuQuota": 100_000,
            "PidsLimit": 64,
            "Tmpfs": { "/run": "rw,nosuid,nodev,mode=755" },
            // An engine elsewhere does not see our files, and says so here.
            "Mounts": [{ "Type": "bind", "Source": program, "Target": PROGRAM, "ReadOnly": true }],
        },
    })
}
