//! The lab's supervisor, seen from outside: found by its socket, started when
//! nobody answers, ended when its lab is gone.
//!
//! Two verbs may start one at the same time: the supervisors settle it with a
//! lock, the loser leaves, and both verbs meet the winner at the socket.

use crate::error::{Code, Error};
use crate::place::{Place, Record};
use nestlab_api::client::Client;
use nestlab_api::message::LayerReport;
use nestlab_sys::process::{ProcessId, Signal};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a supervisor may take to answer after its start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// How long it may take to leave.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Time between two looks.
const STEP: Duration = Duration::from_millis(5);

/// Time before another is started when one left in peace.
const RESPAWN: Duration = Duration::from_millis(100);

/// Bytes of its log that are shown when it does not come up.
const LOG_TAIL: usize = 2048;

/// A client of the lab's supervisor, started if need be.
pub async fn ensure_running(place: &Place, record: &Record) -> Result<Client, Error> {
    let client = place.client(record);
    if answers(&client).await {
        return Ok(client);
    }
    place.dirs.claim(&record.id)?;
    let log = place.dirs.lab_state(&record.id).join("supervisor.log");
    let mut child = spawn(place, record, &log)?;
    let deadline = Instant::now() + START_DEADLINE;
    while Instant::now() < deadline {
        if answers(&client).await {
            return Ok(client);
        }
        match child.try_wait() {
            Ok(Some(status)) if !status.success() => {
                return Err(no_start(&format!("it ended with {status}"), &log));
            }
            // It leaves in peace when another has the lab: one that answers
            // soon, or one that is just ending and must be followed.
            Ok(Some(_)) => {
                sleep(RESPAWN).await;
                if !answers(&client).await {
                    child = spawn(place, record, &log)?;
                }
            }
            _ => sleep(STEP).await,
        }
    }
    Err(no_start(
        &format!("it did not answer within {} s", START_DEADLINE.as_secs()),
        &log,
    ))
}

/// Whether a lab has a supervisor.
pub async fn is_running(place: &Place, record: &Record) -> bool {
    answers(&place.client(record)).await
}

/// The keeper of a lab, taken hold of while it is known to be that: later its number may be
/// another's.
pub fn keeper(report: &LayerReport) -> Option<ProcessId> {
    report.keeper.and_then(|pid| ProcessId::of(pid).ok())
}

/// Ends the supervisor of a lab that is gone, with its keeper.
pub async fn end(client: &Client, keeper: Option<ProcessId>) -> Result<(), Error> {
    // It may have left by itself already.
    if let Ok(Ok(version)) = timeout(Duration::from_secs(2), client.version()).await {
        stop(ProcessId::of(version.pid).ok()).await;
    }
    stop(keeper).await;
    Ok(())
}

/// Asks a process to leave, and makes it.
pub async fn stop(process: Option<ProcessId>) {
    let Some(Ok(Some(pidfd))) = process.map(|process| process.open()) else {
        return;
    };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if pidfd.signal(signal).is_err() || timeout(END_DEADLINE, pidfd.wait()).await.is_ok() {
            return;
        }
    }
}

/// Whether a supervisor answers, not merely accepts: the socket of one that was
/// just killed takes connections until the kernel has cleared it away.
async fn answers(client: &Client) -> bool {
    timeout(START_DEADLINE, client.version())
        .await
        .is_ok_and(|answer| answer.is_ok())
}

fn spawn(place: &Place, record: &Record, log: &Path) -> Result<tokio::process::Child, Error> {
    let what = || "Cannot start the lab's supervisor".to_owned();
    let program = std::env::current_exe().map_err(|error| Error::caused(what(), &error))?;
    let output = open_log(log)
        .map_err(|error| Error::caused(format!("Cannot write `{}`", log.display()), &error))?;
    let errors = output
        .try_clone()
        .map_err(|error| Error::caused(what(), &error))?;
    let engine = place.dirs.container_engine.iter();
    let engine = engine.flat_map(|socket| [OsStr::new("--engine"), socket.as_os_str()]);
    let mut command = tokio::process::Command::new(program);
    command
        .arg("__supervisor")
        .arg("--state")
        .arg(place.dirs.lab_state(&record.id))
        .arg("--run")
        .arg(place.dirs.lab_runtime(&record.id))
        .arg("--memory")
        .arg(place.dirs.lab_memory(&record.id))
        .arg("--store")
        .arg(&place.dirs.store)
        .arg("--templates")
        .arg(place.dirs.template_budget.as_bytes().to_string())
        .args(engine)
        .arg(&record.id)
        // Not the lab's folder, which may be moved or removed meanwhile.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(false);
    nestlab_sys::process::detach(&mut command);
    command
        .spawn()
        .map_err(|error| Error::caused(what(), &error))
}

/// Appends to the log, which starts anew when it has grown long.
fn open_log(log: &Path) -> std::io::Result<File> {
    let long = fs::metadata(log).is_ok_and(|metadata| metadata.len() > 8 << 20);
    OpenOptions::new()
        .create(true)
        .append(!long)
        .write(true)
        .truncate(long)
        .open(log)
}

fn no_start(why: &str, log: &Path) -> Error {
    let text = fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(LOG_TAIL)..];
    let tail = String::from_utf8_lossy(tail);
    let last: Vec<&str> = tail.lines().rev().take(5).collect();
    let lines: Vec<&str> = last.into_iter().rev().collect();
    let message = format!(
        "Cannot start the lab's supervisor: {why}\n{}",
        lines.join("\n")
    );
    Error::new(Code::Failed, message.trim_end()).hint(format!("Its log is `{}`", log.display()))
}
