//! What can be read from an Opus packet without decoding it (RFC 6716 section 3).

use super::RATE;

/// Longest packet that there may be, in samples: 120 ms (RFC 6716 section 3.2.5).
pub const SAMPLES_MAX: usize = RATE as usize * 120 / 1000;

/// How many samples at 48 kHz a packet holds; `None` if it is none.
pub fn samples(packet: &[u8]) -> Option<usize> {
    let head = *packet.first()?;
    let config = usize::from(head >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config & 3],
        12..16 => [480, 960][config & 1],
        _ => [120, 240, 480, 960][config & 3],
    };
    let frames = match head & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 63),
    };
    let samples = frame * frames;
    (samples > 0 && samples <= SAMPLES_MAX).then_some(samples)
}

/// Whether a packet says only that there is silence (discontinuous transmission: RFC 7587 section 3.1.3).
pub const fn is_silence(packet: &[u8]) -> bool {
    packet.len() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_is_and_nonsense_is_none() {
        for (packet, want) in [
            // RFC 6716 tables 2 and 3: SILK 10 and 60 ms, hybrid 20 ms, CELT 2.5, 10 and 20 ms.
            (&[0b0000_0000][..], Some(480)),
            (&[0b0001_1000], Some(2880)),
            (&[0b0110_1000], Some(960)),
            (&[0b1000_0000], Some(120)),
            (&[0b1111_0000, 7], Some(480)),
            (&[0b1111_1000], Some(960)),
            // Two frames, six frames, no frames, too many, and the count missing.
            (&[0b1111_1001], Some(1920)),
            (&[0b1111_1011, 6], Some(5760)),
            (&[0b1111_1011, 0], None),
            (&[0b1111_1011, 7], None),
            (&[0b1111_1011], None),
            (&[], None),
        ] {
            assert_eq!(samples(packet), want, "{packet:?}");
        }
    }
}
