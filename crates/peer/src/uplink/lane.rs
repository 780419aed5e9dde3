//! What is kept of each stream that is sent.

use std::collections::VecDeque;

use farwheel_proto::rate::{Orders, Reported, Track};
use rtc::rtp;

use super::kept::Kept;

/// Numbers of sound whose fate is awaited: five seconds of packets of 20 ms. Full: the oldest is forgotten, as if its report
/// were lost.
const AWAITED_MAX: usize = 256;
/// Packets over which the loss of sound is smoothed: a second.
const LOSS_PACKETS: f64 = 50.0;

/// What was negotiated for a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Negotiated {
    /// SSRC and payload type of the repairs; without them a repair is the same packet again.
    pub(super) repairs: Option<(u32, u8)>,
    /// Id of the header extension that carries the transport-wide number.
    pub(super) number_id: Option<u8>,
}

/// Where the receiver can go on after pictures that it has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// With a key frame, as every receiver.
    Keys,
    /// With a recovery, too.
    Recoveries,
}

/// A stream of pictures.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) track: Track,
    pub(super) ssrc: u32,
    pub(super) negotiated: Option<Negotiated>,
    pub(super) orders: Orders,
    pub(super) entries: Entries,
    pub(super) kept: Kept,
    repair_sequence: u16,
}

impl Lane {
    pub(super) fn new(track: Track, ssrc: u32) -> Self {
        Self {
            track,
            ssrc,
            negotiated: None,
            orders: Orders::default(),
            entries: Entries::Keys,
            kept: Kept::new(),
            repair_sequence: rand::random(),
        }
    }

    pub(super) fn repairs(&self) -> Option<(u32, u8)> {
        self.negotiated.and_then(|negotiated| negotiated.repairs)
    }

    pub(super) fn repair_header(&mut self, (ssrc, payload_type): (u32, u8), timestamp: u32) -> rtp::Header {
        self.repair_sequence = self.repair_sequence.wrapping_add(1);
        let sequence_number = self.repair_sequence;
        rtp::Header { version: 2, ssrc, payload_type, sequence_number, timestamp, ..Default::default() }
    }
}

/// The stream of sound: nothing of it is kept, since a repair would come after its time.
#[derive(Debug)]
pub(super) struct SoundLane {
    pub(super) ssrc: u32,
    pub(super) negotiated: Option<Negotiated>,
    awaited: VecDeque<u16>,
    loss: f64,
}

impl SoundLane {
    pub(super) const fn new(ssrc: u32) -> Self {
        Self { ssrc, negotiated: None, awaited: VecDeque::new(), loss: 0.0 }
    }

    pub(super) fn handle_sent(&mut self, number: u16) {
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(number);
    }

    /// A number that is reported missing may still come; it was lost for the one who had to play it.
    pub(super) fn handle_report(&mut self, report: &[Reported]) {
        for Reported { number, arrival } in report {
            // In the order of sending, which wraps around: a report may name many numbers, so each is sought by halves.
            let Some(&first) = self.awaited.front() else { return };
            let since_first = |number: &u16| number.wrapping_sub(first);
            if let Ok(at) = self.awaited.binary_search_by_key(&since_first(number), since_first) {
                self.awaited.remove(at);
                let lost = if arrival.is_none() { 1.0 } else { 0.0 };
                self.loss += (lost - self.loss) / LOSS_PACKETS;
            }
        }
    }

    /// Packets lost of a thousand, smoothed.
    pub(super) const fn loss_permille(&self) -> u16 {
        (self.loss * 1000.0) as u16
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::rate::ReceiverTime;

    use super::*;

    #[test]
    fn the_loss_of_sound_is_that_of_its_own_packets() {
        let mut lane = SoundLane::new(1);
        let arrival = |has_come: bool| has_come.then(|| ReceiverTime::from_us(0));
        for n in 0..1000_u16 {
            // Every second number is of something else, and all of those are lost.
            lane.handle_sent(n * 2);
            lane.handle_report(&[
                Reported { number: n * 2, arrival: arrival(n % 10 != 0) },
                Reported { number: n * 2 + 1, arrival: None },
            ]);
        }
        assert!((80..=120).contains(&lane.loss_permille()), "{}", lane.loss_permille());
        lane.handle_report(&[Reported { number: 1998, arrival: None }; 50]);
        assert!(lane.loss_permille() <= 120, "what was told of before is not counted again");
    }

    #[test]
    fn of_reports_that_never_come_the_oldest_numbers_are_forgotten() {
        let mut lane = SoundLane::new(1);
        (0..=AWAITED_MAX as u16).for_each(|number| lane.handle_sent(number));
        lane.handle_report(&[Reported { number: 0, arrival: None }]);
        assert_eq!(lane.loss_permille(), 0);
        lane.handle_report(&[Reported { number: 1, arrival: None }]);
        assert_eq!(lane.loss_permille(), 20);
    }
}
