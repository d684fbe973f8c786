//! Keeps the link to a node's agent for as long as its machine runs.

use crate::cell::NodeCell;
use crate::engine::Engine;
use crate::gate::Gate;
use crate::{Fault, hearsay};
use nestlab_api::client::Client;
use nestlab_api::link::Link;
use nestlab_backend::LinkAddress;
use nestlab_model::{Event, NodePath, NodeState, Stage};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How long one greeting may take before the socket is opened anew. The agent
/// of a booting guest answers whenever it comes up, so this is long.
const GREETING: Duration = Duration::from_secs(600);

/// How long to wait before a lost link is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How often the agent is asked for a sign of life. The question is an interrupt
/// to the guest as well, which wakes a virtual CPU whose timer was lost.
const BEAT: Duration = Duration::from_secs(5);

/// How long an agent may be silent before its link is given up and made anew, so
/// that whoever waits for an answer hears that none will come. A guest under
/// emulation on a busy machine has been seen to stand still for 20 s.
const SILENCE: Duration = Duration::from_secs(60);

const SILENT: &str = "the agent has been silent for a minute; its link is made anew";

/// Silence on a link, and its end, by our own wish.
#[derive(Clone)]
pub(crate) struct LinkKeeper {
    gate: Gate,
    /// Told that there shall be no link any more.
    unwanted: Arc<watch::Sender<bool>>,
}

impl LinkKeeper {
    /// Closes the link and waits until it is closed.
    pub async fn cut(&self) {
        self.unwanted.send_replace(true);
        self.unwanted.closed().await;
    }

    /// Has nothing reach the VMM until [`Self::speak`]. Where it does not read what
    /// was said before, the link is cut.
    pub async fn be_quiet(&self) {
        if !self.gate.shut().await {
            self.cut().await;
        }
    }

    /// Ends the silence; tells whether the link is still there.
    pub fn speak(&self) -> bool {
        self.gate.open();
        !*self.unwanted.borrow()
    }
}

/// Starts the task that makes and re-makes the link. The receiver holds the
/// agent while it answers.
pub(crate) fn maintain(
    address: LinkAddress,
    cell: &Arc<NodeCell>,
    engine: &Engine,
) -> (watch::Receiver<Option<Client>>, LinkKeeper, AbortHandle) {
    let (sender, receiver) = watch::channel(None);
    let (unwanted, mut cut) = watch::channel(false);
    let gate = Gate::default();
    let keeper = LinkKeeper {
        gate: gate.clone(),
        unwanted: Arc::new(unwanted),
    };
    let has_inside = cell
        .record()
        .is_some_and(|record| !record.node.inside.is_empty());
    let (cell, engine) = (cell.clone(), engine.clone());
    let events = engine.0.events.clone();
    let task = tokio::spawn(async move {
        loop {
            let link = tokio::select! {
                link = connect(&address, &gate) => link,
                _ = cut.wait_for(|cut| *cut) => return,
            };
            if let Some(link) = link {
                let client = Client::link(link.clone());
                notice_boot(&engine, &cell, &client).await;
                let forwarder = has_inside.then(|| {
                    let forwarded = forward(cell.path.clone(), client.clone(), events.clone());
                    tokio::spawn(forwarded)
                });
                sender.send_replace(Some(client.clone()));
                tokio::select! {
                    () = link.closed() => {}
                    () = fall_silent(&engine, &cell, &client) => {
                        engine.warn(&cell.path, SILENT);
                        link.abandon();
                    }
                    _ = cut.wait_for(|cut| *cut) => link.abandon(),
                }
                sender.send_replace(None);
                if let Some(forwarder) = forwarder {
                    forwarder.abort();
                }
                link.closed().await;
            }
            if *cut.borrow() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    });
    (receiver, keeper, task.abort_handle())
}

/// Returns when the agent has not answered for too long, without a reason that
/// the VMM can tell.
async fn fall_silent(engine: &Engine, cell: &NodeCell, client: &Client) {
    let mut heard = Instant::now();
    let mut stall: Option<NodeState> = None;
    loop {
        tokio::time::sleep(BEAT).await;
        if cell.state() == NodeState::Paused {
            heard = Instant::now();
            continue;
        }
        let answer = tokio::time::timeout(BEAT, client.version()).await;
        if matches!(answer, Ok(Ok(_))) {
            heard = Instant::now();
            // What an operation has made of the node meanwhile stays.
            if stall.take().is_some_and(|state| cell.state() == state) {
                cell.enter(NodeState::Ready);
            }
        } else if let Some(reason) = revive(cell).await {
            heard = Instant::now();
            stall = stall.or_else(|| Some(tell_stall(engine, cell, reason)));
        } else if heard.elapsed() > SILENCE {
            return;
        }
    }
}

async fn revive(cell: &NodeCell) -> Option<String> {
    cell.live()?.machine.revive().await
}

/// Tells why the guest stands still; gives the state that says so.
fn tell_stall(engine: &Engine, cell: &NodeCell, reason: String) -> NodeState {
    engine.warn(&cell.path, reason.clone());
    let state = Fault::new(reason)
        .with_hint("Free some disk space: the guest goes on by itself within seconds")
        .at(Stage::Disks);
    if cell.state() == NodeState::Ready {
        cell.enter(state.clone());
    }
    state
}

/// A guest that has restarted by itself is set up again: it has lost its
/// addresses and whatever its provisioners had started.
async fn notice_boot(engine: &Engine, cell: &Arc<NodeCell>, client: &Client) {
    let Ok(version) = client.version().await else {
        return;
    };
    if !cell.note_boot(&version.boot_id) {
        if cell.state() == NodeState::Ready {
            // Adopted from another process, which had set this boot up.
            cell.configure_boot(version.boot_id);
        }
        return;
    }
    engine.warn(
        &cell.path,
        "the guest has restarted by itself; setting it up again",
    );
    // An operation that is at work has noticed too, and begins anew.
    if cell.work.try_lock().is_ok() {
        tokio::spawn(engine.clone().set_up_again(cell.clone()));
    }
}

async fn connect(address: &LinkAddress, gate: &Gate) -> Option<Link> {
    let LinkAddress::Unix(path) = address;
    let stream = UnixStream::connect(path).await.ok()?;
    match Link::connect(gate.guard(stream), GREETING).await {
        Ok(link) => Some(link),
        Err(error) => {
            tracing::debug!(%error, path = %path.display(), "no greeting");
            None
        }
    }
}

/// Passes the events of the level below on. They carry paths from the host, so
/// nothing is added.
async fn forward(path: NodePath, client: Client, events: broadcast::Sender<Event>) {
    let Ok(mut stream) = client.events().await else {
        return;
    };
    while let Some(event) = stream.next().await {
        if let Some(event) = hearsay::event(&path, event) {
            let _ = events.send(event);
        }
    }
}
