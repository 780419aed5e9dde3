//! The decode thread: one per connection, from received pictures to the frame slot.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_media::audio::Voice;
use farwheel_media::decode::{self, Decoder};
use farwheel_media::slot::Taken;
use farwheel_media::strip::{self, Stamp};
use farwheel_media::test_picture::TestPicture;
use farwheel_media::{self as media, VideoFrame};
use farwheel_peer::{Channel, Connection, Frames, Track};
use farwheel_proto::clock::ClockSync;
use farwheel_proto::sound::Lips;
use farwheel_proto::video::{EncodedFrame, MediaTime, Size};
use tokio::sync::mpsc;

use super::figures::{Decoded, Figures};
use super::hands::{self, lock};
use super::record::Recorder;
use super::tell::{News, Teller};
use crate::render::slot::{Picture, Slot};

/// When a picture counts as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// When a window has drawn it.
    WhenDrawn,
    /// When it is decoded: nobody draws.
    WhenDecoded,
}

/// Whether pictures carry their time in their pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strip {
    /// They may: look.
    Read,
    /// They do not, or nobody asks.
    Ignore,
}

/// What the thread needs.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) track: Track,
    pub(crate) slot: Slot,
    /// Whose sound the pictures wait for, if they do.
    pub(crate) voice: Option<Arc<Voice>>,
    pub(crate) figures: Arc<Mutex<Figures>>,
    pub(crate) clock: Arc<Mutex<ClockSync>>,
    pub(crate) hands: Option<Arc<hands::Shared>>,
    pub(crate) shown: Shown,
    pub(crate) strip: Strip,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) measuring: media::slot::Slot<VideoFrame>,
}

/// Starts the thread; it ends when the connection's pictures do.
pub(crate) fn spawn(mut frames: Frames, connection: Weak<Connection>, setup: Setup) -> std::io::Result<()> {
    let mut lips = setup.voice.clone().map(|voice| Mouth::start(voice, &setup));
    std::thread::Builder::new().name("decode".into()).spawn(move || {
        let mut decoder = Decoder::new(decode::Config::default());
        let mut teller = Teller::default();
        while let Some(frame) = frames.blocking_recv() {
            setup.decode(&mut decoder, &mut teller, &mut lips, &frame, &connection);
            setup.tell(&decoder, &mut teller, &connection);
        }
    })?;
    Ok(())
}

impl Setup {
    fn decode(
        &self,
        decoder: &mut Decoder,
        teller: &mut Teller,
        mouth: &mut Option<Mouth>,
        frame: &EncodedFrame,
        connection: &Weak<Connection>,
    ) {
        let begun_at = Instant::now();
        let captured = self.captured(frame);
        match decoder.decode(&frame.data, captured.unwrap_or(frame.arrived_at)) {
            Ok(picture) => {
                let decoded_at = Instant::now();
                teller.handle_decoded(picture.spent, decoded_at);
                let id = frame.media_time.frame_id();
                let stamped = match self.strip {
                    Strip::Read => strip::read(&picture.frame)
                        .and_then(|stamp| decoded_at.checked_sub(stamp.age_at(Stamp::now()))),
                    Strip::Ignore => None,
                };
                if let Some(recorder) = &self.recorder {
                    recorder.handle(frame, picture.frame.size);
                }
                if let Some(stamped) = stamped {
                    let delay_us = decoded_at.saturating_duration_since(stamped).as_micros() as u64;
                    let Size { width, height } = picture.frame.size;
                    // For `cargo xtask bench`, which computes every peer's figures in the same way.
                    tracing::trace!(target: "measure", delay_us, width, height, "picture shown");
                    self.measuring.put(picture.frame.clone());
                }
                {
                    let mut figures = lock(&self.figures);
                    figures.handle_decoded(Decoded {
                        id,
                        captured,
                        stamped,
                        arrived_at: frame.arrived_at,
                        begun_at,
                        decode: picture.spent,
                        decoded_at,
                        size: picture.frame.size,
                        bytes: frame.data.len(),
                    });
                    if self.shown == Shown::WhenDecoded && mouth.is_none() {
                        figures.handle_shown(id, decoded_at);
                    }
                }
                if self.shown == Shown::WhenDecoded
                    && let Some(hands) = &self.hands
                {
                    hands.sender().handle_picture(id, decoded_at);
                }
                let picture = Picture { id, frame: picture.frame, decoded_at };
                match mouth {
                    Some(mouth) => mouth.show(picture, frame.media_time, decoded_at),
                    None => self.slot.put(picture),
                }
            }
            Err(e) => {
                tracing::debug!(error = %e, bytes = frame.data.len(), "picture not decoded");
                lock(&self.figures).handle_broken(frame.data.len());
                if let Some(connection) = connection.upgrade() {
                    connection.request_keyframe(self.track);
                }
            }
        }
    }

    /// Tells the sender what became of its pictures, if that is due. A report tells of cameras alone.
    fn tell(&self, decoder: &Decoder, teller: &mut Teller, connection: &Weak<Connection>) {
        if self.track != Track::Camera {
            return;
        }
        let ((decoded, shown), totals) = {
            let figures = lock(&self.figures);
            (figures.newest(), figures.totals())
        };
        let news = News { decoded, shown, totals, held: decoder.held().collect() };
        if let (Some(report), Some(connection)) = (teller.report(news, Instant::now()), connection.upgrade())
        {
            // Lost like any lossy message when the connection is ending; the next one says the same.
            connection.send(Channel::Telemetry, Bytes::copy_from_slice(&report.encode())).ok();
        }
    }

    /// When the picture was captured, on this side's clock; never after its arrival.
    fn captured(&self, frame: &EncodedFrame) -> Option<Instant> {
        let clock = lock(&self.clock);
        let near = clock.to_car(frame.arrived_at)?;
        let captured = clock.to_local(frame.media_time.unwrap_near(near), frame.arrived_at)?;
        let age = frame.arrived_at.saturating_duration_since(captured);
        // A stamp far off is not of this robot's clock: a foreign sender with a random offset.
        (age < AGE_MAX).then(|| captured.min(frame.arrived_at))
    }
}

/// Shows pictures when their sound is heard; decoding goes on meanwhile.
struct Mouth {
    voice: Arc<Voice>,
    lips: Lips,
    // Full: 16 wait, half a second of them; the newest is left out, and those behind it are shown in time.
    waiting: mpsc::Sender<(Instant, Picture)>,
}

impl Mouth {
    /// Starts the task that shows; it ends with this.
    fn start(voice: Arc<Voice>, setup: &Setup) -> Self {
        let (waiting, mut due) = mpsc::channel::<(Instant, Picture)>(HELD_MAX);
        let (slot, figures, shown) = (setup.slot.clone(), Arc::clone(&setup.figures), setup.shown);
        tokio::spawn(async move {
            while let Some((at, picture)) = due.recv().await {
                tokio::time::sleep_until(at.into()).await;
                if shown == Shown::WhenDecoded {
                    lock(&figures).handle_shown(picture.id, Instant::now());
                }
                slot.put(picture);
            }
        });
        Self { voice, lips: Lips::default(), waiting }
    }

    fn show(&mut self, picture: Picture, captured: MediaTime, now: Instant) {
        let hold = self.lips.handle_picture(captured, self.voice.status().heard, now);
        self.voice.set_extra(self.lips.extra());
        if self.waiting.try_send((now + hold, picture)).is_err() {
            tracing::debug!("picture left out: too many wait for their sound");
        }
    }
}

const HELD_MAX: usize = 16;

/// Compares stamped pictures with what was captured, once a second, on a thread of its own: `measure`. `camera` tells the
/// size of the camera's pictures: where the link is narrow the robot sends smaller ones.
///
/// It ends when the slot is closed.
pub(super) fn measure(
    pictures: media::slot::Slot<VideoFrame>,
    figures: Arc<Mutex<Figures>>,
    camera: impl Fn() -> Option<Size> + Send + 'static,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("measure".into()).spawn(move || {
        let mut sent: Option<TestPicture> = None;
        loop {
            match pictures.take_within(Duration::from_secs(1)) {
                Taken::Closed => break,
                Taken::TimedOut => {}
                Taken::Value(shown) => {
                    let size = camera().unwrap_or(shown.size);
                    let sent = match &mut sent {
                        Some(sent) if sent.size() == size => sent,
                        other => other.insert(TestPicture::new(size)),
                    };
                    // Anything below is no coded form of the measuring picture: a camera's picture with a strip.
                    if let Some(measured) = sent.measure(&shown).filter(|m| m.psnr_db > PSNR_MIN_DB) {
                        tracing::trace!(target: "measure", psnr_db = measured.psnr_db, "picture compared");
                        lock(&figures).handle_psnr(measured.psnr_db);
                    }
                    std::thread::park_timeout(Duration::from_secs(1));
                }
            }
        }
    })?;
    Ok(())
}

/// Two unrelated pictures have 5 to 12 dB.
const PSNR_MIN_DB: f64 = 15.0;

/// A picture older than this on arrival has a time stamp that means something else.
const AGE_MAX: Duration = Duration::from_secs(30);

/// Writes a picture as PNG.
///
/// # Errors
/// When the file cannot be written.
pub fn save_png(frame: &farwheel_media::VideoFrame, path: &std::path::Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let (width, height) = (frame.size.width, frame.size.height);
    let mut rgb = image::RgbImage::new(width, height);
    for (x, y, pixel) in rgb.enumerate_pixels_mut() {
        let (x, y) = (x as usize, y as usize);
        let luma = 1.164 * (f32::from(frame.y()[y * frame.stride_y + x]) - 16.0);
        let chroma = y / 2 * frame.stride_uv + x / 2;
        let (u, v) = (f32::from(frame.u()[chroma]) - 128.0, f32::from(frame.v()[chroma]) - 128.0);
        // ITU-R BT.601, limited range.
        *pixel =
            image::Rgb([luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u].map(|c| c as u8));
    }
    rgb.save_with_format(path, image::ImageFormat::Png).with_context(|| format!("write {}", path.display()))
}
