//! The console of a running node: kept in a bounded file, shown to whoever asks.
//!
//! The VMM's socket takes one client at a time, so one task here is that
//! client. What a guest floods is dropped for slow readers and rotated on disk.

use bytes::Bytes;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;

/// When the log reaches this size in bytes it becomes the old log, and the
/// previous old log is gone. A node's console holds at most twice this.
const ROTATE_AT: u64 = 1 << 20;

/// How much of a log is looked at for its last lines, in bytes.
const TAIL: u64 = 8 << 10;

/// How long to wait before the VMM's socket is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Where console sessions attach.
#[derive(Clone)]
pub struct ConsoleHub {
    output: broadcast::Sender<Bytes>,
    input: mpsc::Sender<Bytes>,
}

/// Someone looking at a console.
pub struct ConsoleSession {
    /// What the guest writes from now on. A slow reader misses bytes.
    pub output: broadcast::Receiver<Bytes>,
    /// What is typed.
    pub input: mpsc::Sender<Bytes>,
}

impl ConsoleHub {
    /// Starts the task that is the socket's one client.
    pub(crate) fn start(socket: PathBuf, log: PathBuf) -> (Self, AbortHandle) {
        let (output, _) = broadcast::channel(256);
        let (input, typed) = mpsc::channel(16);
        let hub = Self { output, input };
        let task = tokio::spawn(serve(socket, log, hub.output.clone(), typed));
        (hub, task.abort_handle())
    }

    /// Attaches.
    pub fn attach(&self) -> ConsoleSession {
        ConsoleSession {
            output: self.output.subscribe(),
            input: self.input.clone(),
        }
    }
}

async fn serve(
    socket: PathBuf,
    log: PathBuf,
    output: broadcast::Sender<Bytes>,
    mut typed: mpsc::Receiver<Bytes>,
) {
    loop {
        if let Ok(stream) = UnixStream::connect(&socket).await {
            let _ = pump(stream, &log, &output, &mut typed).await;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Carries bytes both ways until the VMM closes the socket.
async fn pump(
    mut stream: UnixStream,
    log: &Path,
    output: &broadcast::Sender<Bytes>,
    typed: &mut mpsc::Receiver<Bytes>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                // A full disk must not stop the console.
                let _ = append_bounded(log, &buffer[..count], ROTATE_AT);
                let _ = output.send(Bytes::copy_from_slice(&buffer[..count]));
            }
            Some(bytes) = typed.recv() => stream.write_all(&bytes).await?,
        }
    }
}

/// The last lines that a guest has written behind some offset of its log, without what
/// would move a cursor or change colours: they are shown on the user's terminal.
pub(crate) fn last_lines(log: &Path, begin: u64, count: usize) -> Vec<String> {
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        // A log that has become shorter is a new one.
        let begin = if begin > length { 0 } else { begin };
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL).max(begin)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = plain(&String::from_utf8_lossy(&tail().unwrap_or_default()));
    let lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.map(String::from).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

/// Drops control sequences (ECMA-48): ESC, `[`, parameters, a letter. What moves the
/// cursor elsewhere, or to the beginning of its line, ends a line here.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\x1b' => {
                let sequence = chars.as_str();
                let end = match sequence.strip_prefix('[') {
                    Some(rest) => rest
                        .find(|c: char| ('@'..='~').contains(&c))
                        .map(|at| at + 2),
                    None => sequence.chars().next().map(char::len_utf8),
                };
                let (sequence, rest) = sequence.split_at(end.unwrap_or(sequence.len()));
                if sequence.ends_with(['H', 'J']) {
                    plain.push('\n');
                }
                chars = rest.chars();
            }
            '\r' => plain.push('\n'),
            char if char == '\n' || !char.is_control() => plain.push(char),
            _ => {}
        }
    }
    plain
}

/// Appends to a log that is rotated once it has reached `limit` bytes.
pub(crate) fn append_bounded(log: &Path, bytes: &[u8], limit: u64) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)?;
    file.write_all(bytes)?;
    if file.metadata()?.len() >= limit {
        std::fs::rename(log, log.with_extension("log.old"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("console.log");
        for _ in 0..100 {
            append_bounded(&log, &[b'x'; 64], 1000).unwrap();
        }
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        assert!(size(&log) < 1064);
        assert!(size(&log.with_extension("log.old")) < 1064);
    }

    #[test]
    fn last_lines_are_plain() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("console.log");
        assert!(last_lines(&log, 0, 3).is_empty());
        let written = "one\r\n\x1b[0;31mtwo\x1b[0m\r\n\r\n\x1b[2J\x1b[01;01Hthree\rfour\x07\x1b[";
        std::fs::write(&log, written).unwrap();
        assert_eq!(last_lines(&log, 0, 3), ["two", "three", "four"]);
        assert_eq!(last_lines(&log, 0, 9).len(), 4);
        let end = written.len() as u64;
        assert!(last_lines(&log, end, 9).is_empty());
        assert_eq!(last_lines(&log, end + 1, 9).len(), 4);
    }

    #[tokio::test]
    async fn sessions_see_output_and_type() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("console.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let (hub, task) = ConsoleHub::start(socket, folder.path().join("console.log"));
        let mut session = hub.attach();
        let (mut guest, _) = listener.accept().await.unwrap();
        guest.write_all(b"login: ").await.unwrap();
        assert_eq!(session.output.recv().await.unwrap(), "login: ");
        session.input.send("root\n".into()).await.unwrap();
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"root\n");
        task.abort();
    }
}
