//! The server that plays Exchange.

mod client;
mod commands;
mod login;
mod push;
