//! What the robot tells about itself.

pub mod links;
pub mod sender;
pub mod system;

pub use sender::TelemetryThread;
