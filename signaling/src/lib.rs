//! farwheel signaling.
