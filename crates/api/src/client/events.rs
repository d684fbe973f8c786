//! What happens at a level, as it happens.

use super::exec::open_socket;
use super::{ApiError, ByteStream, Client};
use crate::route;
use futures::StreamExt;
use nestlab_model::Event;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Events of a level and of all below it, from the moment of asking.
pub struct EventStream(WebSocketStream<ByteStream>);

impl Client {
    /// Follows what happens at the level.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn events(&self) -> Result<EventStream, ApiError> {
        open_socket(self, route::EVENTS).await.map(EventStream)
    }
}

impl EventStream {
    /// The next event; `None` when the level is gone. What is no event, as a
    /// newer level may send, is left out.
    pub async fn next(&mut self) -> Option<Event> {
        while let Some(Ok(message)) = self.0.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            match serde_json::from_str(&text) {
                Ok(event) => return Some(event),
                Err(error) => tracing::debug!(%error, "an unknown event"),
            }
        }
        None
    }
}
