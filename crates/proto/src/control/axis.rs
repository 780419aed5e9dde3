//! One control axis.

use serde::{Deserialize, Serialize};

/// A control value in [-1, 1]; never NaN. Positive is forward, right or up.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "f32", into = "f32")]
pub struct Axis(f32);

impl Axis {
    /// The middle.
    pub const ZERO: Self = Self(0.0);
    /// The positive end.
    pub const MAX: Self = Self(1.0);
    /// The negative end.
    pub const MIN: Self = Self(-1.0);

    /// Makes an axis; clamps to [-1, 1] and turns NaN into zero, the harmless value.
    pub const fn new(value: f32) -> Self {
        if value.is_nan() { Self::ZERO } else { Self(value.clamp(-1.0, 1.0)) }
    }

    /// The value, in [-1, 1].
    pub const fn get(self) -> f32 {
        self.0
    }

    /// Distance from the middle, in [0, 1].
    pub const fn magnitude(self) -> f32 {
        self.0.abs()
    }

    /// This axis times `factor`, clamped.
    pub const fn scaled(self, factor: f32) -> Self {
        Self::new(self.0 * factor)
    }

    /// The other way round.
    pub const fn reversed(self) -> Self {
        Self(-self.0)
    }

    /// As datagrams carry it: 32767 is 1.
    pub const fn to_wire(self) -> i16 {
        // Adding half a step and truncating rounds to nearest; both signs alike.
        let scaled = self.0 * WIRE_ONE;
        (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i16
    }

    /// From a datagram; -32768, which a careless sender may produce, counts as -32767.
    pub const fn from_wire(value: i16) -> Self {
        Self::new(value as f32 / WIRE_ONE)
    }
}

impl From<f32> for Axis {
    fn from(value: f32) -> Self {
        Self::new(value)
    }
}

impl From<Axis> for f32 {
    fn from(axis: Axis) -> Self {
        axis.0
    }
}

/// Wire steps from the middle to an end.
const WIRE_ONE: f32 = 32767.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nan_and_infinity_become_harmless() {
        assert_eq!(Axis::new(f32::NAN), Axis::ZERO);
        assert_eq!(Axis::new(f32::INFINITY), Axis::MAX);
        assert_eq!(Axis::new(f32::NEG_INFINITY), Axis::MIN);
        assert_eq!(Axis::from_wire(i16::MIN), Axis::MIN);
    }

    #[test]
    fn the_wire_keeps_both_ends_and_the_middle() {
        for (axis, wire) in [(Axis::MAX, 32767), (Axis::MIN, -32767), (Axis::ZERO, 0)] {
            assert_eq!((axis.to_wire(), Axis::from_wire(wire)), (wire, axis));
        }
    }

    proptest! {
        #[test]
        fn every_float_is_an_axis(bits: u32) {
            let axis = Axis::new(f32::from_bits(bits));
            prop_assert!((-1.0..=1.0).contains(&axis.get()));
        }

        #[test]
        fn the_wire_value_survives_a_round_trip(wire in -32767i16..=32767) {
            prop_assert_eq!(Axis::from_wire(wire).to_wire(), wire);
        }
    }
}
