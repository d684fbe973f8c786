//! The end of the machine, at the parent's request.

use crate::guest::{Guest, Reach};
use crate::rejection::Rejection;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use nestlab_api::message::Power;
use nestlab_sys::identity::signal_init;
use nestlab_sys::process::Signal;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Lets the answer leave before the machine does.
const PAUSE: Duration = Duration::from_millis(50);

/// Where OpenRC keeps what runs, under whatever init it does.
const OPENRC: &str = "/run/openrc";

pub(crate) async fn power(
    State(guest): State<Guest>,
    Json(power): Json<Power>,
) -> Result<(), Rejection> {
    if guest.config().reach == Reach::Nothing {
        let message = "This program may not power its machine off";
        return Err(Rejection::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    tokio::spawn(async move {
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = carry_out(power).await {
            tracing::error!(%error, ?power, "cannot ask PID 1");
        }
    });
    Ok(())
}

async fn carry_out(power: Power) -> io::Result<()> {
    let init = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    if init.trim() == "systemd" {
        let verb = match power {
            Power::Off => "poweroff",
            Power::Reboot => "reboot",
        };
        return run("systemctl", &[verb]).await;
    }
    if Path::new(OPENRC).exists() {
        let program = match power {
            Power::Off => "poweroff",
            Power::Reboot => "reboot",
        };
        return run(program, &[]).await;
    }
    signal_init(match power {
        Power::Off => Signal::SIGTERM,
        Power::Reboot => Signal::SIGINT,
    })
}

async fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let mut command = tokio::process::Command::new(program);
    let status = command.args(arguments).status().await?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(status.to_string())),
    }
}
