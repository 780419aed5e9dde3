//! robot.
fn main() {}
