//! The portal of a Wayland desktop as a source.

use farwheel_media::capture::Source;
use farwheel_media::slot::Slot;
use farwheel_portal::{Bus, Grant, Kind, Portal};

/// Makes sources, and hears what the user allowed.
#[derive(Debug, Default)]
pub(super) struct Portals {
    granted: Slot<Grant>,
}

impl Portals {
    /// Asks when it is opened; with a token only if the desktop does not take it.
    pub(super) fn source(&self, token: Option<String>, fps: u32) -> Box<dyn Source> {
        Box::new(Portal::new(Bus::Session, token, fps, self.granted.clone()))
    }

    /// What was allowed since the last time, as the object of a sentence, and the token for the next time.
    pub(super) fn granted(&self) -> Option<(&'static str, Option<String>)> {
        let grant = self.granted.take()?;
        let name = match grant.kind {
            Kind::Screen => "your screen",
            Kind::Window => "a window of yours",
        };
        Some((name, grant.token))
    }
}
