//! The track of sound: blocks with a time in, Opus packets without a gap out.

use std::time::Duration;

use opusic_c::{Application, Bitrate, Channels, Encoder, SampleRate};

use super::timeline::{PACKET, Timeline};
use super::{Error, Writer};

/// What sounds in a recording: one channel at 48 kHz.
pub struct Sound {
    timeline: Timeline,
    encoder: Encoder,
    packet: Vec<u8>,
}

/// Several voices at once, and music that somebody plays.
const BITRATE: u32 = 64_000;
/// No packet is larger (RFC 6716 section 3.2.1).
const PACKET_BYTES: usize = 1275;

impl Sound {
    /// An empty track.
    ///
    /// # Errors
    ///
    /// If there is no memory for the encoder.
    pub fn new() -> Result<Self, Error> {
        let failed = |error: opusic_c::ErrorCode| Error::Sound(error.message());
        let mut encoder =
            Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Audio).map_err(failed)?;
        encoder.set_bitrate(Bitrate::Value(BITRATE)).map_err(failed)?;
        Ok(Self { timeline: Timeline::default(), encoder, packet: vec![0; PACKET_BYTES] })
    }

    /// Adds a block that is heard `at` from the beginning of the file; blocks may jitter by 30 ms, and where there is
    /// none there is silence.
    pub fn put(&mut self, at: Duration, block: &[f32]) {
        self.timeline.put(at, block);
    }

    /// Writes the track up to `until`; what comes later for that time is left out.
    ///
    /// # Errors
    ///
    /// If the encoder or the file fails.
    pub fn write(&mut self, until: Duration, to: &mut Writer) -> Result<(), Error> {
        while let Some((at, samples)) = self.timeline.take(until) {
            debug_assert_eq!(samples.len(), PACKET);
            let bytes = self.encoder.encode_float_to_slice(&samples, &mut self.packet);
            let bytes = bytes.map_err(|error| Error::Sound(error.message()))?;
            to.write_sound(&self.packet[..bytes], at)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sound").field("timeline", &self.timeline).finish_non_exhaustive()
    }
}
