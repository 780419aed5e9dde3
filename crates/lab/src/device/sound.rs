//! Sound cards whose two ends are joined, and what is played into one end and recorded at the other.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::kernel::{Plug, load, wait_for_file};

/// A card: what a program plays on its device 0 is recorded from its device 1, and the other way round.
pub(super) struct Card {
    number: u32,
    plug: Plug,
}

/// Two cards.
///
/// # Panics
/// When the kernel refuses.
pub(super) fn plug_in() -> [Card; 2] {
    load("snd-aloop", &["enable=1,1", "index=0,1", "id=Headset,Desk"]);
    ["snd_aloop.0", "snd_aloop.1"].map(|device| {
        let number = if device.ends_with('0') { 0 } else { 1 };
        wait_for_file(&format!("/dev/snd/pcmC{number}D1p"));
        Card { number, plug: Plug::new("snd_aloop", device) }
    })
}

impl Card {
    /// Pulls its plug: whoever plays or records there hears of it.
    pub(super) fn pull(&self) {
        self.plug.pull();
    }

    /// Plugs it in again.
    pub(super) fn put_back(&self) {
        self.plug.put_back();
        wait_for_file(&format!("/dev/snd/pcmC{}D1p", self.number));
    }

    /// Plays a file at the far end, again and again, until dropped.
    pub(super) fn play(&self, wav: &Path) -> Player {
        let play = format!("while aplay -q -D plughw:{},1 '{}'; do :; done", self.number, wav.display());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("trap 'kill $!; exit' TERM; {play} & wait")]);
        Player(shell.stdin(Stdio::null()).spawn().expect("a shell can be started"))
    }

    /// Records two seconds at the far end; how loud the voice in it is, [0, 1].
    ///
    /// # Panics
    /// When nothing can be recorded.
    pub(super) fn voice(&self, folder: &Path) -> f32 {
        let file = folder.join("recorded.wav");
        let device = format!("plughw:{},1", self.number);
        let mut record = Command::new("arecord");
        record.args(["-q", "-D", &device, "-f", "S16_LE", "-r", "48000", "-c", "1", "-d", "2"]).arg(&file);
        let out = record.output().expect("arecord can be started");
        assert!(out.status.success(), "arecord: {}", String::from_utf8_lossy(&out.stderr));
        let bytes = std::fs::read(&file).expect("arecord has written its file");
        let samples: Vec<f32> = bytes
            .get(WAV_HEADER..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
            .collect();
        HARMONICS.iter().map(|harmonic| strength(&samples, PITCH_HZ * harmonic)).sum()
    }
}

/// A player that runs.
pub(super) struct Player(Child);

impl Drop for Player {
    fn drop(&mut self) {
        // It has ended already, or it has to: neither call can fail in a way that matters.
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        self.0.wait().ok();
    }
}

/// Writes a voice: vowels of a low pitch, four a second, so that nothing takes it for noise.
///
/// # Panics
/// When the file cannot be written.
pub(super) fn write_voice(folder: &Path) -> PathBuf {
    let path = folder.join("voice.wav");
    let count = RATE * 8;
    let mut wav = Vec::with_capacity(WAV_HEADER + 2 * count as usize);
    wav.extend(b"RIFF");
    wav.extend((36 + 2 * count).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([RATE, 2 * RATE].map(u32::to_le_bytes).concat());
    wav.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend((2 * count).to_le_bytes());
    for n in 0..count {
        let t = n as f32 / RATE as f32;
        let syllable = (TAU * 2.0 * t).sin().powi(2);
        let vowel: f32 = HARMONICS.iter().map(|h| (TAU * PITCH_HZ * h * t).sin() / h).sum();
        wav.extend(((syllable * vowel * 8_000.0) as i16).to_le_bytes());
    }
    std::fs::write(&path, wav).expect("the folder can be written");
    path
}

/// How strong a frequency is in a sound, [0, 1] (Goertzel).
fn strength(samples: &[f32], hz: f32) -> f32 {
    let step = TAU * hz / RATE as f32;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = step * (n % RATE as usize) as f32;
        re += sample * angle.cos();
        im += sample * angle.sin();
    }
    2.0 * f32::hypot(re, im) / samples.len().max(1) as f32
}

const RATE: u32 = 48_000;
const PITCH_HZ: f32 = 150.0;
const HARMONICS: [f32; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];
/// Bytes before the samples in the plainest of WAV files.
const WAV_HEADER: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_told_from_silence_and_from_a_tone_beside_it() {
        let sine = |hz: f32| -> Vec<f32> {
            (0..RATE).map(|n| 0.5 * (TAU * hz * n as f32 / RATE as f32).sin()).collect()
        };
        assert!((strength(&sine(150.0), 150.0) - 0.5).abs() < 0.01);
        assert!(strength(&sine(1234.0), 150.0) < 0.001);
        assert_eq!(strength(&[], 150.0), 0.0);
    }
}
