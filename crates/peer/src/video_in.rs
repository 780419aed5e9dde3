//! Packets to pictures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_proto::rate::Track;
use farwheel_proto::rtp::{Assembler, Command, Counters, Jitter, Packet};
use farwheel_proto::video::{EncodedFrame, FrameKind, MediaTime};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::connection::Shared;

/// Shortest time between two requests for a key frame (docs/PROTOCOL.md).
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);

/// Receives pictures until the track is gone.
pub(crate) async fn receive(
    of: Track,
    track: Arc<dyn TrackRemote>,
    shared: Arc<Shared>,
    frames: mpsc::Sender<EncodedFrame>,
) {
    let mut video = Video {
        of,
        track,
        shared,
        frames,
        assembler: Assembler::new(),
        told: Counters::default(),
        jitter: Jitter::default(),
        limiter: Limiter::default(),
        ssrc: None,
        reader: Reader::KeepsUp,
    };
    loop {
        let due = [video.assembler.poll_timeout(), video.limiter.poll_timeout()].into_iter().flatten().min();
        tokio::select! {
            event = video.track.poll() => match event {
                Some(TrackRemoteEvent::OnRtpPacket(packet)) => video.handle_packet(packet, Instant::now()),
                Some(TrackRemoteEvent::OnEnded) | None => return,
                Some(_) => continue,
            },
            () = video.shared.keyframe_wanted(of).notified() => video.limiter.want(),
            () = sleep_until(due) => video.assembler.handle_timeout(Instant::now()),
        }
        if video.carry_out(Instant::now()).await.is_err() {
            return;
        }
    }
}

struct Video {
    of: Track,
    track: Arc<dyn TrackRemote>,
    shared: Arc<Shared>,
    frames: mpsc::Sender<EncodedFrame>,
    assembler: Assembler,
    /// Of which the figures tell already.
    told: Counters,
    jitter: Jitter,
    limiter: Limiter,
    ssrc: Option<u32>,
    reader: Reader,
}

/// Whether the decoder's queue took the picture before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    KeepsUp,
    NeedsKey,
}

/// The connection or the reader of the pictures is gone.
struct Gone;

impl Video {
    fn handle_packet(&mut self, packet: rtc::rtp::Packet, now: Instant) {
        if self.ssrc.is_none()
            && let Some(rtt) = self.shared.stats().rtt
        {
            self.assembler.set_rtt(rtt);
        }
        self.ssrc = Some(packet.header.ssrc);
        let media_time = MediaTime(packet.header.timestamp);
        self.jitter.handle_packet(media_time, now);
        let packet = Packet {
            sequence: packet.header.sequence_number,
            media_time,
            marker: packet.header.marker,
            payload: packet.payload,
        };
        self.assembler.handle_packet(packet, now);
    }

    async fn carry_out(&mut self, now: Instant) -> Result<(), Gone> {
        while let Some(command) = self.assembler.poll_command() {
            match command {
                Command::Frame(frame) => self.hand_over(frame, now)?,
                Command::Nack(sequences) => {
                    let nack = TransportLayerNack {
                        sender_ssrc: 0,
                        media_ssrc: self.ssrc.unwrap_or_default(),
                        nacks: nack_pairs_from_sequence_numbers(&sequences),
                    };
                    self.write(Box::new(nack)).await?;
                }
                Command::RequestKeyframe => self.limiter.want(),
            }
        }
        if let Some(ssrc) = self.ssrc
            && self.limiter.take(now)
        {
            self.write(Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: ssrc })).await?;
            self.shared.stats().keyframes_requested += 1;
        }
        self.report();
        Ok(())
    }

    fn hand_over(&mut self, frame: EncodedFrame, now: Instant) -> Result<(), Gone> {
        if self.reader == Reader::NeedsKey && frame.kind == FrameKind::Delta {
            self.shared.stats().frames_dropped += 1;
            return Ok(());
        }
        match self.frames.try_send(frame) {
            Ok(()) => {
                self.reader = Reader::KeepsUp;
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                // Full: this picture and all up to the next key frame or recovery are dropped.
                self.reader = Reader::NeedsKey;
                self.shared.stats().frames_dropped += 1;
                self.assembler.handle_reader_overflow(now);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(Gone),
        }
    }

    async fn write(&self, packet: Box<dyn rtcp::Packet>) -> Result<(), Gone> {
        self.track.write_rtcp(vec![packet]).await.map_err(|_| Gone)
    }

    fn report(&mut self) {
        let counters = self.assembler.counters();
        let told = std::mem::replace(&mut self.told, counters);
        let mut stats = self.shared.stats();
        // Of all tracks; what was lost may have come late.
        stats.packets_received = stats.packets_received + counters.packets - told.packets;
        stats.packets_lost = stats.packets_lost + counters.packets_lost - told.packets_lost;
        stats.frames_received = stats.frames_received + counters.frames - told.frames;
        if self.of == Track::Camera {
            stats.jitter = self.jitter.value();
        }
        if let Some(rtt) = stats.rtt {
            self.assembler.set_rtt(rtt);
        }
    }
}

/// Lets one request for a key frame through per 300 ms; one that comes too early waits.
#[derive(Debug, Default)]
struct Limiter {
    last: Option<Instant>,
    wanted: bool,
}

impl Limiter {
    fn want(&mut self) {
        self.wanted = true;
    }

    fn take(&mut self, now: Instant) -> bool {
        let due = self.wanted && self.last.is_none_or(|last| last + KEYFRAME_INTERVAL <= now);
        if due {
            *self = Self { last: Some(now), wanted: false };
        }
        due
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.last.filter(|_| self.wanted).map(|last| last + KEYFRAME_INTERVAL)
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_within_300_ms_waits_and_is_not_lost() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        limiter.want();
        assert!(limiter.take(start));
        assert!(!limiter.take(start + KEYFRAME_INTERVAL), "nothing was wanted since");
        limiter.want();
        assert_eq!(limiter.poll_timeout(), Some(start + KEYFRAME_INTERVAL));
        assert!(!limiter.take(start + Duration::from_millis(299)));
        assert!(limiter.take(start + Duration::from_millis(300)));
        assert_eq!(limiter.poll_timeout(), None);
    }
}
