//! What begins once the handshake is done, and with each track that comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farwheel_proto::call::verify::Fingerprints;
use farwheel_proto::rate::Track;
use webrtc::media_stream::track_remote::TrackRemote;

use super::Task;
use crate::config::Media;
use crate::detour::Detour;
use crate::event::Event;
use crate::refusal::taken;
use crate::signal::fingerprint_in;
use crate::uplink::Stream;
use crate::{sound_in, sound_out, video_in, video_out};

impl Task<'_> {
    pub(super) fn start_sending(&mut self) {
        for (stream, sender) in self.engine.senders.clone() {
            let shared = Arc::clone(&self.outlet.shared);
            if !shared.is_taken(stream) {
                continue;
            }
            match stream {
                Stream::Sound => {
                    self.workers.spawn(sound_out::send(sender, shared));
                }
                Stream::Pictures(track) => {
                    if let Media::Send(_) = self.config.media {
                        shared.set_detour(Some(Detour::Sent(Arc::clone(&sender.track))));
                    }
                    self.workers.spawn(video_out::send(track, sender.clone(), shared));
                    self.workers.spawn(video_out::listen(track, sender, self.outlet.events.clone()));
                    self.outlet.event(Event::KeyframeRequested(track));
                }
            }
        }
    }

    pub(super) async fn handle_track(&mut self, track: Arc<dyn TrackRemote>) {
        let shared = Arc::clone(&self.outlet.shared);
        match self.engine.stream_of(&track).await {
            Stream::Sound => {
                self.workers.spawn(sound_in::receive(track, shared, self.readers.sound.clone()));
            }
            Stream::Pictures(of) => {
                if self.config.media == Media::Receive {
                    shared.set_detour(Some(Detour::Received(Arc::clone(&track))));
                }
                let reader = match of {
                    Track::Camera => &self.readers.camera,
                    Track::Screen => &self.readers.screen,
                };
                self.workers.spawn(video_in::receive(of, track, shared, reader.clone()));
            }
        }
    }

    /// The handshake has just proved the descriptions.
    pub(super) async fn note_descriptions(&self) {
        let remote = self.engine.connection.current_remote_description().await.map(|remote| remote.sdp);
        let remote = remote.unwrap_or_default();
        let has_sound = self.config.has_sound() && taken(&remote, "audio", "opus") > 0;
        self.outlet.shared.sound_open.store(has_sound, Ordering::Release);
        // Sections follow the order of the tracks on both sides, so the last are those that a peer does without.
        let pictures = taken(&remote, "video", "H264");
        for (track, refused) in Track::ALL.into_iter().zip(&self.outlet.shared.pictures_refused) {
            refused.store(pictures <= track as usize, Ordering::Release);
        }
        let description = self.engine.connection.current_local_description().await;
        let own = description.and_then(|description| fingerprint_in(&description.sdp));
        let both = own.zip(self.remote_fingerprint.clone().flatten());
        *self.outlet.shared.fingerprints() = both.map(|(own, other)| Fingerprints { own, other });
    }
}
