//! Reads a sequence parameter set (ITU-T H.264 section 7.3.2.1.1).

use farwheel_proto::video::Size;

use super::bits::Bits;

/// What a parameter set announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sps {
    /// Size of the coded picture, before cropping.
    pub(crate) size: Size,
    /// Length of the frame numbers in its slices, in bits; `None` for streams whose slices we do not read further: with
    /// picture order counts of their own, or of another profile than baseline.
    pub(crate) number_bits: Option<u32>,
}

/// Reads a parameter set; `None` if it is damaged or of a kind other than 8-bit 4:2:0 frames.
///
/// `payload` is what follows the NAL unit's header byte, with emulation prevention bytes still in.
pub(crate) fn read(payload: &[u8]) -> Option<Sps> {
    let mut bits = Bits::new(payload);
    let profile = bits.take(8)?;
    bits.take(16)?; // Constraint flags and level.
    bits.golomb()?; // Id.
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128) {
        let (chroma, luma_depth, chroma_depth) = (bits.golomb()?, bits.golomb()?, bits.golomb()?);
        let (_bypass, scaling) = (bits.take(1)?, bits.take(1)?);
        // Nobody sends scaling lists in real-time video.
        if chroma != 1 || luma_depth != 0 || chroma_depth != 0 || scaling == 1 {
            return None;
        }
    }
    let number_bits = bits.golomb()?.checked_add(4).filter(|bits| *bits <= 16)?;
    let order = bits.golomb()?;
    match order {
        0 => {
            bits.golomb()?; // Length of picture order counts.
        }
        1 => {
            bits.take(1)?;
            bits.golomb()?;
            bits.golomb()?;
            for _ in 0..bits.golomb()?.min(255) {
                bits.golomb()?;
            }
        }
        2 => {}
        _ => return None,
    }
    bits.golomb()?; // Number of references.
    bits.take(1)?; // Gaps allowed.
    let (columns, rows) = (bits.golomb()?.checked_add(1)?, bits.golomb()?.checked_add(1)?);
    let frames_only = bits.take(1)?;
    if frames_only == 0 || columns > MACROBLOCKS_MAX || rows > MACROBLOCKS_MAX {
        return None;
    }
    let number_bits = (profile == BASELINE && order == 2).then_some(number_bits);
    Some(Sps { size: Size::new(columns * 16, rows * 16), number_bits })
}

/// `profile_idc` of the baseline profile.
const BASELINE: u32 = 66;
/// Far more than any level allows in one direction (level 5.2: 543).
const MACROBLOCKS_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use farwheel_proto::video::Bitrate;
    use proptest::prelude::*;

    use super::*;
    use crate::encode::{self, Encoder, Target};
    use crate::h264::nal;
    use crate::strip::Stamp;
    use crate::test_picture::TestPicture;

    fn check(payload: &[u8], want: Option<(u32, u32)>) {
        assert_eq!(read(payload).map(|sps| (sps.size.width, sps.size.height)), want);
    }

    #[test]
    fn sizes_of_known_streams_are_read() {
        // x264: baseline, and high at 1280x720.
        check(&[0x42, 0xc0, 0x0b, 0xda, 0x0a, 0x36, 0xc0, 0x44], Some((160, 96)));
        check(&[0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10], Some((1280, 720)));
        // 1080 rows are coded as 1088.
        let target = Target { bitrate: Bitrate(1_000_000), size: Size::new(1920, 1080), fps: 30 };
        let frame = TestPicture::new(target.size).render(Stamp(0), Instant::now());
        let coded = Encoder::open(encode::Config::default(), target).unwrap().encode(&frame).unwrap().data;
        check(
            nal::units(&coded).next().expect("a key frame starts with its parameter set").payload(),
            Some((1920, 1088)),
        );
    }

    #[test]
    fn damaged_sets_have_no_size() {
        check(&[], None);
        check(&[0x42, 0xc0], None);
        check(&[0x42, 0xc0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0], None);
        // 4:4:4.
        check(&[0xf4, 0x00, 0x1e, 0x91, 0x9b, 0x28, 0x14, 0x07, 0xb6, 0x02, 0x20], None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(Sps { size, .. }) = read(&payload) {
                prop_assert!(size.width <= 16384 && size.height <= 16384);
            }
        }
    }
}
