//! `nestlab console`: the serial console of a node, both ways.

use crate::cli::NodeArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_sys::terminal::RawMode;
use std::io::{self, IsTerminal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ctrl-], as with telnet.
const LEAVE: u8 = 0x1d;

pub fn run(context: &Context, args: NodeArgs) -> Result<u8, Error> {
    context.block_on(console(context, args))
}

async fn console(context: &Context, args: NodeArgs) -> Result<u8, Error> {
    let Some((parent, name)) = args.path.split_last() else {
        return Err(Error::new(
            Code::Usage,
            "`.` is this machine; it has no console here",
        ));
    };
    let client = super::client(context).await?;
    let stream = match client.at(&parent).console(name).await {
        Ok(stream) => stream,
        Err(error) => return Err(super::explain(&client, &args.path, error.into()).await),
    };
    context.say(&format!("At the console of `{}`; Ctrl-] leaves", args.path));
    let raw = io::stdin().is_terminal().then(RawMode::stdin).transpose();
    let raw = raw.map_err(|error| Error::caused("Cannot set up the terminal", &error))?;
    let (mut from, mut to) = tokio::io::split(stream);
    let mut out = tokio::io::stdout();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Error::caused("Cannot listen for signals", &error))?;
    let ended = tokio::select! {
        shown = show(&mut from, &mut out) => shown,
        typed = typed(&mut to) => typed,
        _ = terminate.recv() => Ok(()),
    };
    drop(raw);
    context.say("");
    ended
        .map(|()| 0)
        .map_err(|error| Error::caused("The console broke off", &error))
}

async fn show(
    from: &mut (impl AsyncReadExt + Unpin),
    out: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            amount => out.write_all(&buffer[..amount]).await?,
        }
        out.flush().await?;
    }
}

async fn typed(to: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 1024];
    loop {
        let amount = stdin.read(&mut buffer).await?;
        let bytes = &buffer[..amount];
        let end = bytes.iter().position(|byte| *byte == LEAVE);
        to.write_all(&bytes[..end.unwrap_or(amount)]).await?;
        to.flush().await?;
        if end.is_some() {
            return Ok(());
        }
        if amount == 0 {
            // A script that has sent its input goes on reading.
            return std::future::pending().await;
        }
    }
}
