//! From raw pictures to every viewer: encoded once, sent to all.

pub mod encode;
pub mod fanout;
pub mod keys;
pub mod stages;

pub use encode::EncodeThread;
pub use fanout::{Fanout, Viewer};
pub use keys::{KeyWishes, Wish};
pub use stages::Stages;
