//! What can be wrong with a device, whatever it is for.

/// Why there are no pictures, or no sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such device, program or file.
    #[error("{0}")]
    Missing(String),
    /// Another program uses the device.
    #[error("{0}")]
    Busy(String),
    /// The device is there but this user may not use it, or does not want to.
    #[error("{0}")]
    NotAllowed(String),
    /// It does not do what is asked of it.
    #[error("{0}")]
    Unsupported(String),
    /// It was there and failed.
    #[error("{0}")]
    Lost(String),
}
