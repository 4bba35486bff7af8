//! The built program at Microsoft's: an identity platform and a server that plays Exchange, as an operator meets them.

mod check;
mod push;
mod sign_in;
mod site;
mod throttling;
mod tokens;
