//! Connections: reading what clients send, and sending what the server says.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_native_tls::{TlsAcceptor, TlsStream};

use super::command::{self, Command};
use super::session::Session;
use super::state::{Reply, State, Then, lock};

const GREETING: &[u8] = b"* OK The Microsoft Exchange IMAP4 service is ready. [UABPAFMAVABSAE8ATwBNAA==]\r\n";

pub(super) async fn serve(tcp: TcpStream, state: Arc<Mutex<State>>, tls: TlsAcceptor) {
    // Answers come in small pieces.
    let _ = tcp.set_nodelay(true);
    if let Ok(stream) = tls.accept(tcp).await {
        lock(&state).opened();
        // A client that breaks off is what tests do here. The connection ends, that is all.
        let _ = converse(BufStream::new(stream), &state).await;
        lock(&state).closed();
    }
}

async fn converse(mut stream: BufStream<TlsStream<TcpStream>>, state: &Mutex<State>) -> Result<()> {
    let mut session = Session::default();
    stream.write_all(GREETING).await?;
    stream.flush().await?;
    while let Some(reply) = next(&mut stream, &mut session, state).await? {
        stream.write_all(&reply.bytes).await?;
        stream.flush().await?;
        match reply.then {
            Then::GoOn => {}
            Then::Close => break,
            Then::FallSilent => stream.read_to_end(&mut Vec::new()).await.map(drop)?,
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// What to say next, once the client has sent something or there is cause to speak; `None` if the client hung up.
async fn next(
    stream: &mut BufStream<TlsStream<TcpStream>>,
    session: &mut Session,
    state: &Mutex<State>,
) -> Result<Option<Reply>> {
    tokio::select! {
        // An expired token comes before whatever is asked meanwhile.
        biased;
        event = session.event() => return Ok(Some(lock(state).speak_up(&event, session))),
        // Takes nothing out of the buffer: a line that has begun to come is read without a break.
        begun = stream.fill_buf() => drop(begun?),
    }
    Ok(match session.take_awaited() {
        None => Command::read(stream).await?.map(|command| lock(state).react(command, session)),
        Some(awaited) => {
            let line = command::read_line(stream).await?;
            line.map(|line| lock(state).resume(awaited, &line, session))
        }
    })
}
