//! farwheel robot.
