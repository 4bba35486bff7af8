//! A client that speaks IMAP by hand.

use anyhow::{Result, ensure};
use devstack::Exchange;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_native_tls::TlsStream;

/// A client that speaks IMAP by hand.
pub(crate) struct Client(BufStream<TlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(exchange: &Exchange) -> Result<Self> {
        let authority = native_tls::Certificate::from_pem(&std::fs::read(exchange.ca_pem_path())?)?;
        let tls = native_tls::TlsConnector::builder().add_root_certificate(authority).build()?;
        let tcp = TcpStream::connect((exchange.host(), exchange.port())).await?;
        let stream = tokio_native_tls::TlsConnector::from(tls).connect(exchange.host(), tcp).await?;
        Ok(Self(BufStream::new(stream)))
    }

    /// … logged in, with the inbox open.
    pub(crate) async fn open(exchange: &Exchange) -> Result<Self> {
        let mut client = Self::connect(exchange).await?;
        client.line().await?;
        let login = format!("LOGIN {} {}", exchange.user(), exchange.password());
        ensure!(client.ask(&login).await?.ends_with("T OK LOGIN completed.\r\n"));
        client.ask("SELECT INBOX").await?;
        Ok(client)
    }

    /// … let in as `user` by a token.
    pub(crate) async fn sign_in(exchange: &Exchange, user: &str, token: &str) -> Result<Self> {
        let mut client = Self::connect(exchange).await?;
        client.line().await?;
        let answer = client.ask(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(user, token))).await?;
        ensure!(answer == "T OK AUTHENTICATE completed.\r\n", "{answer}");
        Ok(client)
    }

    /// Sends a line that is no command.
    pub(crate) async fn say(&mut self, line: &str) -> Result<()> {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await?;
        Ok(self.0.flush().await?)
    }

    /// The next line, or nothing at the end of the connection.
    pub(crate) async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        Ok(line)
    }

    /// Runs a command and gives all that comes up to its end, or to that of the connection.
    pub(crate) async fn ask(&mut self, command: &str) -> Result<String> {
        self.say(&format!("T {command}")).await?;
        let mut answer = String::new();
        loop {
            let line = self.line().await?;
            answer.push_str(&line);
            if line.is_empty() || line.starts_with("T ") {
                return Ok(answer);
            }
        }
    }

    /// All that still comes, up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Result<String> {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await?;
        Ok(rest)
    }
}

/// A user and a token as XOAUTH2 wants them.
pub(crate) fn xoauth2(user: &str, token: &str) -> String {
    base64(&format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

pub(crate) fn base64(text: &str) -> String {
    openssl::base64::encode_block(text.as_bytes())
}
