//! signaling.
fn main() {}
