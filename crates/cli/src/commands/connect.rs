//! `nestlab connect`: standard input and output as a connection to a port in a node, for
//! programs that let another one connect for them (`ProxyCommand` of ssh_config(5)).

use crate::cli::ConnectArgs;
use crate::context::Context;
use crate::error::Error;
use nestlab_model::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, stdin, stdout};

pub fn run(context: &Context, args: ConnectArgs) -> Result<u8, Error> {
    context.block_on(connect(context, args))
}

async fn connect(context: &Context, args: ConnectArgs) -> Result<u8, Error> {
    let client = super::client(context).await?;
    let dialled = client.at(&args.path).dial(args.port, Protocol::Tcp).await;
    let stream = match dialled {
        Ok(stream) => stream,
        Err(error) => return Err(super::explain(&client, &args.path, error.into()).await),
    };
    let (from, to) = tokio::io::split(stream);
    let sent = tokio::spawn(carry(stdin(), to));
    let received = carry(from, stdout()).await;
    // Whoever is at the other end has said all: what is typed now goes nowhere.
    sent.abort();
    received
        .map(|()| 0)
        .map_err(|error| Error::caused("The connection broke off", &error))
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
