//! One encoding: when it is due, whether it is worth it, and how losses are mended.

use std::time::{Duration, Instant};

use farwheel_media::encode::{Encoder, Order};
use farwheel_peer::Track;
use farwheel_proto::anchor::Anchor;
use farwheel_proto::rate::{Reason, Verdict};

use super::Receiver;
use crate::call::keys::Keys;

/// One encoding under way.
pub(super) struct Output {
    pub(super) encoder: Encoder,
    pub(super) keys: Keys,
    due: Option<Instant>,
    /// Pictures left out one after the other for a link that was full.
    held_back: u32,
    pub(super) is_failing: bool,
}

impl Output {
    pub(super) fn new(encoder: Encoder) -> Self {
        Self { encoder, keys: Keys::default(), due: None, held_back: 0, is_failing: false }
    }

    /// Whether a picture captured then is one of so many a second.
    pub(super) fn is_due(&mut self, fps: u32, captured_at: Instant) -> bool {
        let interval = Duration::from_secs(1) / fps.max(1);
        // Cameras waver by some milliseconds.
        if self.due.is_some_and(|due| captured_at + interval / 4 < due) {
            return false;
        }
        let next =
            self.due.map_or(captured_at, |due| due.max(captured_at.checked_sub(interval).unwrap_or(due)));
        self.due = Some(next + interval);
        true
    }

    /// Whether a picture is worth encoding: somebody has room for it. One link that is full for a moment holds the others
    /// back by two pictures at most; leaving it out costs a key frame for all.
    pub(super) fn is_worth(&mut self, verdicts: &[Option<Verdict>]) -> bool {
        let has_room = |verdict: &&Option<Verdict>| {
            matches!(verdict, Some(Verdict::Encode { .. } | Verdict::Skip(Reason::FrameRate)))
        };
        let is_full = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Skip(Reason::Budget)));
        let ready = verdicts.iter().filter(has_room).count();
        let is_worth = ready > 0 && (!verdicts.iter().any(is_full) || self.held_back >= HELD_BACK_MAX);
        self.held_back = if is_worth { 0 } else { self.held_back.saturating_add(1) };
        is_worth
    }

    /// What one lost is mended from a picture that all who get the encoding hold: for those who lost nothing it is a
    /// picture like any other. Where there is none, or somebody tells nothing, a key frame serves all.
    pub(super) fn handle_losses(&mut self, track: Track, members: &[&Receiver]) {
        let reports: Option<Vec<_>> = members.iter().map(|member| member.said.report()).collect();
        let held = reports
            .map(|reports| common(reports.iter().map(|report| report.held.anchors().collect::<Vec<_>>())));
        if let Some(held) = &held {
            self.encoder.handle_held(held);
            members.iter().for_each(|member| member.connection.allow_recoveries(track));
        }
        // Each is asked: an order is told once.
        let ordering: Vec<_> =
            members.iter().filter(|member| member.connection.take_recovery_order(track)).collect();
        let is_mended =
            !ordering.is_empty() && held.is_some() && self.encoder.order_recovery() == Order::Taken;
        for member in members {
            match (is_mended, ordering.iter().any(|one| one.connection.conn() == member.connection.conn())) {
                // It comes to this one as well, and mends what it is about to lose.
                (true, false) => member.connection.note_recovery(track),
                (false, true) => member.connection.refuse_recovery(track),
                (true, true) | (false, false) => {}
            }
        }
    }
}

/// What all of them hold.
fn common(held: impl Iterator<Item = Vec<Anchor>>) -> Vec<Anchor> {
    held.reduce(|mut all, one| {
        all.retain(|anchor| one.contains(anchor));
        all
    })
    .unwrap_or_default()
}

const HELD_BACK_MAX: u32 = 2;

#[cfg(test)]
mod tests {
    use farwheel_media::encode;
    use farwheel_proto::video::{Bitrate, Size};

    use super::*;

    fn output() -> Output {
        let target = encode::Target { bitrate: Bitrate::from_kbps(200), size: Size::new(64, 64), fps: 30 };
        Output::new(Encoder::open(encode::Config::default(), target).unwrap())
    }

    #[test]
    fn several_receivers_are_mended_from_what_all_of_them_hold() {
        let anchor = |number: u32| Anchor(number);
        let of = |lists: &[&[u32]]| {
            common(lists.iter().map(|list| list.iter().copied().map(anchor).collect::<Vec<_>>()))
        };
        let want = |list: &[u32]| list.iter().copied().map(anchor).collect::<Vec<_>>();
        assert_eq!(of(&[]), want(&[]));
        assert_eq!(of(&[&[1, 2]]), want(&[1, 2]));
        assert_eq!(of(&[&[1, 2], &[2, 3], &[2]]), want(&[2]));
        assert_eq!(of(&[&[1, 2], &[]]), want(&[]), "one that has just come holds nothing");
    }

    #[test]
    fn of_thirty_pictures_a_second_so_many_are_taken_as_are_wanted() {
        for (fps, want) in [(30, 90), (15, 45), (10, 30)] {
            let (mut output, start) = (output(), Instant::now());
            let taken = (0..90_u64)
                .filter(|n| {
                    // A camera that wavers by 3 ms.
                    let wavers = [0, 3000, 1000][*n as usize % 3];
                    output.is_due(fps, start + Duration::from_micros(n * 33_333 + wavers))
                })
                .count();
            assert!((want - 2..=want + 2).contains(&taken), "{taken} of 90 at {fps}");
        }
    }

    #[test]
    fn one_full_link_holds_the_others_back_for_two_pictures_and_no_longer() {
        let room = Some(Verdict::Skip(Reason::FrameRate));
        let full = Some(Verdict::Skip(Reason::Budget));
        let still = Some(Verdict::Skip(Reason::Stall));
        let mut output = output();
        assert!(output.is_worth(&[room, room]));
        assert_eq!([0; 4].map(|_| output.is_worth(&[room, full])), [false, false, true, false]);
        assert!(!output.is_worth(&[full, full]));
        assert!(!output.is_worth(&[]));
        assert!(output.is_worth(&[room, still]), "one that stands still holds nobody back");
        assert!(!output.is_worth(&[still, None]));
    }
}
