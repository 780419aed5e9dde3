//! Sequence numbers that do not wrap.

/// A packet this far ahead is taken as the next one after a loss (RFC 3550 appendix A.1, MAX_DROPOUT).
const DROPOUT_MAX: i32 = 3000;
/// A packet this far behind is taken as late (RFC 3550 appendix A.1 has 100; a repair may come later than that).
const MISORDER_MAX: i32 = 1000;

/// Extends 16-bit sequence numbers to 64 bits, and notices a sender that starts over.
///
/// | number relative to the highest | verdict |
/// |---|---|
/// | up to 3000 ahead, up to 1000 behind | `Known` |
/// | elsewhere, once | `Strange`: drop the packet |
/// | elsewhere, the one after a strange one | `Restarted`: the stream begins anew here |
#[derive(Debug, Default)]
pub(super) struct Sequence {
    highest: Option<u64>,
    expected_if_restarted: Option<u16>,
}

/// Where a packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Known(u64),
    Restarted(u64),
    Strange,
}

impl Sequence {
    pub(super) fn locate(&mut self, number: u16) -> Position {
        let Some(highest) = self.highest else {
            return Position::Known(self.start(number));
        };
        let delta = i32::from(number.wrapping_sub(highest as u16) as i16);
        if (-MISORDER_MAX..=DROPOUT_MAX).contains(&delta) {
            let extended = highest.wrapping_add_signed(i64::from(delta));
            self.highest = Some(highest.max(extended));
            self.expected_if_restarted = None;
            Position::Known(extended)
        } else if self.expected_if_restarted == Some(number) {
            Position::Restarted(self.start(number))
        } else {
            self.expected_if_restarted = Some(number.wrapping_add(1));
            Position::Strange
        }
    }

    fn start(&mut self, number: u16) -> u64 {
        // One round above zero, so that numbers before the first one seen do not underflow.
        let extended = (1 << 16) + u64::from(number);
        self.highest = Some(extended);
        self.expected_if_restarted = None;
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_over_the_wrap_in_both_directions() {
        let mut sequence = Sequence::default();
        let first = known(sequence.locate(65_534));
        assert_eq!(known(sequence.locate(1)), first + 3);
        assert_eq!(known(sequence.locate(65_535)), first + 1);
        assert_eq!(known(sequence.locate(2)), first + 4);
    }

    #[test]
    fn one_number_far_away_is_dropped_and_two_in_a_row_restart() {
        let mut sequence = Sequence::default();
        sequence.locate(100);
        assert_eq!(sequence.locate(20_000), Position::Strange);
        assert_eq!(sequence.locate(101), Position::Known((1 << 16) + 101));
        assert_eq!(sequence.locate(20_000), Position::Strange);
        assert_eq!(sequence.locate(20_001), Position::Restarted((1 << 16) + 20_001));
        assert_eq!(sequence.locate(20_002), Position::Known((1 << 16) + 20_002));
    }

    #[test]
    fn limits_are_inclusive() {
        let mut sequence = Sequence::default();
        sequence.locate(5000);
        assert_eq!(known(sequence.locate(8000)), (1 << 16) + 8000);
        assert_eq!(known(sequence.locate(7000)), (1 << 16) + 7000);
        assert_eq!(sequence.locate(11_001), Position::Strange);
        assert_eq!(sequence.locate(6999), Position::Strange);
    }

    fn known(position: Position) -> u64 {
        match position {
            Position::Known(extended) => extended,
            Position::Restarted(_) | Position::Strange => panic!("{position:?}"),
        }
    }
}
