//! The whole product as its users start it: the built programs, one beside the other, and a real browser.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod app;
mod browser;
mod call;
mod call_moves;
mod callers;
mod link;
mod manual;
mod nat;
mod pair;
mod ring;
mod share;
mod two_paths;
mod wayland;
