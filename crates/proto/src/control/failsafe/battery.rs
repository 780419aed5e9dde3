//! The battery guard: warns, limits the throttle, disarms.

use std::time::{Duration, Instant};

use crate::control::telemetry::BatteryLevel;

/// Watches the voltage of a pack of lithium cells.
///
/// | per cell | level |
/// |---|---|
/// | 3.5 V or less | warn |
/// | 3.4 V or less | limited: throttle at most 30 % |
/// | 3.2 V or less | empty: disarmed |
///
/// A level is entered after 5 s without a reading above it, because throttle makes the voltage sag; it is left
/// after 5 s at 0.1 V above it. Empty is left for nothing less than a charged pack (above 3.6 V).
#[derive(Debug)]
pub(super) struct BatteryGuard {
    cells: u8,
    level: BatteryLevel,
    /// The best (worst) level that all readings since then agree on, below (above) the present one.
    worse: Option<(BatteryLevel, Instant)>,
    better: Option<(BatteryLevel, Instant)>,
}

impl BatteryGuard {
    /// A guard for `cells` cells in series, at least one.
    pub(super) const fn new(cells: u8) -> Self {
        let cells = if cells == 0 { 1 } else { cells };
        Self { cells, level: BatteryLevel::Unknown, worse: None, better: None }
    }

    pub(super) const fn level(&self) -> BatteryLevel {
        self.level
    }

    /// Takes a reading of the whole pack, in volts. Readings that cannot be true are ignored.
    pub(super) fn handle_reading(&mut self, volts: f32, now: Instant) {
        let cell = volts / f32::from(self.cells);
        if !(0.5..=6.0).contains(&cell) {
            return;
        }
        let falling = level_at(cell, 0.0);
        let rising = match level_at(cell, HYSTERESIS) {
            BatteryLevel::Good => BatteryLevel::Good,
            _ if self.level == BatteryLevel::Empty => BatteryLevel::Empty,
            level => level,
        };
        if self.level == BatteryLevel::Unknown {
            // The first reading is taken at its word, except that it alone never disarms.
            self.level = if falling == BatteryLevel::Empty { BatteryLevel::Limited } else { falling };
        }
        // The mildest of the readings since then is what all of them agree on.
        self.worse = (rank(falling) > rank(self.level)).then(|| match self.worse {
            Some((level, since)) if rank(level) < rank(falling) => (level, since),
            Some((_, since)) => (falling, since),
            None => (falling, now),
        });
        self.better = (rank(rising) < rank(self.level)).then(|| match self.better {
            Some((level, since)) if rank(level) > rank(rising) => (level, since),
            Some((_, since)) => (rising, since),
            None => (rising, now),
        });
        for (level, since) in [self.worse, self.better].into_iter().flatten() {
            if now.saturating_duration_since(since) >= FILTER {
                self.level = level;
                (self.worse, self.better) = (None, None);
            }
        }
    }
}

/// Level of one reading; `margin` raises every threshold.
fn level_at(cell: f32, margin: f32) -> BatteryLevel {
    // Half a millivolt for the division of a reading in whole millivolts.
    let at_most = |threshold: f32| cell <= threshold + margin + 0.0005;
    if at_most(EMPTY) {
        BatteryLevel::Empty
    } else if at_most(LIMITED) {
        BatteryLevel::Limited
    } else if at_most(WARN) {
        BatteryLevel::Warn
    } else {
        BatteryLevel::Good
    }
}

/// How bad a level is.
const fn rank(level: BatteryLevel) -> u8 {
    level as u8
}

/// Volts per cell at which the driver is warned.
const WARN: f32 = 3.5;
/// Volts per cell at which the throttle is limited.
const LIMITED: f32 = 3.4;
/// Volts per cell at which the car disarms.
const EMPTY: f32 = 3.2;
/// Volts per cell above a threshold at which its level is left.
const HYSTERESIS: f32 = 0.1;
/// Throttle at most, while limited.
pub(super) const LIMITED_THROTTLE: f32 = 0.3;
/// How long the readings must agree.
const FILTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::test::start;

    /// Runs `readings` of (volts of a 2-cell pack, for ms) at 10 Hz and checks the level afterwards.
    fn check(readings: &[(f32, u64)], want: BatteryLevel) {
        let mut guard = BatteryGuard::new(2);
        let mut now = start();
        for &(volts, ms) in readings {
            let end = now + Duration::from_millis(ms);
            while now < end {
                guard.handle_reading(volts, now);
                now += Duration::from_millis(100);
            }
        }
        assert_eq!(guard.level(), want, "after {readings:?}");
    }

    #[test]
    fn each_level_begins_at_its_threshold() {
        for (volts, want) in [
            (7.002, BatteryLevel::Good),
            (7.0, BatteryLevel::Warn),
            (6.802, BatteryLevel::Warn),
            (6.8, BatteryLevel::Limited),
            (6.402, BatteryLevel::Limited),
            (6.4, BatteryLevel::Empty),
        ] {
            check(&[(8.0, 100), (volts, 5_100)], want);
        }
    }

    #[test]
    fn a_level_is_entered_after_five_seconds_and_not_before() {
        check(&[(8.0, 100), (6.0, 5_000)], BatteryLevel::Good);
        check(&[(8.0, 100), (6.0, 5_100)], BatteryLevel::Empty);
    }

    #[test]
    fn a_sag_under_throttle_is_ridden_out() {
        check(&[(7.6, 1_000), (6.2, 4_900), (7.6, 100), (6.2, 4_900)], BatteryLevel::Good);
    }

    #[test]
    fn mixed_low_readings_give_the_mildest_level_they_agree_on() {
        check(&[(8.0, 100), (6.0, 2_000), (6.7, 100), (6.0, 3_000)], BatteryLevel::Limited);
    }

    #[test]
    fn a_level_is_left_only_with_hysteresis() {
        check(&[(6.8, 5_100), (6.98, 9_000)], BatteryLevel::Limited);
        check(&[(6.8, 5_100), (7.02, 5_100)], BatteryLevel::Warn);
    }

    #[test]
    fn an_empty_pack_stays_empty_until_it_is_charged() {
        check(&[(6.0, 10_200), (7.1, 60_000)], BatteryLevel::Empty);
        check(&[(6.0, 10_200), (7.3, 5_100)], BatteryLevel::Good);
    }

    #[test]
    fn one_first_low_reading_does_not_disarm() {
        check(&[(6.0, 100)], BatteryLevel::Limited);
    }

    #[test]
    fn impossible_readings_are_ignored() {
        check(&[(8.0, 100), (f32::NAN, 9_000), (0.0, 9_000), (-4.0, 9_000)], BatteryLevel::Good);
    }
}
