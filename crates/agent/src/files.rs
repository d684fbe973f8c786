//! Files and folders in and out of a node, as tar archives.

use crate::archive;
use crate::rejection::Rejection;
use axum::body::Body;
use axum::extract::Query;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

/// Bytes between the thread that reads files and the connection.
const BUFFER: usize = 64 * 1024;

#[derive(Deserialize)]
pub(crate) struct FilesQuery {
    path: PathBuf,
}

/// The path must not depend on where the agent was started.
fn absolute(path: PathBuf) -> Result<PathBuf, Rejection> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Rejection::bad(format!("The path {path:?} is not absolute")))
    }
}

pub(crate) async fn put(
    Query(FilesQuery { path }): Query<FilesQuery>,
    body: Body,
) -> Result<(), Rejection> {
    let path = absolute(path)?;
    let stream = body.into_data_stream().map_err(io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let action = format!("Cannot unpack files into {}", path.display());
    let unpacking = tokio::task::spawn_blocking(move || archive::unpack(reader, &path));
    let unpacked = unpacking
        .await
        .map_err(|error| Rejection::caused(&action, &error))?;
    unpacked.map_err(Rejection::io(action))
}

pub(crate) async fn get(
    Query(FilesQuery { path }): Query<FilesQuery>,
) -> Result<Response, Rejection> {
    let path = absolute(path)?;
    let action = format!("Cannot read {}", path.display());
    let found = tokio::fs::symlink_metadata(&path)
        .await
        .map_err(Rejection::io(&*action))?;
    if found.is_file() {
        // Told before the answer begins.
        tokio::fs::File::open(&path)
            .await
            .map_err(Rejection::io(action))?;
    }
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let mut writer = SyncIoBridge::new(ours);
    let packing = tokio::task::spawn_blocking(move || {
        archive::pack(&mut writer, &path)?;
        writer.shutdown()
    });
    let bytes = ReaderStream::with_capacity(theirs, 16 * 1024);
    // The archive is followed by what went wrong, which breaks the body.
    let end = futures::stream::once(async move {
        packing.await.map_err(io::Error::other)??;
        Ok(bytes::Bytes::new())
    });
    let body = Body::from_stream(futures::StreamExt::chain(bytes, end));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}
