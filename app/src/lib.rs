//! Farwheel on the desktop: everything behind the `farwheel` command.

pub mod call;
pub mod cli;
pub mod input;
pub mod log;
pub mod model;
pub mod render;
pub mod script;
pub mod session;
pub mod settings;
pub mod ui;
