//! Farwheel on the desktop: everything behind the `farwheel` command.

pub mod input;
pub mod model;
pub mod render;
pub mod settings;
pub mod ui;
