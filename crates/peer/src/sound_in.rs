//! Packets to sound.

use std::sync::Arc;
use std::time::Instant;

use farwheel_proto::sound::{Received, SoundTime};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::connection::Shared;

/// Receives sound until the track is gone. Nothing is asked for again: it would come after its time, and Opus carries what
/// was said just before.
pub(crate) async fn receive(
    track: Arc<dyn TrackRemote>,
    shared: Arc<Shared>,
    sounds: mpsc::Sender<Received>,
) {
    let mut span = Span::default();
    while let Some(event) = track.poll().await {
        let packet = match event {
            // A packet of padding alone is no sound.
            TrackRemoteEvent::OnRtpPacket(packet) if packet.payload.is_empty() => continue,
            TrackRemoteEvent::OnRtpPacket(packet) => packet,
            TrackRemoteEvent::OnEnded => return,
            _ => continue,
        };
        let received = Received {
            sequence: packet.header.sequence_number,
            media_time: SoundTime(packet.header.timestamp),
            arrived_at: Instant::now(),
            data: packet.payload,
        };
        span.handle_packet(received.sequence);
        let dropped = match sounds.try_send(received) {
            Ok(()) => 0,
            // Full: the reader stands still, and what it would read later is of no use.
            Err(TrySendError::Full(_)) => 1,
            Err(TrySendError::Closed(_)) => return,
        };
        let mut stats = shared.stats();
        stats.sound.packets_received = span.received;
        stats.sound.packets_lost = span.lost();
        stats.sound.packets_dropped += dropped;
    }
}

/// What came of a span of sequence numbers (RFC 3550 appendix A.3).
#[derive(Debug, Default)]
struct Span {
    /// The highest number, and how many there are up to it.
    highest: Option<u16>,
    expected: u64,
    received: u64,
}

impl Span {
    fn handle_packet(&mut self, sequence: u16) {
        self.received += 1;
        let Some(highest) = self.highest else {
            (self.highest, self.expected) = (Some(sequence), 1);
            return;
        };
        let ahead = sequence.wrapping_sub(highest) as i16;
        if ahead > 0 {
            self.highest = Some(sequence);
            self.expected += u64::from(ahead.unsigned_abs());
        }
    }

    /// More may have come than were expected, where some came twice.
    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_not_lost_and_what_comes_twice_makes_up_for_nothing_below_zero() {
        let mut span = Span::default();
        let mut lost = |sequence| {
            span.handle_packet(sequence);
            span.lost()
        };
        assert_eq!([65_534, 65_535, 2, 0, 1, 1, 3].map(&mut lost), [0, 0, 2, 1, 0, 0, 0]);
    }
}
