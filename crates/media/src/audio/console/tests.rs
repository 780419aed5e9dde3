use farwheel_proto::sound::Received;

use super::*;
use crate::audio::marks::{Ear, voice};
use crate::audio::voice::Voice;

/// Two consoles in virtual time: what one microphone hears, the other's speaker plays.
struct Call {
    start: Instant,
    near: Console,
    far: Console,
    voice: Voice,
    tick: u64,
    sequence: u16,
    on_the_way: Vec<Received>,
    sent: usize,
    bytes: usize,
    heard: Vec<f32>,
}

/// What a microphone hears at this tick.
type Mouth<'a> = &'a dyn Fn(u64) -> [f32; BLOCK];

const PLAIN: Cleaning = Cleaning { echo: false, noise: false, gain: false };
/// Devices of 10 ms and their rings: as measured with the synthetic ones.
const AGO: Duration = Duration::from_millis(23);
const HEARD_IN: Duration = Duration::from_millis(13);

fn test_voice(tick: u64) -> [f32; BLOCK] {
    // Taken up `AGO` before the tick, on a clock whose zero is the first tick's.
    let begin = 1_000_000_000 + tick * 10_000_000 - AGO.as_nanos() as u64;
    std::array::from_fn(|n| voice(begin + n as u64 * 1_000_000_000 / u64::from(RATE)))
}

impl Call {
    fn new(thrift: Thrift, cleaning: Cleaning) -> Self {
        let start = Instant::now() + Duration::from_secs(10);
        let epoch = start - Duration::from_secs(5);
        let near = Console::new(epoch, cleaning, thrift).expect("memory");
        let mut far = Console::new(epoch, PLAIN, thrift).expect("memory");
        let (voice, shared) = Voice::new();
        far.add(shared).expect("memory");
        Self {
            start,
            near,
            far,
            voice,
            tick: 0,
            sequence: 65_000,
            on_the_way: Vec::new(),
            sent: 0,
            bytes: 0,
            heard: Vec::new(),
        }
    }

    /// `travel` says for each packet how many ms it takes; `None` is lost.
    fn run(&mut self, seconds: f64, mouth: Mouth<'_>, mut travel: impl FnMut(usize) -> Option<f64>) {
        for _ in 0..(seconds * 100.0) as usize {
            let now = self.start + Duration::from_millis(self.tick * 10);
            let captured = Captured { block: mouth(self.tick), ago: AGO };
            let packet = self.near.tick(now, HEARD_IN, Some(captured)).packet;
            if let Some(packet) = packet {
                self.sequence = self.sequence.wrapping_add(1);
                self.bytes += packet.data.len();
                if let Some(ms) = travel(self.sent) {
                    let arrived_at = now + Duration::from_secs_f64(ms * 1e-3);
                    let (sequence, media_time, data) = (self.sequence, packet.media_time, packet.data);
                    self.on_the_way.push(Received { sequence, media_time, arrived_at, data });
                }
                self.sent += 1;
            }
            // The other side's ticks are 4 ms after ours.
            let then = now + Duration::from_millis(4);
            self.on_the_way.sort_by_key(|packet| packet.arrived_at);
            let arrived = self.on_the_way.partition_point(|packet| packet.arrived_at <= then);
            for packet in self.on_the_way.drain(..arrived) {
                self.voice.push(packet);
            }
            let ticked = self.far.tick(then, HEARD_IN, None);
            self.heard.extend(ticked.speaker);
            self.tick += 1;
        }
    }

    /// How late each mark was heard, in ms, from mouth to ear.
    fn marks(&self) -> Vec<f64> {
        let mut ear = Ear::default();
        let begin = 1_000_000_000 + 4_000_000 + HEARD_IN.as_nanos() as u64;
        let mut marks = Vec::new();
        for (n, block) in self.heard.chunks_exact(BLOCK).enumerate() {
            marks.extend(ear.hear(begin + n as u64 * 10_000_000, block));
        }
        marks.into_iter().map(|mark| mark.late.as_secs_f64() * 1e3).collect()
    }
}

fn p50(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn from_mouth_to_ear_it_takes_less_than_80_ms_on_a_quick_link() {
    for (thrift, most) in [(Thrift::Quick, 70.0), (Thrift::Thrifty, 80.0)] {
        let mut call = Call::new(thrift, Cleaning::default());
        call.run(20.0, &test_voice, |_| Some(0.3));
        let marks = call.marks();
        println!("{thrift:?}: {marks:.1?}");
        assert!(marks.len() >= 15, "{marks:?}");
        let p50 = p50(marks);
        assert!(p50 < most && p50 > 30.0, "{thrift:?}: {p50} ms");
        assert_eq!(call.voice.status().counts.concealed, 0);
    }
}

#[test]
fn under_jitter_and_loss_no_gap_is_longer_than_60_ms_and_marks_are_still_heard() {
    let spread = |n: usize| f64::from((n as u32).wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24);
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.near.set_loss(0.05).expect("a share");
    call.run(60.0, &test_voice, |n| (spread(n ^ 0x5555) > 0.05).then(|| 60.0 * spread(n)));
    let counts = call.voice.status().counts;
    println!("{counts:?}, marks {:.1?}", call.marks());
    assert!(counts.longest_gap <= 60 * 48, "{counts:?}");
    assert!(counts.recovered > 100 * 480, "{counts:?}");
    assert!(call.marks().len() >= 50, "{:?}", call.marks());
}

#[test]
fn who_is_muted_sends_nothing_and_who_is_silent_next_to_nothing() {
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.near.set_microphone(Microphone::Muted);
    call.run(2.0, &test_voice, |_| Some(1.0));
    assert_eq!(call.sent, 0);
    assert!(call.near.own(call.start + Duration::from_secs(2)).2, "it speaks in vain");
    call.near.set_microphone(Microphone::On);
    call.run(10.0, &|_| [0.0; BLOCK], |_| Some(1.0));
    assert!(call.sent < 150 && call.sent > 10, "{} packets in 10 s of silence", call.sent);
    let before = call.bytes;
    call.run(10.0, &test_voice, |_| Some(1.0));
    let kbps = (call.bytes - before) as f64 * 8.0 / 10_000.0;
    assert!((15.0..60.0).contains(&kbps), "{kbps} kbit/s");
    assert_eq!(call.voice.status().counts.late, 0);
}

#[test]
fn a_thrifty_call_sends_half_the_packets_and_less_than_two_thirds_of_the_data() {
    let mut quick = Call::new(Thrift::Quick, PLAIN);
    quick.run(10.0, &test_voice, |_| Some(1.0));
    let mut thrifty = Call::new(Thrift::Quick, PLAIN);
    thrifty.near.set_thrift(Thrift::Thrifty).expect("a rate");
    thrifty.run(10.0, &test_voice, |_| Some(1.0));
    assert!(thrifty.sent * 2 <= quick.sent + 30, "{} and {}", thrifty.sent, quick.sent);
    assert!(thrifty.bytes * 3 < quick.bytes * 2, "{} and {}", thrifty.bytes, quick.bytes);
    assert!(thrifty.marks().len() >= 6, "{:?}", thrifty.marks());
}

#[test]
fn a_voice_is_as_loud_as_set_and_several_together_are_never_too_loud() {
    let loudness = |volume: f32| {
        let mut call = Call::new(Thrift::Quick, PLAIN);
        call.voice.set_volume(volume);
        call.run(4.0, &test_voice, |_| Some(1.0));
        (call.heard[96_000..].iter().map(|x| x * x).sum::<f32>() / 96_000.0).sqrt()
    };
    let (full, half, none) = (loudness(1.0), loudness(0.5), loudness(0.0));
    assert!((full / half - 2.0).abs() < 0.05 && none == 0.0, "{full}, {half}, {none}");
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.voice.set_volume(2.0);
    call.far.chime();
    call.run(4.0, &|tick| test_voice(tick).map(|x| x * 1.9), |_| Some(1.0));
    let loudest = call.heard.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(loudest <= 1.0 && loudest > 0.9, "{loudest}");
}

#[test]
fn what_is_heard_is_told_with_the_time_at_which_it_was_said() {
    let mut call = Call::new(Thrift::Quick, PLAIN);
    call.run(5.0, &test_voice, |_| Some(5.0));
    let heard = call.voice.status().heard.expect("it plays");
    let said = call.start - Duration::from_secs(5);
    // Said so long after the epoch, heard so long after it: the difference is the way from mouth to ear.
    let way = (heard.at - said).as_secs_f64() - f64::from(heard.media_time.0) / 48e3;
    let marks = call.marks();
    let opus_delay = 6.5;
    assert!((way * 1e3 + opus_delay - p50(marks.clone())).abs() < 4.0, "{} ms against {marks:?}", way * 1e3);
}
