//! HTTP/1.1 servers of our own, written by hand: they must be able to break the protocol.

mod answer;
mod manner;
mod request;
mod server;

pub use self::answer::Answer;
pub use self::request::Request;
pub(crate) use self::server::Server;
