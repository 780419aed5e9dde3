//! Where a car is, if it knows (the simulated one does), and its track: on the channel `telemetry`.

use super::wire::{DatagramError, Reader, Shape, Tail, Writer};
use crate::video::CarTime;

/// The car's place in its world, 20 Hz.
///
/// | offset | field |
/// |---|---|
/// | 0 | version, 1 |
/// | 1 | type, 6 |
/// | 2 | zero, u16 |
/// | 4 | x, mm, i32: east |
/// | 8 | y, mm, i32: north |
/// | 12 | heading, 1e-6 rad, i32: counter-clockwise from east |
/// | 16 | robot time, µs, u64 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// East, in mm.
    pub x_mm: i32,
    /// North, in mm.
    pub y_mm: i32,
    /// Counter-clockwise from east, in millionths of a radian.
    pub heading_urad: i32,
    /// The robot's clock at that moment.
    pub car_time: CarTime,
}

impl Place {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 24;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(VERSION).u8(PLACE).u16(0).i32(self.x_mm).i32(self.y_mm).i32(self.heading_urad);
        out.u64(self.car_time.0).finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, or a datagram too short.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let mut fields = shape("place", PLACE, Self::LEN, Tail::Ignored).open(bytes)?;
        fields.u16();
        Ok(Self {
            x_mm: fields.i32(),
            y_mm: fields.i32(),
            heading_urad: fields.i32(),
            car_time: CarTime(fields.u64()),
        })
    }
}

/// The centre line of a closed track in driving order, 2 Hz.
///
/// Version 1, type 7, the number of points u16 at offset 2, then x and y of each point in cm as i16.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    points: Vec<(i16, i16)>,
}

impl Outline {
    /// Makes an outline of points in cm; more than [`OUTLINE_POINTS_MAX`] are thinned out evenly.
    pub fn new(points: &[(i16, i16)]) -> Self {
        let step = points.len().div_ceil(OUTLINE_POINTS_MAX).max(1);
        Self { points: points.iter().copied().step_by(step).collect() }
    }

    /// The points, in cm.
    pub fn points(&self) -> &[(i16, i16)] {
        &self.points
    }

    /// The datagram, at most 1124 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, OUTLINE];
        out.extend((self.points.len() as u16).to_le_bytes());
        for (x, y) in &self.points {
            out.extend(x.to_le_bytes());
            out.extend(y.to_le_bytes());
        }
        out
    }

    /// Reads the datagram.
    ///
    /// # Errors
    /// On another version or type, too many points, or a length that does not fit their number.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let mut fields = shape("outline", OUTLINE, 4, Tail::Ignored).open(bytes)?;
        let count = usize::from(fields.u16());
        if count > OUTLINE_POINTS_MAX {
            return Err(DatagramError::Field { name: "outline", field: "points", value: count as u32 });
        }
        let want = 4 + 4 * count;
        if bytes.len() != want {
            return Err(DatagramError::Length { name: "outline", len: bytes.len(), want });
        }
        let read = |fields: &mut Reader<'_>| (fields.i16(), fields.i16());
        Ok(Self { points: (0..count).map(|_| read(&mut fields)).collect() })
    }
}

const fn shape(name: &'static str, kind: u8, len: usize, tail: Tail) -> Shape {
    Shape { name, version: VERSION, kind, len, tail }
}

/// As many as fit into one packet of 1200 bytes.
pub const OUTLINE_POINTS_MAX: usize = 280;
const VERSION: u8 = 1;
const PLACE: u8 = 6;
const OUTLINE: u8 = 7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wire_formats_stay_as_published() {
        let place = Place { x_mm: -1, y_mm: 2, heading_urad: 3, car_time: CarTime(4) };
        let bytes = [1, 6, 0, 0, 255, 255, 255, 255, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(place.encode(), bytes);
        assert_eq!(Outline::new(&[(1, -1)]).encode(), [1, 7, 1, 0, 1, 0, 255, 255]);
    }

    #[test]
    fn a_wrong_outline_is_told_what_is_wrong_with_it() {
        for (bytes, want) in [
            (&[1, 7, 0][..], "outline datagram has 3 bytes, want 4"),
            (&[1, 7, 1, 0, 1, 0, 2], "outline datagram has 7 bytes, want 8"),
            (&[1, 7, 255, 255], "outline datagram has points 65535, which means nothing"),
            (&[1, 6, 0, 0], "outline datagram has type 6, want 7"),
        ] {
            assert_eq!(Outline::decode(bytes).unwrap_err().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn any_outline_survives_thinned_to_what_fits(points in proptest::collection::vec(any::<(i16, i16)>(), 0..900)) {
            let outline = Outline::new(&points);
            prop_assert!(outline.points().len() <= OUTLINE_POINTS_MAX);
            prop_assert!(outline.encode().len() <= 1200);
            prop_assert_eq!(Outline::decode(&outline.encode()), Ok(outline));
        }

        #[test]
        fn any_place_survives(x_mm: i32, y_mm: i32, heading_urad: i32, us: u64) {
            let place = Place { x_mm, y_mm, heading_urad, car_time: CarTime(us) };
            prop_assert_eq!(Place::decode(&place.encode()), Ok(place));
        }

        #[test]
        fn any_bytes_give_an_outline_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 2..300)) {
            bytes[..2].copy_from_slice(&[VERSION, OUTLINE]);
            Outline::decode(&bytes).ok();
            Place::decode(&bytes).ok();
        }
    }
}
