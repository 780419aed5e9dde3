//! Opus: 10 ms blocks to packets and back.

use farwheel_proto::sound::{BLOCK, Decode, opus};
use opusic_c::{Application, Bitrate, Channels, InbandFec, SampleRate, Signal};

/// Most bytes of a packet: 20 ms at 24 kbit/s have 60, and nothing asked for here comes near this.
const PACKET_MAX: usize = 400;
/// Loss below which no redundancy is sent, in per cent.
const LOSS_LEAST: f32 = 1.0;
/// Loss beyond which more redundancy does not help.
const LOSS_MOST: f32 = 30.0;
/// How hard the encoder works, of 10. Beyond this speech gains less than can be measured.
const EFFORT: u8 = 8;

/// How much is spent on sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thrift {
    /// 10 ms in each packet at 40 kbit/s: the least delay.
    #[default]
    Quick,
    /// 20 ms in each packet at 20 kbit/s: half the packets, less than half of the data.
    Thrifty,
}

impl Thrift {
    pub(crate) const fn blocks(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Thrifty => 2,
        }
    }

    const fn bitrate(self) -> Bitrate {
        Bitrate::Value(match self {
            Self::Quick => 40_000,
            Self::Thrifty => 20_000,
        })
    }
}

/// The codec refused; that is a fault of this program or a lack of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("opus: {0}")]
pub struct Error(&'static str);

/// One voice to packets.
pub(super) struct Encoder {
    inner: opusic_c::Encoder,
    thrift: Thrift,
    gathered: Vec<f32>,
    packet: Vec<u8>,
}

impl Encoder {
    /// Makes an encoder for one speaker.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(super) fn new(thrift: Thrift) -> Result<Self, Error> {
        let inner = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip);
        let mut encoder = Self {
            inner: inner.map_err(|error| Error(error.message()))?,
            thrift,
            gathered: Vec::with_capacity(2 * BLOCK),
            packet: vec![0; PACKET_MAX],
        };
        let inner = &mut encoder.inner;
        inner
            .set_bitrate(thrift.bitrate())
            .and_then(|()| inner.set_complexity(EFFORT))
            .and_then(|()| inner.set_signal(Signal::Voice))
            .and_then(|()| inner.set_dtx(true))
            .map_err(|error| Error(error.message()))?;
        Ok(encoder)
    }

    /// Spends more or less from the next packet on.
    ///
    /// # Errors
    ///
    /// If the codec refuses the rate.
    pub(super) fn set_thrift(&mut self, thrift: Thrift) -> Result<(), Error> {
        self.thrift = thrift;
        self.inner.set_bitrate(thrift.bitrate()).map_err(|error| Error(error.message()))
    }

    /// Expects this part of the packets to be lost, [0, 1]: each packet then tells of the one before it.
    ///
    /// # Errors
    ///
    /// If the codec refuses.
    pub(super) fn set_loss(&mut self, loss: f32) -> Result<(), Error> {
        let percent = (loss * 100.0).clamp(0.0, LOSS_MOST);
        let fec = if percent < LOSS_LEAST { InbandFec::Off } else { InbandFec::Mode1 };
        self.inner
            .set_inband_fec(fec)
            .and_then(|()| self.inner.set_packet_loss(percent.round() as u8))
            .map_err(|error| Error(error.message()))
    }

    /// Takes 10 ms; gives a packet when one is full. Silence that needs no packet gives an empty one.
    ///
    /// # Errors
    ///
    /// If the codec fails; the sound is lost.
    pub(super) fn encode(&mut self, block: &[f32; BLOCK]) -> Result<Option<&[u8]>, Error> {
        self.gathered.extend_from_slice(block);
        if self.gathered.len() < self.thrift.blocks() * BLOCK {
            return Ok(None);
        }
        // A packet has a length that Opus knows, also after a change of thrift in the middle of one.
        let length = if self.gathered.len() >= 2 * BLOCK { 2 * BLOCK } else { BLOCK };
        let bytes = self.inner.encode_float_to_slice(&self.gathered[..length], &mut self.packet);
        self.gathered.clear();
        let bytes = bytes.map_err(|error| Error(error.message()))?;
        let packet = &self.packet[..bytes];
        Ok(Some(if opus::is_silence(packet) { &[] } else { packet }))
    }

    /// Forgets what was gathered, as after a pause.
    pub(super) fn clear(&mut self) {
        self.gathered.clear();
    }
}

/// Packets to one voice.
pub(super) struct Decoder {
    inner: opusic_c::Decoder,
}

impl Decoder {
    /// Makes a decoder for one speaker; two channels are mixed into one.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(super) fn new() -> Result<Self, Error> {
        let inner = opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz48000);
        Ok(Self { inner: inner.map_err(|error| Error(error.message()))? })
    }

    fn append(&mut self, data: &[u8], samples: usize, fec: bool, sound: &mut Vec<f32>) -> Option<usize> {
        let from = sound.len();
        sound.resize(from + samples, 0.0);
        let count = self.inner.decode_float_to_slice(data, &mut sound[from..], fec).ok();
        let count = count.filter(|count| *count <= samples);
        sound.truncate(from + count.unwrap_or(0));
        count
    }
}

impl Decode for Decoder {
    fn packet(&mut self, data: &[u8], sound: &mut Vec<f32>) -> Option<usize> {
        self.append(data, opus::samples(data)?, false, sound)
    }

    fn recover(&mut self, data: &[u8], samples: usize, sound: &mut Vec<f32>) {
        if self.append(data, samples, true, sound).is_none() {
            self.conceal(samples, sound);
        }
    }

    fn conceal(&mut self, samples: usize, sound: &mut Vec<f32>) {
        let from = sound.len();
        while sound.len() < from + samples {
            let rest = (from + samples - sound.len()).min(2 * BLOCK);
            if self.append(&[], rest, false, sound).is_none_or(|count| count == 0) {
                sound.resize(from + samples, 0.0);
            }
        }
    }
}
