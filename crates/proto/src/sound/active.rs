//! Who of several speaks: the one to be shown large.

use std::time::{Duration, Instant};

/// So long another one must speak louder before the view changes: agreement ("mm-hm") is shorter.
const INSIST: Duration = Duration::from_millis(800);
/// So long another one must speak when the one shown is silent.
const TAKE: Duration = Duration::from_millis(300);
/// How much louder another one must be to take over from one who speaks: 3 dB.
const LOUDER: f32 = 1.41;

/// Follows who speaks, without jumping at every cough.
///
/// | shown | somebody else | then |
/// |---|---|---|
/// | nobody yet | speaks | shown at once |
/// | silent | speaks for 300 ms | shown |
/// | speaks | speaks 3 dB louder for 800 ms | shown |
/// | left | | the one who speaks, or nobody |
#[derive(Debug)]
pub struct Active<Id> {
    shown: Option<Id>,
    rival: Option<(Id, Instant)>,
}

impl<Id> Default for Active<Id> {
    fn default() -> Self {
        Self { shown: None, rival: None }
    }
}

impl<Id: Copy + Eq> Active<Id> {
    /// Takes everybody's level, and whether they speak; gives who is to be shown.
    pub fn handle_levels(
        &mut self,
        all: impl IntoIterator<Item = (Id, f32, bool)>,
        now: Instant,
    ) -> Option<Id> {
        let (mut own, mut loudest) = (None, None::<(Id, f32)>);
        for (id, level, speaks) in all {
            if Some(id) == self.shown {
                own = Some((level, speaks));
            } else if speaks && loudest.is_none_or(|(_, most)| level > most) {
                loudest = Some((id, level));
            }
        }
        if own.is_none() {
            self.shown = None;
        }
        let Some((id, level)) = loudest else {
            self.rival = None;
            return self.shown;
        };
        let patience = match own {
            None => Duration::ZERO,
            Some((_, false)) => TAKE,
            Some((own, true)) if level > own * LOUDER => INSIST,
            Some((_, true)) => {
                self.rival = None;
                return self.shown;
            }
        };
        let since = match self.rival {
            Some((rival, since)) if rival == id => since,
            Some(_) | None => now,
        };
        self.rival = Some((id, since));
        if now.saturating_duration_since(since) >= patience {
            self.shown = Some(id);
            self.rival = None;
        }
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Levels of a, b, c for so many tenths of a second; zero is silence.
    fn run(active: &mut Active<char>, at: &mut Instant, levels: [f32; 3], tenths: u32) -> Option<char> {
        let mut shown = None;
        for _ in 0..tenths {
            *at += Duration::from_millis(100);
            let all = ['a', 'b', 'c'].into_iter().zip(levels).map(|(id, level)| (id, level, level > 0.0));
            shown = active.handle_levels(all, *at);
        }
        shown
    }

    #[test]
    fn the_view_follows_who_speaks_and_stays_in_pauses() {
        let (mut active, mut at) = (Active::default(), start());
        assert_eq!(run(&mut active, &mut at, [0.0; 3], 5), None);
        assert_eq!(run(&mut active, &mut at, [0.1, 0.0, 0.0], 1), Some('a'));
        assert_eq!(run(&mut active, &mut at, [0.0; 3], 100), Some('a'));
        assert_eq!(run(&mut active, &mut at, [0.0, 0.1, 0.0], 3), Some('a'));
        assert_eq!(run(&mut active, &mut at, [0.0, 0.1, 0.0], 1), Some('b'));
    }

    #[test]
    fn who_speaks_keeps_the_view_against_short_or_equal_voices() {
        let (mut active, mut at) = (Active::default(), start());
        run(&mut active, &mut at, [0.1, 0.0, 0.0], 5);
        assert_eq!(run(&mut active, &mut at, [0.1, 0.12, 0.0], 100), Some('a'));
        for _ in 0..10 {
            assert_eq!(run(&mut active, &mut at, [0.1, 0.3, 0.0], 7), Some('a'));
            assert_eq!(run(&mut active, &mut at, [0.1, 0.0, 0.0], 5), Some('a'));
        }
        assert_eq!(run(&mut active, &mut at, [0.1, 0.3, 0.0], 9), Some('b'));
    }

    #[test]
    fn two_who_interrupt_each_other_do_not_add_up() {
        let (mut active, mut at) = (Active::default(), start());
        run(&mut active, &mut at, [0.1, 0.0, 0.0], 5);
        for _ in 0..10 {
            assert_eq!(run(&mut active, &mut at, [0.0, 0.1, 0.0], 2), Some('a'));
            assert_eq!(run(&mut active, &mut at, [0.0, 0.0, 0.1], 2), Some('a'));
        }
    }

    #[test]
    fn who_left_is_not_shown() {
        let (mut active, at) = (Active::default(), start());
        assert_eq!(active.handle_levels([('a', 0.1, true)], at), Some('a'));
        assert_eq!(active.handle_levels([('b', 0.0, false)], at), None);
        assert_eq!(active.handle_levels([('b', 0.1, true)], at), Some('b'));
    }
}
