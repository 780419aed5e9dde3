//! How much throttle a driver may have at all.

use crate::control::Axis;

/// Throttle limits, enforced on the robot: full travel of the stick gives this share of full throttle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    forward: Axis,
    reverse: Axis,
    boost: Axis,
}

/// A limit is not a share of full throttle.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} limit is {value}, want more than 0 and at most 1")]
pub struct LimitsError {
    /// Which limit.
    pub name: &'static str,
    /// Its value.
    pub value: f32,
}

impl Limits {
    /// What a car has unless its owner decides otherwise: 40 % forward, 30 % reverse, 60 % boost.
    pub const STANDARD: Self =
        Self { forward: Axis::new(0.4), reverse: Axis::new(0.3), boost: Axis::new(0.6) };

    /// Limits as shares of full throttle.
    ///
    /// # Errors
    /// When one is not in (0, 1].
    pub fn new(forward: f32, reverse: f32, boost: f32) -> Result<Self, LimitsError> {
        for (name, value) in [("forward", forward), ("reverse", reverse), ("boost", boost)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(LimitsError { name, value });
            }
        }
        Ok(Self { forward: Axis::new(forward), reverse: Axis::new(reverse), boost: Axis::new(boost) })
    }

    /// Forward.
    pub const fn forward(&self) -> Axis {
        self.forward
    }

    /// Reverse, as a positive share.
    pub const fn reverse(&self) -> Axis {
        self.reverse
    }

    /// Forward while boost is held.
    pub const fn boost(&self) -> Axis {
        self.boost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_share_of_full_throttle() {
        assert!(Limits::new(1.0, 0.01, 1.0).is_ok());
        for bad in [0.0, -0.1, 1.001, f32::NAN, f32::INFINITY] {
            let error = Limits::new(0.4, bad, 0.6).unwrap_err();
            assert_eq!(error.to_string(), format!("reverse limit is {bad}, want more than 0 and at most 1"));
        }
    }
}
