//! Bytes by their digest, kept for the layer inside this node.

use crate::guest::Guest;
use crate::rejection::Rejection;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use nestlab_model::Digest;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

/// The largest blob in bytes.
const MAX_BLOB: u64 = 4 << 30;

/// Makes the names of unfinished blobs distinct.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// `GET` and, by axum, `HEAD`.
pub(crate) async fn get(
    State(guest): State<Guest>,
    Path(digest): Path<Digest>,
) -> Result<Response, Rejection> {
    let path = guest.config().blobs.join(digest.hex());
    let file = File::open(path).await;
    let file = file.map_err(Rejection::io(format!("Cannot open the blob {digest}")))?;
    Ok(Body::from_stream(ReaderStream::with_capacity(file, 16 * 1024)).into_response())
}

pub(crate) async fn put(
    State(guest): State<Guest>,
    Path(digest): Path<Digest>,
    body: Body,
) -> Result<(), Rejection> {
    let folder = &guest.config().blobs;
    let cannot = || Rejection::io(format!("Cannot store the blob {digest}"));
    tokio::fs::create_dir_all(folder).await.map_err(cannot())?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!(
        ".{}-{}-{number}",
        digest.short(),
        std::process::id()
    ));
    let mut removal = RemoveOnDrop(Some(unfinished.clone()));
    let file = File::create(&unfinished).await.map_err(cannot())?;
    let found = receive(file, body, &digest).await?;
    if found != digest {
        let message = format!("The blob {digest} arrived as {found}");
        return Err(Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "digest",
            message,
        ));
    }
    let path = folder.join(digest.hex());
    tokio::fs::rename(&unfinished, path)
        .await
        .map_err(cannot())?;
    removal.0 = None;
    Ok(())
}

/// A caller that goes away in the middle leaves nothing.
struct RemoveOnDrop(Option<std::path::PathBuf>);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn receive(mut file: File, body: Body, digest: &Digest) -> Result<Digest, Rejection> {
    let cannot = || Rejection::io(format!("Cannot store the blob {digest}"));
    let mut bytes = body.into_data_stream();
    let (mut hasher, mut length) = (Sha256::new(), 0_u64);
    while let Some(chunk) = bytes.next().await {
        let chunk =
            chunk.map_err(|error| Rejection::caused(format!("Cannot receive {digest}"), &error))?;
        length += chunk.len() as u64;
        if length > MAX_BLOB {
            let message = format!("The blob {digest} is larger than {MAX_BLOB} bytes");
            return Err(Rejection::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                message,
            ));
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(cannot())?;
    }
    file.flush().await.map_err(cannot())?;
    Ok(Digest(hasher.finalize().into()))
}
