//! A long operation: its events are shown while it runs, Ctrl-C ends it.
//!
//! An operation lives as long as its request. The first Ctrl-C drops the
//! request: every level stops at its next step and leaves what it has made.
//! The second one leaves at once.

use crate::context::Context;
use crate::error::{Code, Error};
use crate::render::progress::Progress;
use nestlab_api::client::{ApiError, Client, EventStream};
use nestlab_api::message::Outcome;
use nestlab_model::{LayerStatus, NodePath, NodeState};
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time between two drawings.
const TICK: Duration = Duration::from_millis(100);

/// Events that are still under way when the answer has come.
const REST: Duration = Duration::from_millis(15);

/// How long a level may take to stop after the first Ctrl-C.
const STOP: Duration = Duration::from_secs(2);

/// What came of it.
pub struct Done {
    /// The answer.
    pub outcome: Outcome,
    /// What was shown meanwhile.
    pub progress: Progress,
}

/// Runs an operation to its end. The events are asked for before it begins, so
/// that none is missed.
pub async fn run<F, W>(
    context: &Context,
    client: &Client,
    order: Vec<NodePath>,
    begin: F,
) -> Result<Done, Error>
where
    F: FnOnce(Client) -> W,
    W: Future<Output = Result<Outcome, ApiError>>,
{
    let mut events = client.events().await?;
    let mut progress = Progress::new(context, order);
    let result = {
        let mut work = Box::pin(begin(client.clone()));
        follow(&mut events, &mut progress, &mut work).await
    };
    // Whatever happened, the terminal is given back.
    if result.is_some() {
        while let Ok(Some(event)) = timeout(REST, events.next()).await {
            progress.event(event);
        }
    }
    progress.finish();
    match result {
        Some(outcome) => Ok(Done {
            outcome: outcome?,
            progress,
        }),
        None => {
            settle(client).await;
            Err(
                Error::new(Code::Interrupted, "Interrupted: the lab stays as it is")
                    .hint("`nestlab up` continues, `nestlab destroy` removes everything"),
            )
        }
    }
}

/// `None` when interrupted.
async fn follow<W>(
    events: &mut EventStream,
    progress: &mut Progress,
    work: &mut W,
) -> Option<Result<Outcome, ApiError>>
where
    W: Future<Output = Result<Outcome, ApiError>> + Unpin,
{
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut interrupts = signal(SignalKind::interrupt()).ok()?;
    let mut terminations = signal(SignalKind::terminate()).ok()?;
    let mut listening = true;
    loop {
        tokio::select! {
            result = &mut *work => return Some(result),
            event = events.next(), if listening => match event {
                Some(event) => progress.event(event),
                None => listening = false,
            },
            _ = ticks.tick() => progress.tick(),
            _ = interrupts.recv() => return None,
            _ = terminations.recv() => return None,
        }
    }
}

/// Waits a moment for the levels to hear that nobody waits any more; a second
/// Ctrl-C ends the waiting.
async fn settle(client: &Client) {
    let Ok(mut interrupts) = signal(SignalKind::interrupt()) else {
        return;
    };
    tokio::select! {
        _ = timeout(STOP, client.layer()) => {}
        _ = interrupts.recv() => std::process::exit(Code::Interrupted as i32),
    }
}

/// The error of an operation after which some nodes are not as they should be.
pub fn failure(context: &Context, status: &LayerStatus, progress: &Progress, verb: &str) -> Error {
    let text = crate::render::tree::failures(status, context.color);
    if !text.is_empty() {
        crate::output::say(text.trim_end());
    }
    let failed: Vec<&NodePath> = status
        .walk()
        .into_iter()
        .filter(|node| matches!(node.state, NodeState::Failed { .. }))
        .map(|node| &node.path)
        .collect();
    for path in failed.iter().filter(|_| !progress.shows_output()) {
        for line in progress.last_output(path) {
            crate::output::say(&format!("{path} | {line}"));
        }
    }
    let names: Vec<String> = failed.iter().map(|path| format!("`{path}`")).collect();
    if names.is_empty() {
        return Error::new(Code::Failed, format!("Not everything could be {verb}"))
            .hint("`nestlab status` shows what is missing");
    }
    let message = format!(
        "{} could not be {verb}; everything else goes on",
        names.join(", ")
    );
    Error::new(Code::Failed, message).hint("Mend it, then `nestlab up` continues from there")
}
