//! farwheel peer.
