//! Packets that were sent, for repairs.

use std::time::{Duration, Instant};

use farwheel_proto::rtp::UsefulFrom;
use rtc::rtp;

/// Packets kept: two seconds at 5 Mbit/s.
const KEPT_MAX: usize = 1024;
/// One packet is repaired this often at most: a browser asks more often than that is of use.
const REPAIRS_MAX: u8 = 3;
/// Packets among which a small one is looked for: a few pictures.
const PROBE_PACKETS: u16 = 64;
/// A repair is under way for one round trip; the requests for it may come a little closer together.
const SPACING: f64 = 0.9;

/// The newest packets of one stream. Full: a newer one takes the place of the oldest.
#[derive(Debug)]
pub(super) struct Kept {
    packets: Vec<Option<Packet>>,
    newest: Option<u16>,
    useful: UsefulFrom,
}

#[derive(Debug)]
struct Packet {
    packet: rtp::Packet,
    repairs: u8,
    repaired_at: Option<Instant>,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            packets: std::iter::repeat_with(|| None).take(KEPT_MAX).collect(),
            newest: None,
            useful: UsefulFrom::default(),
        }
    }

    /// Keeps a packet that leaves for the first time.
    pub(super) fn put(&mut self, packet: &rtp::Packet) {
        let sequence = packet.header.sequence_number;
        self.newest = Some(sequence);
        self.useful.handle_sent(sequence);
        self.packets[slot(sequence)] = Some(Packet { packet: packet.clone(), repairs: 0, repaired_at: None });
    }

    /// A picture begins with this packet that needs none before it.
    pub(super) fn handle_fresh_start(&mut self, sequence: u16) {
        self.useful.begin(sequence);
    }

    /// The packet to send again for a request, unless that is of no use, or done already.
    pub(super) fn repair(
        &mut self,
        sequence: u16,
        round_trip: Duration,
        now: Instant,
    ) -> Option<rtp::Packet> {
        if !self.useful.covers(sequence) {
            return None;
        }
        let kept = self.packets[slot(sequence)]
            .as_mut()
            .filter(|kept| kept.packet.header.sequence_number == sequence)?;
        let is_under_way = kept.repaired_at.is_some_and(|at| now < at + round_trip.mul_f64(SPACING));
        if is_under_way || kept.repairs == REPAIRS_MAX {
            return None;
        }
        kept.repairs += 1;
        kept.repaired_at = Some(now);
        Some(kept.packet.clone())
    }

    /// Sequence number and timestamp of the newest packet.
    pub(super) fn newest(&self) -> Option<(u16, u32)> {
        let header = &self.get(self.newest?)?.packet.header;
        Some((header.sequence_number, header.timestamp))
    }

    /// The smallest of the newest packets.
    pub(super) fn smallest_of_newest(&self) -> Option<rtp::Packet> {
        let newest = self.newest?;
        let recent = (0..PROBE_PACKETS).filter_map(|back| self.get(newest.wrapping_sub(back)));
        recent.min_by_key(|kept| kept.packet.payload.len()).map(|kept| kept.packet.clone())
    }

    fn get(&self, sequence: u16) -> Option<&Packet> {
        self.packets[slot(sequence)].as_ref().filter(|kept| kept.packet.header.sequence_number == sequence)
    }
}

fn slot(sequence: u16) -> usize {
    usize::from(sequence) % KEPT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn packet(sequence: u16, timestamp: u32, bytes: usize) -> rtp::Packet {
        let header =
            rtp::Header { version: 2, sequence_number: sequence, timestamp, ssrc: 7, ..Default::default() };
        rtp::Packet { header, payload: vec![0; bytes].into() }
    }

    #[test]
    fn a_packet_is_repaired_once_a_round_trip_and_three_times() {
        let (mut kept, start) = (Kept::new(), Instant::now());
        kept.put(&packet(9, 1, 100));
        let mut ask = |ms| kept.repair(9, RTT, start + Duration::from_millis(ms)).is_some();
        assert_eq!(
            [ask(0), ask(10), ask(44), ask(45), ask(100), ask(200)],
            [true, false, false, true, true, false]
        );
    }

    #[test]
    fn what_is_not_kept_any_more_or_never_was_is_not_repaired() {
        let (mut kept, start) = (Kept::new(), Instant::now());
        for sequence in (65_000..=u16::MAX).chain(0..700) {
            kept.put(&packet(sequence, 1, 10));
        }
        let mut asked = |sequence| kept.repair(sequence, RTT, start).map(|p| p.header.sequence_number);
        assert_eq!(
            [asked(65_000), asked(700), asked(699), asked(65_535)],
            [None, None, Some(699), Some(65_535)]
        );
    }

    #[test]
    fn nothing_before_a_fresh_start_is_repaired() {
        let (mut kept, start) = (Kept::new(), Instant::now());
        for sequence in [65_534, 65_535, 0, 1] {
            kept.put(&packet(sequence, 1, 10));
        }
        kept.handle_fresh_start(0);
        let mut is_repaired = |sequence| kept.repair(sequence, RTT, start).is_some();
        assert_eq!([is_repaired(65_535), is_repaired(0), is_repaired(1)], [false, true, true]);
    }

    #[test]
    fn packets_are_repaired_however_long_no_picture_begins_anew() {
        let (mut kept, start) = (Kept::new(), Instant::now());
        kept.handle_fresh_start(5);
        for sent in 0..70_000_u32 {
            let sequence = (5 + sent) as u16;
            kept.put(&packet(sequence, sent, 10));
            assert!(kept.repair(sequence, RTT, start).is_some(), "{sent} packets later");
        }
    }

    #[test]
    fn the_smallest_of_the_newest_packets_is_found() {
        let mut kept = Kept::new();
        assert_eq!(kept.smallest_of_newest(), None);
        let number = |kept: &Kept| kept.smallest_of_newest().map(|packet| packet.header.sequence_number);
        for (sequence, bytes, want) in
            [(65_534, 50, 65_534), (65_535, 1000, 65_534), (0, 40, 0), (1, 40, 1), (2, 700, 1)]
        {
            kept.put(&packet(sequence, 10, bytes));
            assert_eq!(number(&kept), Some(want));
        }
        (3..=1 + PROBE_PACKETS).for_each(|sequence| kept.put(&packet(sequence, 20, 900)));
        assert_eq!(number(&kept), Some(2), "the smaller one lies too far back");
    }
}
