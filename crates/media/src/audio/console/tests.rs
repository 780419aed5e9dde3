use super::*;
use crate::audio::figures::link::{Call, segmental_snr, spread, test_voice};
use crate::audio::figures::quantile;

const PLAIN: Cleaning = Cleaning { echo: false, noise: false, gain: false };

fn on_time(_: u64) -> f64 {
    40.0
}

#[test]
fn from_mouth_to_ear_it_takes_less_than_80_ms_on_a_quick_link() {
    for (thrift, most) in [(Thrift::Quick, 70.0), (Thrift::Thrifty, 80.0)] {
        let mut call = Call::new(thrift, Cleaning::default());
        call.run(20.0, &mut test_voice, |_| Some(0.3), on_time);
        let marks = call.marks();
        println!("{thrift:?}: {marks:.1?}");
        assert!(marks.len() >= 15, "{marks:?}");
        let p50 = quantile(&marks, 0.5);
        assert!(p50 < most && p50 > 30.0, "{thrift:?}: {p50} ms");
        assert_eq!(call.counts().concealed, 0);
    }
}

#[test]
fn under_jitter_and_loss_no_gap_is_longer_than_60_ms_and_marks_are_still_heard() {
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.set_loss(0.05);
    let travel = |n: usize| (spread(n ^ 0x5555) > 0.05).then(|| 60.0 * spread(n));
    call.run(60.0, &mut test_voice, travel, on_time);
    let counts = call.counts();
    println!("{counts:?}, marks {:.1?}", call.marks());
    assert!(counts.longest_gap <= 60 * 48, "{counts:?}");
    assert!(counts.recovered > 100 * 480, "{counts:?}");
    assert!(call.marks().len() >= 50, "{:?}", call.marks());
}

#[test]
fn who_is_muted_sends_nothing_and_who_is_silent_next_to_nothing() {
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.set_microphone(Microphone::Muted);
    call.run(2.0, &mut test_voice, |_| Some(1.0), on_time);
    assert_eq!(call.sent, 0);
    assert!(call.speaks_while_muted());
    call.set_microphone(Microphone::On);
    call.run(10.0, &mut |_| [0.0; BLOCK], |_| Some(1.0), on_time);
    assert!(call.sent < 150 && call.sent > 10, "{} packets in 10 s of silence", call.sent);
    let before = call.bytes;
    call.run(10.0, &mut test_voice, |_| Some(1.0), on_time);
    let kbps = (call.bytes - before) as f64 * 8.0 / 10_000.0;
    assert!((15.0..60.0).contains(&kbps), "{kbps} kbit/s");
    assert_eq!(call.counts().late, 0);
}

#[test]
fn a_thrifty_call_sends_half_the_packets_and_less_than_two_thirds_of_the_data() {
    let mut quick = Call::new(Thrift::Quick, PLAIN);
    quick.run(10.0, &mut test_voice, |_| Some(1.0), on_time);
    let mut thrifty = Call::new(Thrift::Quick, PLAIN);
    thrifty.set_thrift(Thrift::Thrifty);
    thrifty.run(10.0, &mut test_voice, |_| Some(1.0), on_time);
    assert!(thrifty.sent * 2 <= quick.sent + 30, "{} and {}", thrifty.sent, quick.sent);
    assert!(thrifty.bytes * 3 < quick.bytes * 2, "{} and {}", thrifty.bytes, quick.bytes);
    assert!(thrifty.marks().len() >= 6, "{:?}", thrifty.marks());
}

#[test]
fn a_voice_is_as_loud_as_set_and_several_together_are_never_too_loud() {
    let loudness = |volume: f32| {
        let mut call = Call::new(Thrift::Quick, PLAIN);
        call.voice().set_volume(volume);
        call.run(4.0, &mut test_voice, |_| Some(1.0), on_time);
        (call.heard[96_000..].iter().map(|x| x * x).sum::<f32>() / 96_000.0).sqrt()
    };
    let (full, half, none) = (loudness(1.0), loudness(0.5), loudness(0.0));
    assert!((full / half - 2.0).abs() < 0.05 && none == 0.0, "{full}, {half}, {none}");
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.voice().set_volume(2.0);
    call.chime();
    call.run(4.0, &mut |tick| test_voice(tick).map(|x| x * 1.9), |_| Some(1.0), on_time);
    let loudest = call.heard.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(loudest <= 1.0 && loudest > 0.9, "{loudest}");
}

#[test]
fn what_is_heard_is_told_with_the_time_at_which_it_was_said() {
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.run(5.0, &mut test_voice, |_| Some(5.0), on_time);
    let heard = call.voice().status().heard.expect("it plays");
    let said = call.epoch();
    // Said so long after the epoch, heard so long after it: the difference is the way from mouth to ear.
    let way = (heard.at - said).as_secs_f64() - f64::from(heard.media_time.0) / 48e3;
    let marks = call.marks();
    let opus_delay = 6.5;
    assert!(
        (way * 1e3 + opus_delay - quantile(&marks, 0.5)).abs() < 4.0,
        "{} ms against {marks:?}",
        way * 1e3
    );
}

#[test]
fn lips_meet_under_jitter_of_both_sound_and_picture() {
    for (sound_jitter, picture, picture_jitter) in [(0.0, 40.0, 0.0), (60.0, 40.0, 30.0), (5.0, 120.0, 40.0)]
    {
        let mut call = Call::new(Thrift::Quick, PLAIN);
        let travel = |n: usize| Some(1.0 + sound_jitter * spread(n));
        call.run(30.0, &mut test_voice, travel, |n| picture + picture_jitter * spread(n as usize));
        // The first seconds are for finding each other.
        let late = &call.lip_sync[300..];
        let (early, latest) = (quantile(late, 0.0), quantile(late, 1.0));
        println!("{sound_jitter} ms, {picture} ms, {picture_jitter} ms: {early:.1}..{latest:.1} ms");
        assert!(late.len() > 500 && early >= -45.0 && latest <= 80.0, "{early}..{latest}");
    }
}

#[test]
fn speech_stays_near_what_was_said_under_jitter_and_loss() {
    let mut alone = crate::audio::figures::talker::Talker::new(118.0, 3);
    let said: Vec<[f32; BLOCK]> = (0..2000).map(|_| std::array::from_fn(|_| alone.sample())).collect();
    let mut mouth = |tick: u64| said[tick as usize];
    let mut clean = Call::new(Thrift::Quick, PLAIN);
    clean.run(20.0, &mut mouth, |_| Some(0.3), on_time);
    let mut rough = Call::new(Thrift::Quick, PLAIN);
    rough.set_loss(0.05);
    let travel = |n: usize| (spread(n ^ 0x5555) > 0.05).then(|| 60.0 * spread(n));
    rough.run(20.0, &mut mouth, travel, on_time);
    let same = segmental_snr(&clean.heard, &clean.heard);
    let snr = segmental_snr(&clean.heard[96_000..], &rough.heard[96_000..]);
    println!("{same:.1} dB, under jitter and loss {snr:.1} dB, {:?}", rough.counts());
    assert!(same > 33.0 && snr > 8.0, "{same} dB, {snr} dB");
}
