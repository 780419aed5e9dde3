//! Prints the figures of sound as Markdown: `sound_figures SECONDS`. `cargo xtask bench sound` runs it.

use std::time::{Duration, Instant};

use farwheel_media::audio::figures::echo::{self, Scene};
use farwheel_media::audio::figures::link::{Call, segmental_snr, spread, test_voice};
use farwheel_media::audio::figures::{quantile, talker::Talker};
use farwheel_media::audio::{Cleaning, Config, Engine, Spec, Thrift};
use farwheel_proto::sound::{BLOCK, Received};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60);
    real_time(seconds);
    links(f64::from(u32::try_from(seconds).unwrap_or(60)));
    echoes();
}

/// Two engines with synthetic devices in real time, all cleaning on, packets handed over at once.
fn real_time(seconds: u64) {
    println!("| packets | mouth to ear p50, p95, max ms | marks | 10 ms of sound take us | left out |");
    println!("|---|---|---|---|---|");
    for (thrift, name) in [(Thrift::Quick, "10 ms"), (Thrift::Thrifty, "20 ms")] {
        let (sender, packets) = std::sync::mpsc::channel();
        let config = |microphone, speaker| Config {
            epoch: Instant::now(),
            microphone,
            speaker,
            cleaning: Cleaning::default(),
            thrift,
        };
        let far = Engine::start(config(Spec::None, Spec::Test), |_| {}).expect("an engine");
        let voice = far.add_voice();
        // The receiver of the last packets may be gone.
        let near = Engine::start(config(Spec::Test, Spec::None), move |packet| drop(sender.send(packet)));
        let near = near.expect("an engine");
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut sequence = 0_u16;
        while let Ok(packet) = packets.recv_timeout(until.saturating_duration_since(Instant::now())) {
            sequence = sequence.wrapping_add(1);
            let (media_time, data) = (packet.media_time, packet.data);
            voice.push(Received { sequence, media_time, arrived_at: Instant::now(), data });
        }
        let (status, own) = (far.status(), near.status());
        let late: Vec<f64> = status.speaker.heard.iter().map(|mark| mark.late.as_secs_f64() * 1e3).collect();
        // The first three are for finding the delay.
        let late = late.get(3..).unwrap_or_default();
        println!(
            "| {name} | {:.1}, {:.1}, {:.1} | {} | {} | {} |",
            quantile(late, 0.5),
            quantile(late, 0.95),
            quantile(late, 1.0),
            late.len(),
            own.tick_time.as_micros(),
            own.missed + status.missed
        );
    }
    println!();
}

/// Links in virtual time.
fn links(seconds: f64) {
    println!(
        "| link | packets | mouth to ear p50, p95 ms | made up % | longest gap ms | segmental SNR dB | kbit/s | lip sync ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let plain = Cleaning { echo: false, noise: false, gain: false };
    for (thrift, packets) in [(Thrift::Quick, "10 ms"), (Thrift::Thrifty, "20 ms")] {
        for (name, jitter, loss) in [
            ("clean", 0.0, 0.0),
            ("5 % loss", 0.0, 0.05),
            ("30 ms jitter", 60.0, 0.0),
            ("30 ms jitter, 5 % loss", 60.0, 0.05),
            ("30 ms jitter, 15 % loss", 60.0, 0.15),
        ] {
            let travel = |n: usize| (spread(n ^ 0x5555) >= loss).then(|| 0.3 + jitter * spread(n));
            let picture = |n: u64| 45.0 + jitter * spread(n as usize);
            let mut marked = Call::new(thrift, plain);
            marked.set_loss(loss as f32);
            marked.run(seconds, &mut test_voice, travel, picture);
            let marks = marked.marks();
            let speech = |travel: &dyn Fn(usize) -> Option<f64>, loss: f32| {
                let mut talker = Talker::new(118.0, 3);
                let mut call = Call::new(thrift, plain);
                call.set_loss(loss);
                let mut mouth = |_| -> [f32; BLOCK] { std::array::from_fn(|_| talker.sample()) };
                call.run(seconds.min(30.0), &mut mouth, travel, picture);
                call
            };
            let (reference, rough) = (speech(&|_| Some(0.3), loss as f32), speech(&travel, loss as f32));
            let counts = rough.counts();
            let length = rough.heard.len() as f64;
            let lips = &rough.lip_sync[rough.lip_sync.len() / 3..];
            println!(
                "| {name} | {packets} | {:.0}, {:.0} | {:.2} | {:.0} | {:.1} | {:.0} | {:.0}..{:.0} |",
                quantile(&marks, 0.5),
                quantile(&marks, 0.95),
                counts.concealed as f64 / length * 100.0,
                counts.longest_gap as f64 / 48.0,
                segmental_snr(&reference.heard[96_000..], &rough.heard[96_000..]),
                rough.bytes as f64 * 8e-3 / (length / 48_000.0),
                quantile(lips, 0.0),
                quantile(lips, 1.0),
            );
        }
    }
    println!();
}

/// A laptop in a small office.
fn echoes() {
    println!(
        "| reverberation | near speaker against echo | echo softer by dB | after s | near softer by dB | cut % | us per 10 ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (reverberation, near_db) in [(0.2, 0.0), (0.2, 6.0), (0.2, -6.0), (0.4, 0.0)] {
        let figures = echo::measure(Scene { reverberation, near_db });
        println!(
            "| {:.0} ms | {near_db:+} dB | {:.1} | {} | {:.1} | {:.0} | {} |",
            reverberation * 1e3,
            figures.erle_db,
            figures.settled_s,
            figures.near_loss_db,
            figures.near_cut * 100.0,
            figures.spent.as_micros()
        );
    }
}
