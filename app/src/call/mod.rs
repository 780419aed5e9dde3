//! Calls between people: what is behind the call's screens and the headless command.

pub mod files;
pub mod identity;
pub mod pins;
