//! HTTP/1.1 by hand, as little as a webhook client needs.
//!
//! By hand because a fake must be able to break the protocol: close without an answer, or never stop.

use std::fmt::Write;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answer::{Answer, Manner};

const LONGEST_BODY: usize = 256 << 20;
const ENDLESS_CHUNK: [u8; 8192] = [b'x'; 8192];

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`, as a rule.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names as sent, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// When its last byte was read.
    pub received_at: SystemTime,
}

impl Request {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the next request; `None` if the client closed the connection instead.
pub(super) async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Request>> {
    let Some(first) = read_line(stream).await? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().context("no method")?, words.next().context("no path")?);
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?.context("the head is cut short")?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new(), received_at: SystemTime::now() };
    if request.header("Transfer-Encoding").is_some() {
        bail!("a webhook says how long it is: chunked bodies are not understood");
    }
    let length = request.header("Content-Length").unwrap_or("0").parse().context("reading Content-Length")?;
    ensure!(length <= LONGEST_BODY, "a body of {length} bytes");
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    request.received_at = SystemTime::now();
    Ok(Some(request))
}

async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok((!line.is_empty()).then(|| line.trim_end().to_owned()))
}

/// Writes an answer. The connection can take another request afterwards, if there was one.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> Result<()> {
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    match answer.manner {
        Manner::None => bail!("closed on purpose"),
        Manner::Whole => {
            let _ = write!(head, "Content-Length: {}\r\n\r\n", answer.body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&answer.body).await?;
            stream.flush().await?;
            Ok(())
        }
        Manner::Endless => {
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&ENDLESS_CHUNK).await?;
            }
        }
    }
}
