//! Copies of commands: each of a driver's two connections brings every command.

/// Tells the first copy of a command from later ones, for the newest 64 of a lease.
///
/// This is no judgement of what counts: the failsafe's rule of sequences is. It spares the control thread a turn for
/// each command that it has seen already.
#[derive(Debug, Default)]
pub(super) struct Copies {
    lease: u32,
    newest: u32,
    /// Bit `n`: the command `n` before the newest one has come.
    came: u64,
}

/// Which copy of a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// The first one, as far as is known.
    First,
    /// Another one.
    Again,
}

impl Copies {
    /// A command came.
    pub(super) fn handle(&mut self, lease: u32, sequence: u32) -> Copy {
        if self.came == 0 || lease != self.lease {
            *self = Self { lease, newest: sequence, came: 1 };
            return Copy::First;
        }
        let ahead = sequence.wrapping_sub(self.newest);
        if ahead as i32 > 0 {
            self.came = self.came.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = sequence;
            return Copy::First;
        }
        // Nothing is remembered of older ones: the failsafe refuses them anyway.
        let Some(bit) = 1u64.checked_shl(ahead.wrapping_neg()) else { return Copy::First };
        let copy = if self.came & bit == 0 { Copy::First } else { Copy::Again };
        self.came |= bit;
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(commands: &[(u32, u32)]) -> Vec<bool> {
        let mut copies = Copies::default();
        commands.iter().map(|(lease, sequence)| copies.handle(*lease, *sequence) == Copy::First).collect()
    }

    #[test]
    fn each_command_is_new_once_in_any_order() {
        assert_eq!(first(&[(1, 1), (1, 1), (1, 2), (1, 1), (1, 2)]), [true, false, true, false, false]);
        assert_eq!(first(&[(1, 5), (1, 3), (1, 4), (1, 3), (1, 5)]), [true, true, true, false, false]);
        assert_eq!(first(&[(1, u32::MAX), (1, 0), (1, u32::MAX), (1, 0)]), [true, true, false, false]);
    }

    #[test]
    fn another_lease_begins_anew() {
        assert_eq!(first(&[(1, 5), (2, 5), (2, 5), (2, 1)]), [true, true, false, true]);
    }

    #[test]
    fn what_is_older_than_64_commands_is_left_to_the_failsafe() {
        assert_eq!(first(&[(1, 1), (1, 64), (1, 1)]), [true, true, false]);
        assert_eq!(first(&[(1, 1), (1, 65), (1, 1), (1, 1)]), [true, true, true, true]);
        assert_eq!(first(&[(1, 1), (1, 1 << 30), (1, 1 << 30)]), [true, true, false]);
    }
}
