//! What an operator does to stored mail, and to mail that comes out of files: the built program on real servers.

mod import;
mod merge;
mod reparse;
mod rules;
