//! farwheel lab.
