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
use std::time::Duration;

/// Lets the answer leave before the machine does.
const PAUSE: Duration = Duration::from_millis(50);

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
        let status = tokio::process::Command::new("systemctl")
            .arg(verb)
            .status()
            .await?;
        return if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(status.to_string()))
        };
    }
    signal_init(match power {
        Power::Off => Signal::SIGTERM,
        Power::Reboot => Signal::SIGINT,
    })
}
