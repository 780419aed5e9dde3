//! The server over real sockets: a few runs of each path; the rules themselves are tested in `proto` in virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lobby;
mod pair;
mod peers;
mod process;
mod support;
mod turn;
mod turn_streams;
mod websocket;
