//! Taking the loudspeaker's echo and steady noise out of the microphone's sound, and bringing voices to one loudness.

use std::time::Duration;

use farwheel_proto::sound::{BLOCK, RATE};
use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression,
    NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

/// How sound is cleaned; each can be changed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleaning {
    /// Echo of the loudspeaker is taken out.
    pub echo: bool,
    /// Steady noise is taken out.
    pub noise: bool,
    /// Voices are brought to one loudness.
    pub gain: bool,
}

impl Default for Cleaning {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true }
    }
}

/// Cleans one microphone, 10 ms at a time.
pub(super) struct Cleaner {
    inner: AudioProcessing,
    cleaning: Cleaning,
    ignored: [f32; BLOCK],
}

impl Cleaner {
    /// Cleans as asked for.
    pub(super) fn new(cleaning: Cleaning) -> Self {
        let stream = StreamConfig::new(RATE, 1);
        let inner = AudioProcessing::builder()
            .config(config(cleaning))
            .capture_config(stream)
            .render_config(stream)
            .build();
        Self { inner, cleaning, ignored: [0.0; BLOCK] }
    }

    /// Cleans otherwise from the next block on.
    pub(super) fn set(&mut self, cleaning: Cleaning) {
        if cleaning != self.cleaning {
            self.cleaning = cleaning;
            self.inner.apply_config(config(cleaning));
        }
    }

    /// Takes what the loudspeaker is about to play.
    pub(super) fn handle_played(&mut self, block: &[f32; BLOCK]) {
        if self.cleaning.echo {
            let played = self.inner.process_render_f32(&[block], &mut [&mut self.ignored]);
            played.expect("the lengths are those of the stream");
        }
    }

    /// Cleans what the microphone took up; `delay` is the time from [`handle_played`](Self::handle_played) until that is
    /// heard and comes back here.
    pub(super) fn clean(&mut self, block: &mut [f32; BLOCK], delay: Duration) {
        if self.cleaning == (Cleaning { echo: false, noise: false, gain: false }) {
            return;
        }
        let delay = i32::try_from(delay.as_millis()).unwrap_or(500).min(500);
        self.inner.set_stream_delay_ms(delay).expect("it is within its bounds");
        let taken = *block;
        let cleaned = self.inner.process_capture_f32(&[&taken], &mut [block]);
        cleaned.expect("the lengths are those of the stream");
    }
}

fn config(cleaning: Cleaning) -> Config {
    let Cleaning { echo, noise, gain } = cleaning;
    Config {
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            multi_channel_render: false,
            multi_channel_capture: false,
            ..Pipeline::default()
        },
        high_pass_filter: (echo || noise).then(HighPassFilter::default),
        echo_canceller: echo.then(EchoCanceller::default),
        noise_suppression: noise
            .then(|| NoiseSuppression { level: NoiseSuppressionLevel::High, ..NoiseSuppression::default() }),
        gain_controller2: gain.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital::default()),
            ..GainController2::default()
        }),
        ..Config::default()
    }
}
