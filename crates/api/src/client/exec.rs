//! A program that runs at a level, with its streams.
//!
//! Output is taken from the program only as fast as it is taken from here.
//! Input is bounded by credit that the agent gives back as the program reads,
//! so that a program that does not read holds up neither signals nor the end of
//! the connection.

use super::error::other;
use super::stream::within;
use super::{ApiError, ByteStream, Client, OPEN_DEADLINE};
use crate::message::{ExecChannel, ExecControl, ExecEnd, ExecFlow, ExecRequest, STDIN_CREDIT};
use crate::route;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use std::io;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

type Socket = WebSocketStream<ByteStream>;

/// The largest message that is accepted.
const MAX_MESSAGE: usize = 1 << 20;

/// The largest piece of standard input that is sent at once.
const PIECE: usize = 16 * 1024;

/// The most that [`Client::run`] keeps of each stream.
const MAX_COLLECTED: usize = 4 << 20;

/// What comes from a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// Bytes of its standard output, or of its terminal.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// It has ended and all its output was delivered.
    End(ExecEnd),
}

/// A running program. Dropping it hangs up.
pub struct ExecSession {
    input: ExecInput,
    output: ExecOutput,
}

/// The half that speaks to the program. [`ExecOutput::next`] has to be called
/// meanwhile: credit for input comes with it.
pub struct ExecInput {
    client: Client,
    socket: SplitSink<Socket, Message>,
    credit: Arc<Semaphore>,
}

/// The half that hears the program. The program is hung up on when either half
/// has been dropped and the other one too.
pub struct ExecOutput {
    client: Client,
    socket: SplitStream<Socket>,
    credit: Arc<Semaphore>,
    ended: bool,
}

/// What a program wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub end: ExecEnd,
    /// Its standard output, at most the first 4 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most the first 4 MiB.
    pub stderr: Vec<u8>,
}

impl Client {
    /// Runs a program at the level.
    ///
    /// # Errors
    /// See [`ApiError`]. That there is no such program is an [`ExecEnd`].
    pub async fn exec(&self, request: ExecRequest) -> Result<ExecSession, ApiError> {
        let socket = open_socket(self, route::EXEC).await?;
        let (sink, stream) = socket.split();
        let credit = Arc::new(Semaphore::new(STDIN_CREDIT));
        let mut input = ExecInput {
            client: self.clone(),
            socket: sink,
            credit: credit.clone(),
        };
        input.tell(&request).await?;
        let output = ExecOutput {
            client: self.clone(),
            socket: stream,
            credit,
            ended: false,
        };
        Ok(ExecSession { input, output })
    }

    /// Runs a program without input to its end.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn run(&self, request: ExecRequest) -> Result<Output, ApiError> {
        let mut session = self.exec(request).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match session.next().await? {
                ExecEvent::Stdout(bytes) => keep(&mut stdout, &bytes),
                ExecEvent::Stderr(bytes) => keep(&mut stderr, &bytes),
                ExecEvent::End(end) => {
                    return Ok(Output {
                        end,
                        stdout,
                        stderr,
                    });
                }
            }
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_COLLECTED - kept.len();
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl ExecSession {
    /// See [`ExecInput::send_stdin`]. Whoever sends much has to call
    /// [`Self::next`] at the same time: [`Self::split`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send_stdin(&mut self, bytes: Bytes) -> Result<(), ApiError> {
        self.input.send_stdin(bytes).await
    }

    /// See [`ExecInput::control`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn control(&mut self, control: ExecControl) -> Result<(), ApiError> {
        self.input.control(control).await
    }

    /// See [`ExecOutput::next`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<ExecEvent, ApiError> {
        self.output.next().await
    }

    /// The two directions, to be used at the same time.
    pub fn split(self) -> (ExecInput, ExecOutput) {
        (self.input, self.output)
    }
}

impl ExecInput {
    /// Sends standard input; waits while the program does not read.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send_stdin(&mut self, mut bytes: Bytes) -> Result<(), ApiError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let wanted = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            let closed = |_| {
                self.client
                    .broken(route::EXEC, io::ErrorKind::BrokenPipe.into())
            };
            self.credit
                .acquire_many(wanted)
                .await
                .map_err(closed)?
                .forget();
            let mut frame = BytesMut::with_capacity(1 + piece.len());
            frame.put_u8(ExecChannel::Stdin as u8);
            frame.put_slice(&piece);
            self.send(Message::Binary(frame.freeze())).await?;
        }
        Ok(())
    }

    /// Sends something beside the input. It overtakes no input that was sent
    /// before, but waits for none of it to be read.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn control(&mut self, control: ExecControl) -> Result<(), ApiError> {
        self.tell(&control).await
    }

    async fn tell(&mut self, message: &impl Serialize) -> Result<(), ApiError> {
        let text = serde_json::to_string(message)
            .map_err(|error| self.client.unexpected(route::EXEC, error))?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ApiError> {
        let result = self.socket.send(message).await;
        result.map_err(|error| self.client.broken(route::EXEC, other(error)))
    }
}

impl ExecOutput {
    /// What comes next. After [`ExecEvent::End`] nothing does. May be cancelled
    /// without loss.
    ///
    /// # Errors
    /// The connection broke before the program's end was known.
    pub async fn next(&mut self) -> Result<ExecEvent, ApiError> {
        let gone = || {
            self.client
                .broken(route::EXEC, io::ErrorKind::UnexpectedEof.into())
        };
        if self.ended {
            return Err(gone());
        }
        loop {
            let message = self.socket.next().await.ok_or_else(gone)?;
            match message.map_err(|error| self.client.broken(route::EXEC, other(error)))? {
                Message::Binary(frame) => {
                    if let Some(event) = output(frame) {
                        return Ok(event);
                    }
                }
                Message::Text(text) => {
                    if let Some(end) = self.notice(&text) {
                        self.ended = true;
                        self.credit.close();
                        return Ok(ExecEvent::End(end));
                    }
                }
                Message::Close(_) => return Err(gone()),
                _ => {}
            }
        }
    }

    fn notice(&self, text: &str) -> Option<ExecEnd> {
        if let Ok(ExecFlow::StdinTaken(bytes)) = serde_json::from_str(text) {
            // What comes from below is not trusted to be possible.
            let room = STDIN_CREDIT.saturating_sub(self.credit.available_permits());
            self.credit.add_permits(room.min(bytes as usize));
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

fn output(mut frame: Bytes) -> Option<ExecEvent> {
    let channel = *frame.first()?;
    let bytes = frame.split_off(1);
    match channel {
        channel if channel == ExecChannel::Stdout as u8 => Some(ExecEvent::Stdout(bytes)),
        channel if channel == ExecChannel::Stderr as u8 => Some(ExecEvent::Stderr(bytes)),
        _ => None,
    }
}

/// A WebSocket at the level.
pub(super) async fn open_socket(client: &Client, route: &str) -> Result<Socket, ApiError> {
    within(client, route, OPEN_DEADLINE, async {
        let stream = client.stream().await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0);
        let address = format!("ws://nestlab{route}");
        match client_async_with_config(address, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(client.failure(route, response.status().as_u16(), body))
            }
            Err(error) => Err(client.broken(route, other(error))),
        }
    })
    .await
}
