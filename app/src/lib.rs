//! The desktop app of Farwheel: everything but `main`.

pub mod input;
pub mod settings;
