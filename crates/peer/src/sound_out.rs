//! Sound to packets.

use std::sync::Arc;

use rtc::rtp;
use webrtc::media_stream::track_local::TrackLocal;

use crate::connection::Shared;
use crate::engine::Sender;

/// Sends packets of sound from the outbox until the track is gone.
pub(crate) async fn send(sender: Sender, shared: Arc<Shared>) {
    let payload_type = match sender.payload_type("audio/opus").await {
        Ok(payload_type) => payload_type,
        Err(error) => {
            tracing::warn!(conn = %shared.conn, %error, "no payload type was negotiated, no sound is sent");
            return;
        }
    };
    let mut sequence: u16 = rand::random();
    loop {
        shared.sound_added.notified().await;
        while let Some(sound) = shared.pop_sound() {
            let header = rtp::Header {
                version: 2,
                marker: sound.begins,
                payload_type,
                // Without a hole where nothing was sent: one in the numbers is a loss, one in the time alone is silence.
                sequence_number: sequence,
                timestamp: sound.media_time.0,
                ssrc: sender.ssrc,
                ..Default::default()
            };
            sequence = sequence.wrapping_add(1);
            let packet = rtp::Packet { header, payload: sound.data };
            if let Err(error) = sender.track.write_rtp(packet).await {
                tracing::debug!(conn = %shared.conn, %error, "track of sound is gone");
                return;
            }
            shared.stats().sound.packets_sent += 1;
        }
    }
}
