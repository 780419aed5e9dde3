//! Calls between people: what callers tell each other, and the cores that a call is made of.

pub mod layers;
pub mod mesh;
pub mod message;
pub mod quality;
#[cfg(test)]
mod test;

pub use message::{Hello, Message, State, Tile, Want};
