//! `nestlab fork`: running copies of a lab, as it is at this moment or as a snapshot
//! keeps it.

mod proof;

use crate::cli::ForkArgs;
use crate::context::Context;
use crate::error::Error;
use crate::output;
use crate::place::{self, Place, Record};
use crate::supervisor;
use futures::future::join_all;
use nestlab_api::client::Client;
use nestlab_api::message::{ForkReport, ForkRequest, Listener, PauseRequest, StopRequest};
use nestlab_model::{LayerStatus, NodeState};
use serde_json::json;
use std::time::{Duration, Instant};

/// How often it is looked whether a lab has been copied.
const LOOK: Duration = Duration::from_millis(2);

pub fn run(context: &Context, args: ForkArgs) -> Result<u8, Error> {
    if args.prove {
        return context.block_on(proof::show(context));
    }
    let (lab, snapshot) = meant(args.of.as_deref());
    let origin = match lab {
        Some(name) => place::named(&context.dirs()?, name)?,
        None => context.place()?,
    };
    context.block_on(async {
        if !args.unproved && snapshot.is_none() {
            proof::ensure(context, &origin).await?;
        }
        let forks = origin.register_forks(args.name.as_deref(), usize::from(args.count))?;
        let begun = Instant::now();
        let request = ForkRequest {
            snapshot: snapshot.map(str::to_owned),
            disks_only: args.disks_only,
            ..ForkRequest::default()
        };
        let copied = copy(&origin, &forks, request);
        let woken = join_all(forks.iter().map(|fork| wake(fork, args.new_identity)));
        let (report, woken) = match both(copied, woken).await {
            Ok(done) => done,
            Err(error) => {
                join_all(forks.iter().map(give_up)).await;
                return Err(error);
            }
        };
        let woken = woken.into_iter().collect::<Result<Vec<Fork>, Error>>();
        if !args.argv.is_empty() {
            return try_out(&forks[0], woken, args.argv).await;
        }
        tell(context, &report, &woken?, begun);
        Ok(0)
    })
}

/// Awaits both, but the second no longer if the first has failed.
async fn both<A, B>(
    first: impl Future<Output = Result<A, Error>>,
    second: impl Future<Output = B>,
) -> Result<(A, B), Error> {
    let second = async { Ok(second.await) };
    futures::future::try_join(first, second).await
}

/// A new lab that goes on by itself.
struct Fork {
    record: Record,
    client: Client,
    listeners: Vec<Listener>,
}

/// The lab and the snapshot that `LAB@SNAPSHOT` names, either of which may be missing.
fn meant(of: Option<&str>) -> (Option<&str>, Option<&str>) {
    let (lab, snapshot) = match of.and_then(|of| of.split_once('@')) {
        Some((lab, snapshot)) => (Some(lab), Some(snapshot)),
        None => (of, None),
    };
    (lab.filter(|lab| !lab.is_empty()), snapshot)
}

/// Has a lab copied as `request` says.
async fn copy(origin: &Place, forks: &[Place], request: ForkRequest) -> Result<ForkReport, Error> {
    let client = supervisor::ensure_running(origin, origin.known()?).await?;
    let mut labs = Vec::new();
    for fork in forks {
        labs.push(fork.known()?.id.clone());
    }
    Ok(client.fork(&ForkRequest { labs, ..request }).await?)
}

/// Forgets a lab that came to nothing, even if it has begun to go on.
async fn give_up(fork: &Place) {
    let Some(record) = &fork.record else {
        return;
    };
    let begun = supervisor::is_running(fork, record).await;
    if !begun || remove(fork).await.is_err() {
        let _ = fork.forget(record);
    }
}

/// Lets a new lab go on from where it was copied, as soon as it has been: the lab that
/// it is a copy of may be on its own way then.
async fn wake(fork: &Place, renew: bool) -> Result<Fork, Error> {
    let record = fork.known()?;
    while !nestlab_agent::supervisor::is_whole(&fork.dirs.lab_state(&record.id)) {
        tokio::time::sleep(LOOK).await;
    }
    let client = supervisor::ensure_running(fork, record).await?;
    client
        .resume(&PauseRequest::as_it_was())
        .await
        .map_err(|error| {
            let message = format!("The fork `{}` does not go on as it should", record.name);
            Error::caused(message, &error).hint(format!(
                "`nestlab -l {0} up` tries again, `nestlab -l {0} destroy` removes it",
                record.name
            ))
        })?;
    let report = client.layer().await?;
    if renew {
        renew_identities(&client, &report.status).await?;
    }
    Ok(Fork {
        record: record.clone(),
        listeners: report.listeners,
        client,
    })
}

async fn renew_identities(client: &Client, status: &LayerStatus) -> Result<(), Error> {
    let nodes = status.walk().into_iter();
    let ready = nodes.filter(|node| node.state == NodeState::Ready);
    let renewals = ready.map(|node| {
        let agent = client.at(&node.path);
        async move { agent.renew_identity().await }
    });
    let renewed = join_all(renewals).await;
    Ok(renewed.into_iter().collect::<Result<(), _>>()?)
}

fn tell(context: &Context, report: &ForkReport, forks: &[Fork], begun: Instant) {
    if context.global.json {
        let forks: Vec<_> = forks
            .iter()
            .map(|fork| json!({ "name": fork.record.name, "id": fork.record.id, "listeners": fork.listeners }))
            .collect();
        return output::json(&json!({
            "forks": forks,
            "pause_seconds": report.pause_seconds,
            "written": report.written,
        }));
    }
    for fork in forks {
        output::data(&format!("{}\n", fork.record.name));
        for listener in &fork.listeners {
            context.say(&format!("  {}", super::port::line(listener)));
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    context.say(&match report.pause_seconds {
        0.0 => format!("Forked in {elapsed:.1} s"),
        pause => format!("Forked in {elapsed:.1} s; the lab stood still for {pause:.1} s"),
    });
}

/// Runs a program in the network of a fork, which goes with it.
async fn try_out(
    place: &Place,
    woken: Result<Vec<Fork>, Error>,
    argv: Vec<String>,
) -> Result<u8, Error> {
    let tried = async {
        let fork = &woken?[0];
        let name = std::ffi::OsString::from(&fork.record.name);
        super::net::run_in(&fork.client, argv, &[(place::LAB_VARIABLE, name)]).await
    };
    let result = tried.await;
    let removed = remove(place).await;
    result.and_then(|code| removed.map(|()| code))
}

async fn remove(place: &Place) -> Result<(), Error> {
    let record = place.known()?;
    let client = supervisor::ensure_running(place, record).await?;
    let keeper = supervisor::keeper(&client.layer().await?);
    let request = StopRequest {
        force: true,
        ..StopRequest::default()
    };
    client.destroy(&request).await?;
    supervisor::end(&client, keeper).await?;
    place.forget(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_named_after_its_lab() {
        assert_eq!(meant(None), (None, None));
        assert_eq!(meant(Some("a")), (Some("a"), None));
        assert_eq!(meant(Some("a@b")), (Some("a"), Some("b")));
        assert_eq!(meant(Some("@b")), (None, Some("b")));
    }
}
