//! A command as the client sent it.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Exchange's `MaxCommandSize`: a longer command is refused.
const MAX_COMMAND: usize = 10_240;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(super) tag: String,
    /// In upper case, `UID` included: `SELECT`, `UID MOVE`.
    pub name: String,
    /// The rest of it. A literal stands there as a quoted string.
    pub arguments: String,
    /// The UIDVALIDITY of the folder that the client believes open.
    pub uidvalidity: Option<u32>,
}

/// UIDs as a client names them: pairs of ends, `None` for `*`.
pub(super) type Ranges = Vec<(Option<u32>, Option<u32>)>;

impl Command {
    /// Reads the next command; `None` if the client hung up instead.
    pub(super) async fn read(stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin)) -> Result<Option<Self>> {
        let mut text = String::new();
        loop {
            let Some(line) = read_line(stream).await? else {
                ensure!(text.is_empty(), "the client hung up in the middle of a command");
                return Ok(None);
            };
            let Some((before, length)) = announced(&line) else {
                text.push_str(&line);
                return Self::parse(&text).map(Some);
            };
            stream.write_all(b"+ Ready for additional command text.\r\n").await?;
            stream.flush().await?;
            ensure!(length <= MAX_COMMAND, "a literal of {length} bytes");
            let mut literal = vec![0; length];
            stream.read_exact(&mut literal).await?;
            text.push_str(before);
            text.push_str(&quoted(&String::from_utf8(literal)?));
        }
    }

    /// The command without its tag, as in `UID FETCH 1:3 (UID BODY.PEEK[])`.
    pub fn line(&self) -> String {
        format!("{} {}", self.name, self.arguments)
    }

    /// The same, if need be without what the client proves itself by.
    pub(super) fn without_credentials(&self) -> Self {
        let mut public = self.clone();
        if let ("AUTHENTICATE", Some((mechanism, _))) = (self.name.as_str(), self.arguments.split_once(' ')) {
            public.arguments = format!("{mechanism} ***");
        }
        public
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.tag.len() + 1 + self.line().len() + 2 > MAX_COMMAND
    }

    /// The UIDs that it names, among `uids`. Meant for commands on UIDs.
    pub fn uids_among(&self, uids: &[u32]) -> Vec<u32> {
        let last = uids.last().copied().unwrap_or(0);
        let Ok(ranges) = self.ranges() else { return Vec::new() };
        let within = |uid: u32| {
            ranges.iter().any(|&(a, b)| {
                let (a, b) = (a.unwrap_or(last), b.unwrap_or(last));
                (a.min(b)..=a.max(b)).contains(&uid)
            })
        };
        uids.iter().copied().filter(|&uid| within(uid)).collect()
    }

    /// The first argument, read as a set.
    pub(super) fn ranges(&self) -> Result<Ranges> {
        let words = self.words();
        let end = |text: &str| match text {
            "*" => Ok(None),
            number => number.parse().map(Some).context("a UID that is no number"),
        };
        words
            .first()
            .context("no set")?
            .split(',')
            .map(|range| match range.split_once(':') {
                Some((a, b)) => Ok((end(a)?, end(b)?)),
                None => Ok((end(range)?, end(range)?)),
            })
            .collect()
    }

    /// The arguments one by one: quotes are taken off, and so are the parentheses of a list, which is one word.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut chars = self.arguments.chars().peekable();
        while let Some(first) = chars.next() {
            let mut word = String::new();
            match first {
                ' ' => continue,
                '"' => {
                    while let Some(c) = chars.next().filter(|&c| c != '"') {
                        word.extend(if c == '\\' { chars.next() } else { Some(c) });
                    }
                }
                '(' => word.extend(chars.by_ref().take_while(|&c| c != ')')),
                other => {
                    word.push(other);
                    while let Some(c) = chars.next_if(|&c| c != ' ') {
                        word.push(c);
                    }
                }
            }
            words.push(word);
        }
        words
    }

    fn parse(text: &str) -> Result<Self> {
        // A tag alone names no command, and is answered as one that nobody knows.
        let (tag, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (mut name, mut arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        if name.eq_ignore_ascii_case("UID") {
            let verb = arguments.split(' ').next().unwrap_or_default();
            let Some((both, after)) = rest.split_at_checked(name.len() + 1 + verb.len()) else {
                bail!("UID of nothing");
            };
            (name, arguments) = (both, after.trim_start());
        }
        Ok(Self {
            tag: tag.to_owned(),
            name: name.to_ascii_uppercase(),
            arguments: arguments.to_owned(),
            uidvalidity: None,
        })
    }
}

/// Reads the next line; `None` if the client hung up instead.
pub(super) async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = String::from_utf8(line).context("a line that is no UTF-8")?;
    Ok(Some(line.strip_suffix("\r\n").context("a line that does not end in CRLF")?.to_owned()))
}

/// What stands before a literal, and how long that is: `LOGIN anna {6}`.
fn announced(line: &str) -> Option<(&str, usize)> {
    let (before, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    Some((before, length.trim_end_matches('+').parse().ok()?))
}

/// A quoted string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
