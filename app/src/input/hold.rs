//! "Hold to arm": a button must be held for a second, and let go before it counts again.

use std::time::{Duration, Instant};

/// How long the arm button is held.
pub const ARM_HOLD: Duration = Duration::from_secs(1);

/// State of one hold-to-do button.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Hold {
    /// Not pushed.
    #[default]
    Idle,
    /// Pushed since then.
    Since(Instant),
    /// Done; waits to be let go.
    Spent,
}

impl Hold {
    /// Takes whether the button is down at `now`; true once, when it has been held for [`ARM_HOLD`].
    pub fn handle(&mut self, is_down: bool, now: Instant) -> bool {
        match (*self, is_down) {
            (_, false) => *self = Self::Idle,
            (Self::Idle, true) => *self = Self::Since(now),
            (Self::Since(at), true) if now.saturating_duration_since(at) >= ARM_HOLD => {
                *self = Self::Spent;
                return true;
            }
            (Self::Since(_) | Self::Spent, true) => {}
        }
        false
    }

    /// How far the hold has come, 0 to 1; 0 once spent.
    pub fn progress(&self, now: Instant) -> f32 {
        match self {
            Self::Idle | Self::Spent => 0.0,
            Self::Since(at) => {
                (now.saturating_duration_since(*at).as_secs_f32() / ARM_HOLD.as_secs_f32()).min(1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_second_counts_once_and_only_after_letting_go_again() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut hold = Hold::default();
        let fired: Vec<u64> = (0..4000)
            .step_by(10)
            .filter(|ms| {
                let is_down = !(500..510).contains(ms) && !(2500..2510).contains(ms);
                hold.handle(is_down, at(*ms))
            })
            .collect();
        assert_eq!(fired, [1510, 3510]);
    }

    #[test]
    fn progress_grows_and_is_nothing_when_spent() {
        let start = Instant::now();
        let mut hold = Hold::default();
        hold.handle(true, start);
        assert!((hold.progress(start + Duration::from_millis(250)) - 0.25).abs() < 1e-3);
        assert!(hold.handle(true, start + ARM_HOLD));
        assert_eq!(hold.progress(start + ARM_HOLD), 0.0);
    }
}
