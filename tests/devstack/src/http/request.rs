//! Requests in HTTP/1.1, read by hand: as little as a client of ours needs.

use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

const LONGEST_BODY: usize = 256 << 20;

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
        bail!("a request says how long it is: chunked bodies are not understood");
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
