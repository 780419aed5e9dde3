//! Time made longer or shorter without changing the pitch: a period of the voice is put in or taken out.
//!
//! What was played already helps to find the period, so that little sound needs to lie ahead: sound that lies ahead is
//! delay.

use super::RATE;

/// Shortest period looked for: 400 Hz.
pub(super) const PERIOD_MIN: usize = RATE as usize / 400;
/// Longest period looked for: 67 Hz.
pub(super) const PERIOD_MAX: usize = RATE as usize / 67;
/// How long one place fades into the other: 2.5 ms.
pub(super) const FADE: usize = 120;
/// How much of what was played is looked at.
pub(super) const PAST: usize = HISTORY + PERIOD_MAX;
/// What two places are compared by, before and behind the cut: 12.5 ms, a period of the deepest voices.
const HISTORY: usize = 480;
const WINDOW: usize = HISTORY + FADE;
/// How alike both places must be (normalised correlation) where somebody speaks; what is less alike would be heard as a
/// stumble.
const ALIKE: f32 = 0.8;
/// Mean square below which there is nothing to hear: -50 dBFS.
const QUIET: f32 = 1e-5;
/// The coarse search looks at every fourth sample only, after averaging.
const COARSE: usize = 4;

/// Whether a change that cannot be made well may be made all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Wait for a place where nobody hears it.
    Gentle,
    /// The delay is far from what it should be.
    Urgent,
}

/// Takes between `least` and `most` samples out at the front of `sound`, and says how many: none where nothing fits.
///
/// `past` is what was played before it, at least [`PAST`] samples. Beyond what is taken out, [`FADE`] samples must be
/// there.
pub(super) fn shorten(past: &[f32], sound: &mut Vec<f32>, least: usize, most: usize, need: Need) -> usize {
    let Some(room) = sound.len().checked_sub(FADE) else { return 0 };
    let Some(period) = Search::new(past, sound).period(least, most.min(room), need, Direction::Ahead) else {
        return 0;
    };
    for n in 0..FADE {
        sound[period + n] = fade(sound[n], sound[period + n], n);
    }
    sound.drain(..period);
    period
}

/// Puts between `least` and `most` samples in at the front of `sound`, and says how many: none where nothing fits.
///
/// `past` is what was played before it, at least [`PAST`] samples; `sound` must have [`FADE`].
pub(super) fn lengthen(past: &[f32], sound: &mut Vec<f32>, least: usize, most: usize, need: Need) -> usize {
    if sound.len() < FADE {
        return 0;
    }
    let Some(period) = Search::new(past, sound).period(least, most, need, Direction::Back) else { return 0 };
    let old = sound.len();
    sound.resize(old + period, 0.0);
    sound.copy_within(..old, period);
    // What comes next, then a period ago again, and from there on as it was.
    let again = &past[past.len() - period..];
    for n in 0..period {
        sound[n] = if n < FADE { fade(sound[period + n], again[n], n) } else { again[n] };
    }
    period
}

fn fade(from: f32, to: f32, n: usize) -> f32 {
    from + (to - from) * (n as f32 + 0.5) / FADE as f32
}

#[derive(Clone, Copy)]
enum Direction {
    Ahead,
    Back,
}

/// The end of the past and the front of what comes, in one piece.
struct Search {
    sound: [f32; PAST + PERIOD_MAX + FADE],
    small: [f32; (PAST + PERIOD_MAX + FADE) / COARSE],
}

impl Search {
    fn new(past: &[f32], front: &[f32]) -> Self {
        let mut sound = [0.0; PAST + PERIOD_MAX + FADE];
        sound[..PAST].copy_from_slice(&past[past.len() - PAST..]);
        let ahead = front.len().min(PERIOD_MAX + FADE);
        sound[PAST..PAST + ahead].copy_from_slice(&front[..ahead]);
        let mut small = [0.0; (PAST + PERIOD_MAX + FADE) / COARSE];
        for (small, four) in small.iter_mut().zip(sound.chunks_exact(COARSE)) {
            *small = four.iter().sum::<f32>() / COARSE as f32;
        }
        Self { sound, small }
    }

    /// The distance at which the sound around the cut is most like itself.
    fn period(&self, least: usize, most: usize, need: Need, direction: Direction) -> Option<usize> {
        let (least, most) = (least.max(PERIOD_MIN), most.min(PERIOD_MAX));
        if least > most {
            return None;
        }
        let from = PAST - HISTORY;
        let small =
            best(&self.small, from / COARSE, WINDOW / COARSE, least / COARSE..=most / COARSE, direction)?;
        let coarse = small.0 * COARSE;
        let range = coarse.saturating_sub(COARSE).max(least)..=(coarse + COARSE).min(most);
        let (period, alike) = best(&self.sound, from, WINDOW, range, direction)?;
        let window = &self.sound[from..from + WINDOW];
        let power = window.iter().map(|x| x * x).sum::<f32>() / WINDOW as f32;
        (need == Need::Urgent || alike > ALIKE || power < QUIET).then_some(period)
    }
}

/// The lag at which the window is most like the sound there, and how alike: 1 is the same.
fn best(
    sound: &[f32],
    from: usize,
    length: usize,
    lags: std::ops::RangeInclusive<usize>,
    direction: Direction,
) -> Option<(usize, f32)> {
    let window = &sound[from..from + length];
    let own = window.iter().map(|x| x * x).sum::<f32>();
    lags.map(|lag| {
        let start = match direction {
            Direction::Ahead => from + lag,
            Direction::Back => from - lag,
        };
        let (mut cross, mut other) = (0.0_f32, 0.0_f32);
        for (a, b) in window.iter().zip(&sound[start..start + length]) {
            cross += a * b;
            other += b * b;
        }
        (lag, cross / (own * other).sqrt().max(1e-9))
    })
    .max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// A voiced sound: a fundamental with falling harmonics.
    fn voice(hertz: f64, samples: usize) -> Vec<f32> {
        let at = |n: usize| {
            let t = n as f64 / f64::from(RATE);
            (1..12).map(|k| (2.0 * PI * hertz * f64::from(k) * t).sin() / f64::from(k)).sum::<f64>() * 0.2
        };
        (0..samples).map(|n| at(n) as f32).collect()
    }

    fn noise(samples: usize, level: f32) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..samples).map(|_| next() * level).collect()
    }

    type Change = fn(&[f32], &mut Vec<f32>, usize, usize, Need) -> usize;

    /// Changes the sound behind its first 2000 samples; gives all of it, and how much was changed.
    fn changed(change: Change, original: &[f32], range: (usize, usize), need: Need) -> (Vec<f32>, usize) {
        let (past, front) = original.split_at(2000);
        let mut front = front.to_vec();
        let n = change(past, &mut front, range.0, range.1, need);
        assert_eq!(front.len().abs_diff(original.len() - 2000), n);
        ([past, &front].concat(), n)
    }

    /// The largest step between two neighbours.
    fn step(sound: &[f32]) -> f32 {
        sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn whole_periods_of_a_voice_are_taken_out_or_put_in_without_a_click() {
        for hertz in [80.0, 110.0, 150.0, 220.0, 390.0] {
            let original = voice(hertz, 5000);
            for change in [shorten, lengthen] {
                let (sound, n) = changed(change, &original, (0, PERIOD_MAX), Need::Gentle);
                let periods = n as f64 * hertz / f64::from(RATE);
                assert!(n > 0 && (periods - periods.round()).abs() < 0.02, "{hertz} Hz: {n} samples");
                assert!(step(&sound) < step(&original) * 1.05, "{hertz} Hz: {}", step(&sound));
                assert_eq!(sound[sound.len() - 500..], original[original.len() - 500..], "the rest stays");
            }
        }
    }

    #[test]
    fn a_hiss_is_left_alone_unless_it_is_urgent_and_silence_never_is() {
        for change in [shorten, lengthen] {
            let all = (0, PERIOD_MAX);
            assert_eq!(changed(change, &noise(5000, 0.3), all, Need::Gentle).1, 0);
            assert!(changed(change, &noise(5000, 0.3), all, Need::Urgent).1 > 0);
            assert!(changed(change, &noise(5000, 0.001), all, Need::Gentle).1 > 0);
            assert!(changed(change, &[0.0; 5000], all, Need::Gentle).1 > 0);
        }
    }

    #[test]
    fn a_change_stays_within_its_bounds_and_needs_little_ahead() {
        let original = voice(100.0, 2000 + 480 + FADE);
        for change in [shorten, lengthen] {
            let n = changed(change, &original, (300, 350), Need::Urgent).1;
            assert!((300..=350).contains(&n), "{n}");
            assert_eq!(changed(change, &original, (0, PERIOD_MIN - 1), Need::Urgent).1, 0);
            assert_eq!(changed(change, &original[..2000 + FADE - 1], (0, PERIOD_MAX), Need::Urgent).1, 0);
        }
        assert!(changed(lengthen, &original[..2000 + FADE], (480, PERIOD_MAX), Need::Urgent).1 >= 480);
        assert_eq!(changed(shorten, &original, (0, PERIOD_MAX), Need::Gentle).1, 480);
    }
}
