//! farwheel robot.
pub mod sim;
