//! Spreads the packets of a frame over half its interval.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::video::Bitrate;

/// Least pace: a packet of 1200 bytes each 19 ms.
const PACE_MIN: Bitrate = Bitrate::from_kbps(500);
/// Timers fire late by up to this; what was missed is made up for.
const LATE_MAX: Duration = Duration::from_millis(2);
/// Repairs held at most. Full: the oldest is dropped, which its receiver will ask for again or give up.
const REPAIRS_MAX: usize = 256;
/// Bytes of frames held at most: 8 s at the least pace, a frame of more than any gate lets through.
/// Full: the frame is refused whole, and the encoder owes a recovery frame.
const FRAMES_BYTES_MAX: usize = 512 * 1024;

/// Holds packets of video until it is their time. Nothing else goes through it: control, telemetry and audio are
/// never paced.
#[derive(Debug)]
pub struct Pacer<P> {
    pace: Bitrate,
    repairs: VecDeque<(P, usize)>,
    frames: VecDeque<(P, usize)>,
    queued_bytes: usize,
    /// The next packet leaves then, if there is one.
    free_at: Option<Instant>,
}

/// The pacer holds too much: the frame was refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pacer holds {held} bytes, {more} more are too many")]
pub struct Full {
    /// Bytes held.
    pub held: usize,
    /// Bytes of the frame.
    pub more: usize,
}

impl<P> Pacer<P> {
    /// An empty pacer; see [`set_pace`](Self::set_pace).
    pub fn new(pace: Bitrate) -> Self {
        let mut pacer = Self {
            pace: PACE_MIN,
            repairs: VecDeque::new(),
            frames: VecDeque::new(),
            queued_bytes: 0,
            free_at: None,
        };
        pacer.set_pace(pace);
        pacer
    }

    /// Changes how fast packets leave; at least 500 kbit/s.
    pub fn set_pace(&mut self, pace: Bitrate) {
        self.pace = pace.max(PACE_MIN);
    }

    /// Takes all packets of a frame, each with its size in bytes.
    ///
    /// # Errors
    /// If that is more than is held at most; then none is taken.
    pub fn push_frame(&mut self, packets: impl IntoIterator<Item = (P, usize)>) -> Result<(), Full> {
        let packets: Vec<_> = packets.into_iter().collect();
        let more = packets.iter().map(|(_, bytes)| bytes).sum::<usize>();
        if self.queued_bytes + more > FRAMES_BYTES_MAX {
            return Err(Full { held: self.queued_bytes, more });
        }
        self.queued_bytes += more;
        self.frames.extend(packets);
        Ok(())
    }

    /// Takes a packet that goes before all frames: it completes an older one.
    pub fn push_repair(&mut self, packet: P, bytes: usize) {
        if self.repairs.len() == REPAIRS_MAX
            && let Some((_, dropped)) = self.repairs.pop_front()
        {
            self.queued_bytes -= dropped;
        }
        self.queued_bytes += bytes;
        self.repairs.push_back((packet, bytes));
    }

    /// Drops the packets that are of no use any more.
    pub fn retain(&mut self, mut is_useful: impl FnMut(&P) -> bool) {
        for queue in [&mut self.repairs, &mut self.frames] {
            queue.retain(|(packet, _)| is_useful(packet));
        }
        self.queued_bytes = self.repairs.iter().chain(&self.frames).map(|(_, bytes)| bytes).sum();
    }

    /// Takes the packet that is due at `now`.
    pub fn poll_packet(&mut self, now: Instant) -> Option<P> {
        if self.free_at.is_some_and(|at| at > now) {
            return None;
        }
        let (packet, bytes) = self.repairs.pop_front().or_else(|| self.frames.pop_front())?;
        self.queued_bytes -= bytes;
        let from = self.free_at.map_or(now, |at| at.max(now.checked_sub(LATE_MAX).unwrap_or(now)));
        self.free_at = Some(from + Duration::from_secs_f64(bytes as f64 * 8.0 / f64::from(self.pace.0)));
        Some(packet)
    }

    /// When [`poll_packet`](Self::poll_packet) has one; in the past if it has one already.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        (!self.is_empty()).then(|| self.free_at.unwrap_or(now))
    }

    /// Bytes held.
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.repairs.is_empty() && self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    /// What leaves when, in ms, if the pacer is asked exactly when it says.
    fn drained(pacer: &mut Pacer<u32>) -> Vec<(u32, u128)> {
        let mut now = start();
        let mut left = Vec::new();
        while let Some(at) = pacer.poll_timeout(now) {
            now = now.max(at);
            left.extend(pacer.poll_packet(now).map(|packet| (packet, (now - start()).as_millis())));
        }
        left
    }

    #[test]
    fn a_nominal_frame_leaves_within_half_its_interval() {
        let mut pacer = Pacer::new(Bitrate::from_kbps(4800));
        pacer.push_frame((0..10).map(|n| (n, 1000))).unwrap();
        let left = drained(&mut pacer);
        assert_eq!(left.len(), 10);
        assert!((14..=16).contains(&left[9].1), "{left:?}");
        assert_eq!(pacer.queued_bytes(), 0);
    }

    #[test]
    fn repairs_overtake_frames_and_keep_their_order() {
        let mut pacer = Pacer::new(Bitrate::from_kbps(4000));
        pacer.push_frame([(1, 1000), (2, 1000)]).unwrap();
        pacer.push_repair(3, 1000);
        pacer.push_repair(4, 1000);
        assert_eq!(drained(&mut pacer).iter().map(|(packet, _)| *packet).collect::<Vec<_>>(), [3, 4, 1, 2]);
    }

    #[test]
    fn the_pace_has_a_least() {
        let mut pacer = Pacer::new(Bitrate(0));
        pacer.push_frame([(1, 1250), (2, 1250)]).unwrap();
        assert_eq!(drained(&mut pacer), [(1, 0), (2, 20)]);
    }

    #[test]
    fn a_late_timer_is_made_up_for_and_a_long_pause_is_not() {
        let mut pacer = Pacer::new(Bitrate::from_kbps(4000));
        pacer.push_frame((0..40).map(|n| (n, 500))).unwrap();
        let at =
            |pacer: &mut Pacer<u32>, ms| std::iter::from_fn(|| pacer.poll_packet(start() + MS * ms)).count();
        assert_eq!((at(&mut pacer, 0), at(&mut pacer, 2), at(&mut pacer, 1000)), (1, 2, 3));
    }

    #[test]
    fn too_large_a_frame_is_refused_whole() {
        let mut pacer = Pacer::new(Bitrate(0));
        pacer.push_frame([(1, FRAMES_BYTES_MAX - 10)]).unwrap();
        let full = pacer.push_frame([(2, 5), (3, 6)]).unwrap_err();
        assert_eq!(
            (full.held, full.more, pacer.queued_bytes()),
            (FRAMES_BYTES_MAX - 10, 11, FRAMES_BYTES_MAX - 10)
        );
        pacer.push_frame([(2, 10)]).unwrap();
    }

    #[test]
    fn too_many_repairs_push_out_the_oldest() {
        let mut pacer = Pacer::new(Bitrate(0));
        (0..300).for_each(|n| pacer.push_repair(n, 100));
        assert_eq!((pacer.queued_bytes(), pacer.poll_packet(start())), (100 * REPAIRS_MAX, Some(44)));
    }

    #[test]
    fn what_is_of_no_use_leaves_the_queue() {
        let mut pacer = Pacer::new(Bitrate(0));
        pacer.push_frame((0..10).map(|n| (n, 100))).unwrap();
        pacer.push_repair(11, 100);
        pacer.retain(|packet| *packet >= 8);
        assert_eq!(pacer.queued_bytes(), 300);
        assert_eq!(drained(&mut pacer).iter().map(|(packet, _)| *packet).collect::<Vec<_>>(), [11, 8, 9]);
    }
}
