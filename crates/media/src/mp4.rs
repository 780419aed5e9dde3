//! Writes H.264 and Opus to an MP4 file, a fragment every few seconds: what is written stays readable whatever happens
//! to the program, and nothing is kept in memory but the fragment.

mod sound;
mod timeline;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use farwheel_proto::video::{FrameKind, Size};
use muxide::api::AudioCodec;
use muxide::fragmented::{FragmentAudioConfig, FragmentConfig, FragmentedError, FragmentedMuxer};

use crate::h264::nal::{Unit, units};
pub use sound::Sound;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk says no.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file format says no.
    #[error("{0}")]
    Format(#[from] FragmentedError),
    /// The encoder of sound fails.
    #[error("opus: {0}")]
    Sound(&'static str),
    /// The first picture is no key frame, or lacks its parameter sets.
    #[error("the first picture of a file has to be a key frame with its parameter sets")]
    NoKey,
}

/// A file being written. [`Writer::finish`] writes the last fragment; without it the file ends with the one before.
pub struct Writer {
    muxer: FragmentedMuxer,
    file: BufWriter<File>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Ticks of a second in the track of pictures.
const TIMESCALE: u32 = 90_000;
/// Ticks of a second in the track of sound, Opus's own clock.
const SOUND_RATE: u32 = 48_000;

impl Writer {
    /// Begins a file with a track of pictures of this size and one of mono sound; `key` is the first picture, which is
    /// not written yet.
    ///
    /// # Errors
    ///
    /// If `key` is not what it has to be, or the file cannot be written.
    pub fn create(path: &Path, size: Size, key: &[u8]) -> Result<Self, Error> {
        let set = |kind| units(key).find(|unit| unit.kind() == kind).map(|unit| unit.bytes().to_vec());
        let mut config = FragmentConfig::new(size.width, size.height, TIMESCALE);
        config.sps = set(Unit::SPS).ok_or(Error::NoKey)?;
        config.pps = set(Unit::PPS).ok_or(Error::NoKey)?;
        let sound = FragmentAudioConfig { codec: AudioCodec::Opus, sample_rate: SOUND_RATE, channels: 1 };
        let mut muxer = FragmentedMuxer::new_with_audio(config, sound)?;
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&muxer.init_segment())?;
        Ok(Self { muxer, file })
    }

    /// Adds a picture (NAL units with start codes); `at` counts from the beginning of the file. A key frame begins a
    /// fragment.
    ///
    /// # Errors
    ///
    /// If time goes backwards, or the file cannot be written.
    pub fn write_picture(&mut self, data: &[u8], kind: FrameKind, at: Duration) -> Result<(), Error> {
        let is_key = kind == FrameKind::Key;
        if is_key {
            self.flush()?;
        }
        let mut sample = Vec::with_capacity(data.len() + 16);
        for unit in units(data) {
            // The sets stand at the beginning of the file.
            if ![Unit::SPS, Unit::PPS].contains(&unit.kind()) {
                sample.extend((unit.bytes().len() as u32).to_be_bytes());
                sample.extend(unit.bytes());
            }
        }
        let ticks = (at.as_micros() * u128::from(TIMESCALE) / 1_000_000) as u64;
        self.muxer.write_video(ticks, ticks, &sample, is_key)?;
        Ok(())
    }

    /// Adds an Opus packet; `at` is its first sample, at 48 kHz from the beginning of the file.
    ///
    /// # Errors
    ///
    /// If time goes backwards.
    pub fn write_sound(&mut self, packet: &[u8], at: u64) -> Result<(), Error> {
        self.muxer.write_audio(at, at, packet)?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if let Some(fragment) = self.muxer.flush_segment() {
            self.file.write_all(&fragment)?;
            self.file.flush()?;
        }
        Ok(())
    }
}
