//! Calls between people: what callers tell each other, and the cores that a call is made of.

pub mod chat;
pub mod file;
pub mod layers;
pub mod letter;
pub mod mesh;
pub mod message;
pub mod quality;
pub mod ring;
#[cfg(test)]
mod test;
pub mod text;
pub mod verify;

pub use message::{Hello, Message, State, Tile, Want};
