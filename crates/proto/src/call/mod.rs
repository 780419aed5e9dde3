//! Calls between people: what callers tell each other, and the cores that a call is made of.

pub mod message;

pub use message::{Hello, Message, State, Tile, Want};
