//! `nestlab logs`: what a node's console, agent, provisioners or VMM wrote.

use crate::cli::LogsArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use nestlab_api::client::{ApiError, ByteReader, Client};
use nestlab_api::message::LogKind;
use std::io::{IsTerminal, Write};
use tokio::io::AsyncReadExt;

pub fn run(context: &Context, args: LogsArgs) -> Result<u8, Error> {
    context.block_on(async {
        let client = super::client(context).await?;
        let mut log = match open(&client, &args).await {
            Ok(log) => log,
            Err(error) => return Err(super::explain(&client, &args.path, error.into()).await),
        };
        let copying = copy(&mut log);
        tokio::select! {
            result = copying => result.map(|()| 0),
            _ = tokio::signal::ctrl_c() => Ok(Code::Interrupted as u8),
        }
    })
}

/// The agent keeps its log in the node, its parent all the others.
async fn open(client: &Client, args: &LogsArgs) -> Result<ByteReader, ApiError> {
    let Some((parent, name)) = args.path.split_last() else {
        return client.log(args.follow, args.lines).await;
    };
    let kind = match (args.agent, args.provision, args.vmm) {
        (true, _, _) => return client.at(&args.path).log(args.follow, args.lines).await,
        (_, true, _) => LogKind::Provision,
        (_, _, true) => LogKind::Vmm,
        _ => LogKind::Console,
    };
    client
        .at(&parent)
        .logs(name, kind, args.follow, args.lines)
        .await
}

async fn copy(log: &mut ByteReader) -> Result<(), Error> {
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = log.read(&mut buffer).await;
        let amount = read.map_err(|error| Error::caused("The log broke off", &error))?;
        if amount == 0 {
            return Ok(());
        }
        let bytes = &mut buffer[..amount];
        if terminal {
            disarm(bytes);
        }
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}

/// What a guest writes must not steer the user's terminal.
fn disarm(bytes: &mut [u8]) {
    for byte in bytes {
        if byte.is_ascii_control() && !matches!(*byte, b'\n' | b'\t') {
            *byte = if *byte == b'\r' { b' ' } else { b'.' };
        }
    }
}
