//! From raw pictures to every viewer: encoded once, sent to all.

pub mod encode;
pub mod fanout;
pub mod keys;
pub mod stages;

pub use encode::EncodeThread;
pub use fanout::Fanout;
pub use keys::KeyWishes;
pub use stages::Stages;
