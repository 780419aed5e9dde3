//! `--record FILE`: the received H.264 as MP4, without decoding or encoding it again.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use farwheel_proto::video::{EncodedFrame, FrameKind, MediaTime};
use muxide::api::{Muxer, MuxerBuilder, VideoCodec};

/// Writes coded pictures to a file; clones share it.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<State>>);

enum State {
    /// Waits for the first key frame.
    Waiting(PathBuf),
    Running {
        muxer: Box<Muxer<BufWriter<File>>>,
        first: MediaTime,
        last_s: f64,
        sets: Vec<u8>,
    },
    /// Ended: by the end of the stay, by a change of the picture's size, or by an error.
    Ended(Result<(), String>),
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Records to `path` from the first key frame on.
    pub fn new(path: &Path) -> Self {
        Self(Arc::new(Mutex::new(State::Waiting(path.to_owned()))))
    }

    /// Takes a coded picture and the size it decodes to.
    pub fn handle(&self, frame: &EncodedFrame, size: farwheel_proto::video::Size) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_key = frame.kind == FrameKind::Key;
        match &mut *state {
            State::Waiting(path) if is_key => {
                let begun = File::create(&*path).map_err(|e| e.to_string()).and_then(|file| {
                    MuxerBuilder::new(BufWriter::new(file))
                        .video(VideoCodec::H264, size.width, size.height, 30.0)
                        .build()
                        .map_err(|e| e.to_string())
                });
                *state = match begun {
                    Ok(mut muxer) => match muxer.write_video(0.0, &frame.data, true) {
                        Ok(()) => State::Running {
                            muxer: Box::new(muxer),
                            first: frame.media_time,
                            last_s: 0.0,
                            sets: parameter_sets(&frame.data),
                        },
                        Err(e) => State::Ended(Err(e.to_string())),
                    },
                    Err(e) => State::Ended(Err(e)),
                };
            }
            State::Running { muxer, first, last_s, sets } => {
                if is_key && parameter_sets(&frame.data) != *sets {
                    // One MP4 track has one size: what comes after is not part of this file.
                    let finished = muxer.finish_in_place().map_err(|e| e.to_string());
                    tracing::warn!("the picture's size changed: the recording ends here");
                    *state = State::Ended(finished);
                    return;
                }
                let at_s = f64::from(frame.media_time.0.wrapping_sub(first.0)) / 90_000.0;
                if at_s <= *last_s {
                    return;
                }
                *last_s = at_s;
                if let Err(e) = muxer.write_video(at_s, &frame.data, is_key) {
                    *state = State::Ended(Err(e.to_string()));
                }
            }
            State::Waiting(_) | State::Ended(_) => {}
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it could not be written, or no key frame ever came.
    pub fn finish(&self) -> anyhow::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match &mut *state {
            State::Waiting(_) => Err("no picture to record ever came".into()),
            State::Running { muxer, .. } => muxer.finish_in_place().map_err(|e| e.to_string()),
            State::Ended(result) => result.clone(),
        };
        *state = State::Ended(result.clone());
        result.map_err(|e| anyhow::anyhow!("recording: {e}"))
    }
}

/// Everything before the first slice of a key frame: its parameter sets.
fn parameter_sets(data: &[u8]) -> Vec<u8> {
    let slice = data.windows(4).position(|w| w[..3] == [0, 0, 1] && w[3] & 0x1f == 5);
    data[..slice.unwrap_or(0)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_end_where_the_key_slice_begins() {
        let key = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9, 9];
        assert_eq!(parameter_sets(&key), key[..13]);
        assert_eq!(parameter_sets(&[0, 0, 1, 0x41, 1]), [0u8; 0]);
    }

    #[test]
    fn a_recording_without_a_picture_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::new(&folder.path().join("a.mp4"));
        assert_eq!(recorder.finish().unwrap_err().to_string(), "recording: no picture to record ever came");
    }
}
