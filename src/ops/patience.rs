//! Connections that are closed when nothing comes or goes on them: a peer that vanished without a word must not
//! hold one for ever.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// Accepts connections that end after a silence.
pub(super) struct Patient {
    listener: TcpListener,
    silence: Duration,
}

impl Patient {
    pub(super) fn new(listener: TcpListener, silence: Duration) -> Self {
        Self { listener, silence }
    }
}

impl Listener for Patient {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // axum's own `accept` waits and tries again when the process is out of file descriptors.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(self.silence));
        stream.set_write_timeout(Some(self.silence));
        (Box::pin(stream), peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_connection_on_which_nothing_comes_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = axum::serve(Patient::new(listener, Duration::from_millis(20)), Router::new());
        tokio::spawn(server.into_future());

        let mut silent = TcpStream::connect(address).await.unwrap();
        let end = timeout(Duration::from_secs(10), silent.read(&mut [0])).await.unwrap();

        assert_eq!(end.unwrap(), 0);
    }
}
