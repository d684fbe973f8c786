//! A growing file as a response body, as `tail -n N -f` shows it.

use axum::body::Body;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio::sync::mpsc;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// The file's last `lines` lines (all if `None`), and with `follow` everything
/// that is added until the reader goes away. A missing file is empty.
pub(crate) fn body(path: PathBuf, lines: Option<usize>, follow: bool) -> Body {
    // A channel of one chunk: the reader sets the pace.
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(1);
    tokio::spawn(async move {
        if let Err(error) = send(&path, lines, follow, &sender).await {
            let _ = sender.send(Err(error)).await;
        }
    });
    Body::from_stream(futures::stream::poll_fn(move |context| {
        receiver.poll_recv(context)
    }))
}

async fn send(
    path: &Path,
    lines: Option<usize>,
    follow: bool,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut position = start(path, lines).await?;
    loop {
        position = send_from(path, position, sender).await?;
        if !follow || sender.is_closed() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends everything behind a position; returns the new one. A file that has
/// become shorter was rotated and is read from its start.
async fn send_from(
    path: &Path,
    position: u64,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<u64> {
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let length = file.metadata().await?.len();
    let mut position = if length < position { 0 } else { position };
    file.seek(SeekFrom::Start(position)).await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0
            || sender
                .send(Ok(Bytes::copy_from_slice(&buffer[..count])))
                .await
                .is_err()
        {
            return Ok(position);
        }
        position += count as u64;
    }
}

/// Where the last `lines` lines begin.
async fn start(path: &Path, lines: Option<usize>) -> io::Result<u64> {
    let Some(lines) = lines else {
        return Ok(0);
    };
    match tokio::fs::read(path).await {
        Ok(bytes) => Ok(tail_offset(&bytes, lines) as u64),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn tail_offset(bytes: &[u8], lines: usize) -> usize {
    if lines == 0 {
        return bytes.len();
    }
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut ends = body
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n');
    ends.nth(lines - 1).map_or(0, |(position, _)| position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found() {
        let check = |text: &str, lines, expected: &str| {
            assert_eq!(&text[tail_offset(text.as_bytes(), lines)..], expected);
        };
        check("a\nb\nc\n", 1, "c\n");
        check("a\nb\nc", 2, "b\nc");
        check("a\nb\n", 9, "a\nb\n");
        check("a\n", 0, "");
        check("", 3, "");
    }
}
