//! A small client of the QEMU Machine Protocol (docs/interop/qmp-spec.rst).
//!
//! QEMU serves one client at a time, so a connection is made for a command and
//! closed behind it: whoever comes next finds the socket free.

use nestlab_backend::BackendError;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The longest line that is accepted, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A connection in command mode.
pub(crate) struct Qmp {
    reader: BufReader<Take<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Qmp {
    /// Connects and leaves capabilities negotiation.
    pub async fn connect(socket: &Path) -> Result<Self, BackendError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(BackendError::io(format!("connect to {}", socket.display())))?;
        let (reader, writer) = stream.into_split();
        let mut qmp = Self {
            reader: BufReader::new(reader.take(MAX_LINE)),
            writer,
        };
        within("greet", qmp.read()).await?;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and returns its answer. Events that come between are
    /// passed over.
    pub async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, BackendError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.writer
            .write_all(line.as_bytes())
            .await
            .map_err(BackendError::io(format!("send `{command}`")))?;
        within(command, self.answer(command)).await
    }

    async fn answer(&mut self, command: &str) -> Result<Value, BackendError> {
        loop {
            let message = self.read().await?;
            if let Some(value) = message.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = message.get("error") {
                let words = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason given");
                return Err(BackendError::Refused {
                    command: command.to_owned(),
                    message: words.to_owned(),
                });
            }
        }
    }

    async fn read(&mut self) -> Result<Value, BackendError> {
        let mut line = String::new();
        self.reader.get_mut().set_limit(MAX_LINE);
        let count = self
            .reader
            .read_line(&mut line)
            .await
            .map_err(BackendError::io("read the monitor's answer"))?;
        if count == 0 {
            let end = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(BackendError::io("read the monitor's answer")(end));
        }
        serde_json::from_str(&line)
            .map_err(|error| BackendError::io("read the monitor's answer")(error.into()))
    }
}

async fn within<T>(
    what: &str,
    step: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    tokio::time::timeout(DEADLINE, step)
        .await
        .unwrap_or_else(|_| {
            Err(BackendError::Timeout {
                what: format!("answer `{what}`"),
                seconds: DEADLINE.as_secs(),
            })
        })
}
