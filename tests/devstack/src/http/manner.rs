//! How an answer reaches the client, or does not.
//!
//! By hand because a fake must be able to break the protocol: stop half way, say nothing, or never stop.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::answer::Answer;

const ENDLESS_CHUNK: [u8; 8192] = [b'x'; 8192];

/// Between two bytes of a trickle: hours for a whole answer, and never silence.
const DRIP: Duration = Duration::from_millis(20);

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    /// Byte by byte.
    Trickle,
    /// Its head comes whole and its body byte by byte.
    TrickleBody,
    /// Its head never ends.
    EndlessHead,
    /// Its body never ends.
    Endless,
    /// Answers that announce it never end (1xx, RFC 9110 §15.2).
    Interim,
    /// Its body is all there is: no status, no header.
    Raw,
    /// It stops half way and the connection is reset.
    Reset,
    /// It never comes: the connection is closed.
    None,
}

/// What is to be done with the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It takes another request.
    Listen,
    Close,
    /// The client is to get an RST.
    Reset,
}

/// Writes an answer.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> Result<Then> {
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let length = format!("Content-Length: {}\r\n\r\n", answer.body.len());
    match answer.manner {
        Manner::None => bail!("closed on purpose"),
        Manner::Raw => {
            stream.write_all(&answer.body).await?;
            stream.flush().await?;
            Ok(Then::Close)
        }
        Manner::Reset => {
            stream.write_all(head.as_bytes()).await?;
            stream.flush().await?;
            Ok(Then::Reset)
        }
        Manner::Whole => {
            stream.write_all((head + &length).as_bytes()).await?;
            stream.write_all(&answer.body).await?;
            stream.flush().await?;
            Ok(Then::Listen)
        }
        Manner::Trickle => {
            drip(stream, (head + &length).as_bytes()).await?;
            drip(stream, &answer.body).await?;
            Ok(Then::Listen)
        }
        Manner::TrickleBody => {
            stream.write_all((head + &length).as_bytes()).await?;
            drip(stream, &answer.body).await?;
            Ok(Then::Listen)
        }
        Manner::EndlessHead => {
            head.push_str("X-Endless: ");
            forever(stream, &head, &ENDLESS_CHUNK).await
        }
        Manner::Endless => {
            head.push_str("\r\n");
            forever(stream, &head, &ENDLESS_CHUNK).await
        }
        Manner::Interim => forever(stream, "", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n").await,
    }
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    let mut clock = tokio::time::interval(DRIP);
    for byte in bytes {
        clock.tick().await;
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn forever(stream: &mut (impl AsyncWrite + Unpin), begin: &str, chunk: &[u8]) -> Result<Then> {
    stream.write_all(begin.as_bytes()).await?;
    loop {
        stream.write_all(chunk).await?;
    }
}
