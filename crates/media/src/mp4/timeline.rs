//! Sound that arrives in blocks with a time, made into one unbroken track.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples of one packet of the track: 20 ms at 48 kHz.
pub(super) const PACKET: usize = 960;
/// Samples a second.
pub(super) const RATE: u64 = 48_000;
/// A block that is this near to the end of what is there follows it without a seam: clocks jitter, samples do not.
const NEAR: u64 = RATE * 30 / 1000;
/// Most samples ahead of what was taken; more is left out. Two seconds: nobody is so far ahead of the picture.
const AHEAD_MAX: u64 = 2 * RATE;

/// The track from where it was taken.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Number of the first sample in `samples`.
    first: u64,
    // At most AHEAD_MAX samples.
    samples: VecDeque<f32>,
}

impl Timeline {
    /// A block that begins `at` from the beginning of the track. What is before the part that was taken is left out, what
    /// overlaps is left out of the block, and a gap is silence.
    pub(super) fn put(&mut self, at: Duration, block: &[f32]) {
        let at = (at.as_micros() * u128::from(RATE) / 1_000_000) as u64;
        let end = self.first + self.samples.len() as u64;
        if at > end + AHEAD_MAX || self.samples.len() as u64 + block.len() as u64 > AHEAD_MAX {
            return;
        }
        let is_near = !self.samples.is_empty() && at.abs_diff(end) <= NEAR;
        let at = if is_near { end } else { at };
        let overlap = end.saturating_sub(at).min(block.len() as u64) as usize;
        let gap = at.saturating_sub(end).min(AHEAD_MAX) as usize;
        self.samples.extend(std::iter::repeat_n(0.0, gap));
        self.samples.extend(&block[overlap..]);
    }

    /// The next packet's samples and the number of their first, as far as the track goes up to `until`; what is missing
    /// by then is silence.
    pub(super) fn take(&mut self, until: Duration) -> Option<(u64, [f32; PACKET])> {
        let until = (until.as_micros() * u128::from(RATE) / 1_000_000) as u64;
        if self.first + PACKET as u64 > until {
            return None;
        }
        let mut packet = [0.0; PACKET];
        let there = self.samples.len().min(PACKET);
        for (sample, value) in packet.iter_mut().zip(self.samples.drain(..there)) {
            *sample = value;
        }
        let at = self.first;
        self.first += PACKET as u64;
        Some((at, packet))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn all(timeline: &mut Timeline, until: Duration) -> Vec<f32> {
        let (start, mut samples) = (timeline.first, Vec::new());
        while let Some((at, packet)) = timeline.take(until) {
            assert_eq!(at, start + samples.len() as u64);
            samples.extend(packet);
        }
        samples
    }

    #[test]
    fn blocks_whose_times_jitter_follow_one_another_without_a_seam() {
        let mut timeline = Timeline::default();
        for number in 0..100u64 {
            let at = ms(number * 10 + 100 + [0, 7, 3, 12][number as usize % 4]);
            timeline.put(at, &[1.0; 480]);
        }
        let samples = all(&mut timeline, ms(1200));
        assert_eq!(samples.len(), 57_600);
        let first = samples.iter().position(|sample| *sample > 0.0).expect("sound");
        assert_eq!(first, 4800, "sound begins at its time");
        assert!(samples[first..first + 48_000].iter().all(|sample| *sample == 1.0), "no seam");
        assert!(samples[first + 48_000..].iter().all(|sample| *sample == 0.0), "silence after it");
    }

    #[test]
    fn a_gap_is_silence_and_what_comes_after_stands_at_its_time() {
        let mut timeline = Timeline::default();
        timeline.put(ms(0), &[1.0; 480]);
        timeline.put(ms(200), &[2.0; 480]);
        let samples = all(&mut timeline, ms(300));
        assert_eq!(samples.iter().position(|sample| *sample == 2.0), Some(9600));
        // Taken up to 300 ms: of this block 5 ms are past.
        timeline.put(ms(295), &[3.0; 480]);
        let late = all(&mut timeline, ms(400));
        assert_eq!((late.len(), late.iter().filter(|sample| **sample == 3.0).count()), (4800, 240));
    }

    proptest! {
        #[test]
        fn the_track_is_as_long_as_the_time_whatever_comes(
            blocks in prop::collection::vec((0u64..6000, 0usize..2000), 0..60), until in 0u64..8000
        ) {
            let mut timeline = Timeline::default();
            let mut count = 0;
            for (at, length) in blocks {
                timeline.put(ms(at), &vec![0.5; length]);
                prop_assert!(timeline.samples.len() as u64 <= 2 * AHEAD_MAX);
                while let Some((first, _)) = timeline.take(ms(at / 2)) {
                    prop_assert_eq!(first, count);
                    count += PACKET as u64;
                }
            }
            while timeline.take(ms(until)).is_some() {
                count += PACKET as u64;
            }
            prop_assert!(count + PACKET as u64 > until * 48);
        }
    }
}
