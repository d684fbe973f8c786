//! Bytes carried between two streams.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes kept in each direction.
const BUFFER: usize = 16 * 1024;

/// Carries bytes both ways until both directions have ended. One that breaks
/// ends alone: a program that has written its last words and closed its input
/// must not lose them because more input was on its way.
pub(crate) async fn carry(
    near: impl AsyncRead + AsyncWrite + Unpin,
    far: impl AsyncRead + AsyncWrite + Unpin,
) {
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    tokio::join!(
        one_way(near_reader, far_writer),
        one_way(far_reader, near_writer),
    );
}

async fn one_way(reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
    if let Err(error) = copy(reader, &mut writer).await {
        tracing::debug!(%error, "a carried connection broke");
    }
    let _ = writer.shutdown().await;
}

async fn copy(
    mut reader: impl AsyncRead + Unpin,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer).await? {
            0 => return Ok(()),
            count => writer.write_all(&buffer[..count]).await?,
        }
        writer.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn last_words_arrive_though_input_is_refused() {
        let (mut caller, near) = UnixStream::pair().unwrap();
        let (far, mut program) = UnixStream::pair().unwrap();
        program.write_all(b"last words").await.unwrap();
        drop(program);
        caller.write_all(b"more input").await.unwrap();
        let carrying = tokio::spawn(carry(near, far));
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last words");
        drop(caller);
        carrying.await.unwrap();
    }
}
