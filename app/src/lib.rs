//! farwheel app.
