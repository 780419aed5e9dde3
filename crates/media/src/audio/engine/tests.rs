use std::sync::mpsc::{Sender, channel};

use farwheel_proto::sound::Received;

use super::*;

/// What a busy machine may take for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(microphone: Spec, speaker: Spec) -> Config {
    let cleaning = Cleaning { echo: false, noise: false, gain: false };
    Config { epoch: Instant::now(), microphone, speaker, cleaning, thrift: Thrift::Quick }
}

/// Waits until something is so.
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Passes one engine's packets to a voice of another, as a perfect network would.
fn connect(packets: Sender<Packet>) -> impl FnMut(Packet) + Send + 'static {
    // The receiving test may be over already.
    move |packet| drop(packets.send(packet))
}

#[test]
fn a_voice_goes_from_one_engine_to_another_and_the_delay_is_measured() {
    let (sender, packets) = channel();
    let far = Engine::start(config(Spec::None, Spec::Test), |_| {}).expect("an engine");
    let voice = far.add_voice();
    let near = Engine::start(config(Spec::Test, Spec::None), connect(sender)).expect("an engine");
    let mut sequence = 0_u16;
    // The test voice pauses now and then.
    let (mut said, mut played, mut plays) = (0.0_f32, 0.0_f32, false);
    wait("three marks", || {
        for Packet { media_time, data, .. } in packets.try_iter() {
            sequence = sequence.wrapping_add(1);
            voice.push(Received { sequence, media_time, arrived_at: Instant::now(), data });
        }
        let status = voice.status();
        (said, played) = (said.max(near.status().level), played.max(status.level));
        plays |= status.heard.is_some();
        far.status().speaker.heard.len() >= 3
    });
    let heard = far.status().speaker.heard;
    // A busy machine may be late, but never early: the way has 30 ms that nothing can take away.
    assert!(heard.iter().all(|mark| mark.late > Duration::from_millis(25)), "{heard:?}");
    let (near, far) = (near.status(), far.status());
    assert_eq!((near.microphone.used.as_deref(), near.speaker.used), (Some("test"), None));
    assert_eq!((far.microphone.used, far.speaker.used.as_deref()), (None, Some("test")));
    assert!(said > 0.001 && played > 0.001 && plays, "{said}, {played}");
    assert!(near.tick_time > Duration::ZERO && near.microphone.delay > Duration::ZERO);
}

#[test]
fn a_device_is_changed_in_mid_call_and_the_gap_is_measured() {
    let (sender, packets) = channel();
    let engine = Engine::start(config(Spec::Test, Spec::Test), connect(sender)).expect("an engine");
    wait("the first packet", || packets.try_recv().is_ok());
    wait("the speaker", || engine.status().speaker.delay > Duration::ZERO);
    engine.use_microphone(Spec::Test);
    engine.use_speaker(Spec::Test);
    wait("both gaps", || {
        let status = engine.status();
        status.microphone.gap.is_some() && status.speaker.gap.is_some()
    });
    let status = engine.status();
    println!("microphone {:?}, speaker {:?}", status.microphone.gap, status.speaker.gap);
    while packets.try_recv().is_ok() {}
    wait("a packet from the new one", || packets.try_recv().is_ok());
}

#[test]
fn a_device_that_is_not_there_leaves_silence_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.wav");
    let engine = Engine::start(config(Spec::Wav(missing.clone()), Spec::None), |_| {}).expect("an engine");
    wait("a reason", || engine.status().microphone.problem.is_some());
    let status = engine.status().microphone;
    assert!(status.problem.expect("a reason").contains("missing.wav") && status.used.is_none());
    // It is there now: nobody has to ask again.
    write(&missing, 48_000);
    wait("the file", || engine.status().microphone.used.is_some());
    assert_eq!(engine.status().microphone.problem, None);
}

#[test]
fn a_file_is_played_and_what_is_heard_is_written_and_tapped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from.wav"), folder.path().join("to.wav"));
    write(&from, 44_100);
    let (sender, packets) = channel();
    let far = Engine::start(config(Spec::None, Spec::Wav(to.clone())), |_| {}).expect("an engine");
    let (voice, tap) = (far.add_voice(), far.tap());
    let near = Engine::start(config(Spec::Loop(from), Spec::None), connect(sender)).expect("an engine");
    let (mut sequence, mut tapped) = (0_u16, 0.0_f32);
    wait("a second of it", || {
        for Packet { media_time, data, .. } in packets.try_iter() {
            sequence = sequence.wrapping_add(1);
            voice.push(Received { sequence, media_time, arrived_at: Instant::now(), data });
        }
        while let Some(mixed) = tap.try_next() {
            tapped = mixed.samples.iter().fold(tapped, |most, x| most.max(x.abs()));
        }
        sequence > 100 && tapped > 0.1
    });
    drop((near, far));
    assert!(tap.next().is_some() || tap.try_next().is_none());
    let mut reader = hound::WavReader::open(to).expect("it was written");
    let loudest = reader.samples::<i16>().map(|x| x.expect("a sample").unsigned_abs()).max();
    assert!(loudest.is_some_and(|loudest| loudest > 3000), "{loudest:?}");
}

/// Half a second of a loud tone.
fn write(path: &std::path::Path, rate: u32) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file");
    for n in 0..rate {
        let sample = (f64::from(n / 2) / f64::from(rate) * 300.0 * std::f64::consts::TAU).sin() * 16_000.0;
        writer.write_sample(sample as i16).expect("room");
    }
    writer.finalize().expect("a header");
}

#[test]
fn the_systems_own_devices_work_or_say_why_not() {
    let engine = Engine::start(config(Spec::Default, Spec::Default), |_| {}).expect("an engine");
    wait("both known", || {
        let Status { microphone, speaker, .. } = engine.status();
        [microphone, speaker].iter().all(|device| device.used.is_some() || device.problem.is_some())
    });
    let Status { microphone, speaker, .. } = engine.status();
    println!("{microphone:?}\n{speaker:?}");
    for device in [microphone, speaker] {
        assert!(device.used.is_some() != device.problem.is_some(), "{device:?}");
    }
    engine.use_speaker(Spec::Named("No such speaker".to_owned()));
    wait("a reason", || engine.status().speaker.problem.is_some_and(|why| why.contains("No such speaker")));
}
