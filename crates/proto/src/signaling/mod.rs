//! The wire protocol `rtcsig/1`: messages, limits and the rooms.
