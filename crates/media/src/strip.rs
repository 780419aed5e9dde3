//! The strip: a picture that carries its own time in its pixels (docs/MEASUREMENTS.md).
//!
//! The top `H/16` rows hold 48 equal cells over the full width, luma 235 for 1 and 16 for 0, chroma 128.
//!
//! | cells | content |
//! |---|---|
//! | 0-7 | sync `1 0 1 1 0 0 1 0` |
//! | 8-39 | unix time in units of 0.1 ms, modulo 2^32, most significant bit first |
//! | 40-47 | CRC-8 (polynomial 0x07, initial value 0) of those four bytes |
//!
//! All of it is relative to the picture, so a stamp survives scaling.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::frame::{PlanesMut, VideoFrame};

/// Unix time in units of 0.1 ms, modulo 2^32 (repeats after five days).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(pub u32);

impl Stamp {
    /// The present.
    pub fn now() -> Self {
        Self::at(SystemTime::now())
    }

    /// The stamp of a point in time.
    pub fn at(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self((since.as_micros() / 100) as u32)
    }

    /// Time from this stamp to `later`; zero if `later` is in fact earlier.
    pub fn age_at(self, later: Self) -> Duration {
        let units = later.0.wrapping_sub(self.0) as i32;
        Duration::from_micros(units.max(0) as u64 * 100)
    }
}

/// Draws the strip over the top of a picture.
pub fn write(planes: &mut PlanesMut<'_>, stamp: Stamp) {
    let (width, rows) = (planes.size.width as usize, rows(planes.size.height as usize));
    let code = code(stamp);
    let (first, rest) = planes.y.split_at_mut(planes.stride_y);
    for cell in 0..CELLS {
        let value = if code >> (CELLS - 1 - cell) & 1 == 1 { HIGH } else { LOW };
        // The first column x with x * CELLS / width == cell.
        first[(cell * width).div_ceil(CELLS)..((cell + 1) * width).div_ceil(CELLS)].fill(value);
    }
    for row in rest.chunks_mut(planes.stride_y).take(rows - 1) {
        row[..width].copy_from_slice(&first[..width]);
    }
    for plane in [&mut *planes.u, &mut *planes.v] {
        for row in plane.chunks_mut(planes.stride_uv).take(rows.div_ceil(2)) {
            row[..width / 2].fill(128);
        }
    }
}

/// Reads the stamp of a picture of any size; `None` if there is none or it is damaged.
pub fn read(frame: &VideoFrame) -> Option<Stamp> {
    let (width, rows) = (frame.size.width as usize, rows(frame.size.height as usize));
    if width < WIDTH_MIN {
        return None;
    }
    let band = &frame.y()[rows / 4 * frame.stride_y..(rows - rows / 4) * frame.stride_y];
    let mut code = 0u64;
    for cell in 0..CELLS {
        // The middle half of the cell, at least one column.
        let from = ((4 * cell + 1) * width).div_ceil(4 * CELLS);
        let to = ((4 * cell + 3) * width / (4 * CELLS)).max(from + 1);
        let sum: u64 = band.chunks(frame.stride_y).map(|row| sum(&row[from..to])).sum();
        let count = (band.len() / frame.stride_y * (to - from)) as u64;
        code = code << 1 | u64::from(sum > THRESHOLD * count);
    }
    let stamp = Stamp((code >> 8) as u32);
    (code == self::code(stamp)).then_some(stamp)
}

/// Number of rows the strip takes in a picture of this height.
pub fn rows(height: usize) -> usize {
    (height / 16).max(1)
}

fn sum(row: &[u8]) -> u64 {
    row.iter().map(|v| u64::from(*v)).sum()
}

/// All 48 cells, the first one in bit 47.
fn code(stamp: Stamp) -> u64 {
    SYNC << 40 | u64::from(stamp.0) << 8 | u64::from(crc8(stamp.0.to_be_bytes()))
}

fn crc8(bytes: [u8; 4]) -> u8 {
    bytes.into_iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

const CELLS: usize = 48;
/// With fewer columns the middle half of a cell has no column that is all its own.
const WIDTH_MIN: usize = 64;
const SYNC: u64 = 0b1011_0010;
const HIGH: u8 = 235;
const LOW: u8 = 16;
const THRESHOLD: u64 = 126;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use farwheel_proto::video::Size;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Pool;
    use crate::scale::Scaler;

    fn stamped(size: Size, stamp: Stamp) -> VideoFrame {
        let mut pool = Pool::new();
        let mut picture = pool.take(size);
        picture.fill(90, 100, 110);
        write(&mut picture.planes_mut(), stamp);
        picture.share(&mut pool, Instant::now())
    }

    #[test]
    fn the_crc_is_the_standard_one() {
        // CRC-8 (SMBus) of 01 02 03 04, by an independent calculation.
        assert_eq!(crc8([1, 2, 3, 4]), 0xe3);
        assert_eq!(crc8([0, 0, 0, 0]), 0);
    }

    #[test]
    fn the_cells_lie_where_the_table_says() {
        let frame = stamped(Size::new(96, 32), Stamp(0x8000_0001));
        let bits: String = (0..48).map(|cell| if frame.y()[cell * 2] == 235 { '1' } else { '0' }).collect();
        assert_eq!(&bits[..40], "1011001010000000000000000000000000000001");
        assert_eq!(u8::from_str_radix(&bits[40..], 2).unwrap(), crc8([0x80, 0, 0, 1]));
        assert_eq!(frame.y()[96..192], frame.y()[..96]);
        assert_eq!((frame.y()[192], frame.u()[0], frame.u()[48], frame.v()[0]), (90, 128, 100, 128));
    }

    #[test]
    fn a_picture_without_a_strip_has_no_stamp() {
        let mut pool = Pool::new();
        let mut picture = pool.take(Size::new(320, 180));
        picture.fill(90, 128, 128);
        assert_eq!(read(&picture.share(&mut pool, Instant::now())), None);
        assert_eq!(read(&stamped(Size::new(62, 20), Stamp(1))), None);
    }

    #[test]
    fn age_counts_through_the_wrap_and_never_below_zero() {
        assert_eq!(Stamp(u32::MAX).age_at(Stamp(9)), Duration::from_millis(1));
        assert_eq!(Stamp(10).age_at(Stamp(9)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn any_stamp_is_read_back_at_any_size(stamp: u32, width in 32u32..400, height in 8u32..200) {
            let size = Size::new(width * 2, height * 2);
            prop_assert_eq!(read(&stamped(size, Stamp(stamp))), Some(Stamp(stamp)));
        }

        #[test]
        fn a_stamp_survives_scaling_to_320x180(stamp: u32, width in 160u32..700, height in 90u32..400) {
            let frame = stamped(Size::new(width * 2, height * 2), Stamp(stamp));
            let small = Scaler::new().scale(&frame, Size::new(320, 180));
            prop_assert_eq!(read(&small), Some(Stamp(stamp)));
        }

        #[test]
        fn one_flipped_cell_is_noticed(stamp: u32, cell in 0usize..48) {
            let mut pool = Pool::new();
            let mut picture = stamped(Size::new(480, 160), Stamp(stamp)).to_picture(&mut pool);
            for row in picture.planes_mut().y.chunks_mut(480).take(10) {
                row[cell * 10..cell * 10 + 10].iter_mut().for_each(|v| *v = 251 - *v);
            }
            prop_assert_eq!(read(&picture.share(&mut pool, Instant::now())), None);
        }
    }
}
