//! Pictures to packets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use farwheel_proto::rate::Track;
use farwheel_proto::rtp::payload::{self, PAYLOAD_BYTES_MAX};
use rtc::rtp;
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};

use crate::connection::Shared;
use crate::engine::Sender;
use crate::event::Event;

/// Sends pictures of a track from the outbox until that is gone.
pub(crate) async fn send(track: Track, sender: Sender, shared: Arc<Shared>) {
    let payload_type = match sender.payload_type("video/h264").await {
        Ok(payload_type) => payload_type,
        Err(error) => {
            tracing::warn!(conn = %shared.conn, ?track, %error, "no payload type was negotiated, no video is sent");
            return;
        }
    };
    let mut sequence: u16 = rand::random();
    let mut recent = Recent::default();
    loop {
        shared.pictures_added(track).notified().await;
        while let Some(frame) = shared.pop_picture(track) {
            let payloads = payload::split(&frame.data, PAYLOAD_BYTES_MAX);
            let count = payloads.len();
            for (n, payload) in payloads.into_iter().enumerate() {
                let header = rtp::Header {
                    version: 2,
                    marker: n + 1 == count,
                    payload_type,
                    sequence_number: sequence,
                    timestamp: frame.media_time.0,
                    ssrc: sender.ssrc,
                    ..Default::default()
                };
                sequence = sequence.wrapping_add(1);
                if let Err(error) = sender.track.write_rtp(rtp::Packet { header, payload }).await {
                    tracing::debug!(conn = %shared.conn, %error, "video track is gone");
                    return;
                }
            }
            recent.push(frame.arrived_at.elapsed());
            let mut stats = shared.stats();
            stats.frames_sent += 1;
            stats.packets_sent += count as u64;
            stats.packetise = recent.median();
        }
    }
}

/// Tells the owner when the receiver asks for a key frame.
pub(crate) async fn listen(track: Track, sender: Sender, events: mpsc::Sender<Event>) {
    while let Some(event) = sender.track.poll().await {
        if let TrackLocalEvent::OnRtcpPacket(_) = event {
            // Only requests for key frames get here. Full: the receiver asks again.
            events.try_send(Event::KeyframeRequested(track)).ok();
        }
    }
}

/// The newest durations.
#[derive(Debug, Default)]
struct Recent(VecDeque<Duration>);

/// One second at 30 pictures a second.
const RECENT_MAX: usize = 30;

impl Recent {
    fn push(&mut self, took: Duration) {
        // Full: the oldest goes.
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_follows_the_newest_pictures() {
        let mut recent = Recent::default();
        assert_eq!(recent.median(), None);
        recent.push(Duration::from_millis(9));
        assert_eq!(recent.median(), Some(Duration::from_millis(9)));
        for ms in 0..RECENT_MAX as u64 {
            recent.push(Duration::from_millis(ms));
        }
        assert_eq!(recent.median(), Some(Duration::from_millis(15)));
    }
}
