use std::f64::consts::PI;

use proptest::prelude::*;

use super::*;

/// A decoder of packets that hold the number of their own block: what it plays is a tone that knows its own time.
#[derive(Default)]
struct Tone {
    /// Where the last packet ended: made-up sound is silence.
    concealed: usize,
    recovered: usize,
}

const HERTZ: f64 = 200.0;

fn tone(sample: i64) -> f32 {
    ((sample as f64 / f64::from(RATE) * HERTZ * 2.0 * PI).sin() * 0.5) as f32
}

impl Tone {
    fn put(number: u32, samples: usize, sound: &mut Vec<f32>) {
        let from = i64::from(number) * BLOCK as i64;
        sound.extend((from..from + samples as i64).map(tone));
    }
}

fn number(data: &[u8]) -> u32 {
    data.get(1..5).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

impl Decode for Tone {
    fn packet(&mut self, data: &[u8], sound: &mut Vec<f32>) -> Option<usize> {
        let samples = opus::samples(data)?;
        Self::put(number(data), samples, sound);
        Some(samples)
    }

    fn recover(&mut self, data: &[u8], samples: usize, sound: &mut Vec<f32>) {
        self.recovered += 1;
        Self::put(number(data) - 1, samples, sound);
    }

    fn conceal(&mut self, samples: usize, sound: &mut Vec<f32>) {
        self.concealed += samples;
        sound.resize(sound.len() + samples, 0.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn start() -> Instant {
    Instant::now()
}

/// A link in virtual time: packet `n` of 10 ms is captured at `10 n` ms and arrives when `travel` says, in ms after the
/// end of its capture; `None` is lost. The sender's clock is `ppm` fast.
struct Link {
    start: Instant,
    playout: Playout,
    decoder: Tone,
    played: Vec<f32>,
    block: u64,
    packet: u32,
    sequence: u16,
    ppm: f64,
    on_the_way: Vec<(Instant, Received)>,
    /// Milliseconds from capture to playing, for each block while something plays.
    delays: Vec<f64>,
}

impl Link {
    fn new() -> Self {
        Self {
            start: start(),
            playout: Playout::default(),
            decoder: Tone::default(),
            played: Vec::new(),
            block: 0,
            packet: 0,
            sequence: 65_500,
            ppm: 0.0,
            on_the_way: Vec::new(),
            delays: Vec::new(),
        }
    }

    fn run(&mut self, seconds: f64, mut travel: impl FnMut(u32) -> Option<f64>) -> &mut Self {
        let until = self.block + (seconds * 100.0) as u64;
        while self.block < until {
            // Blocks are played 5 ms after packets end, as two clocks may stand.
            let now = self.start + Duration::from_millis(self.block * 10 + 5);
            loop {
                let captured = f64::from(self.packet + 1) * 0.01 / (1.0 + self.ppm * 1e-6);
                if self.start + Duration::from_secs_f64(captured) > now {
                    break;
                }
                let late = travel(self.packet);
                self.sequence = self.sequence.wrapping_add(1);
                if let Some(late) = late {
                    self.send(self.start + Duration::from_secs_f64(captured + late * 1e-3));
                }
                self.packet += 1;
            }
            self.play(now);
        }
        self
    }

    fn send(&mut self, arrived_at: Instant) {
        let mut data = vec![0b1111_0000];
        data.extend(self.packet.to_be_bytes());
        // The clock of sound wraps in the middle of every test.
        let media_time = SoundTime(u32::MAX - 48_000).plus(self.packet * BLOCK as u32);
        let packet = Received { sequence: self.sequence, media_time, arrived_at, data: data.into() };
        self.on_the_way.push((arrived_at, packet));
    }

    fn play(&mut self, now: Instant) {
        self.on_the_way.sort_by_key(|(at, _)| *at);
        while self.on_the_way.first().is_some_and(|(at, _)| *at <= now) {
            self.playout.handle_packet(self.on_the_way.remove(0).1);
        }
        if let Some(position) = self.playout.position() {
            let captured = f64::from(position.samples_since(SoundTime(u32::MAX - 48_000))) / 48e3;
            self.delays.push(((now - self.start).as_secs_f64() - captured / (1.0 + self.ppm * 1e-6)) * 1e3);
        }
        let mut out = [0.0; BLOCK];
        self.playout.block(now, &mut self.decoder, &mut out);
        self.played.extend(out);
        self.block += 1;
    }

    /// Mean delay of the last seconds, in ms.
    fn delay(&self, seconds: usize) -> f64 {
        let last = &self.delays[self.delays.len() - seconds * 100..];
        last.iter().sum::<f64>() / last.len() as f64
    }

    /// The largest step between neighbours after the first second: a click shows here.
    fn step(&self) -> f32 {
        self.played[48_000..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }
}

/// The largest step within the tone itself.
const SMOOTH: f32 = 0.5 * 2.0 * 3.15 * 200.0 / 48_000.0;

/// An even spread over [0, 1) that is the same in each run.
fn spread(n: u32) -> f64 {
    f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24)
}

#[test]
fn a_steady_link_is_played_within_a_block_of_its_arrival_and_untouched() {
    let mut link = Link::new();
    link.run(20.0, |_| Some(1.0));
    assert_eq!((link.decoder.concealed, link.playout.counts().late), (0, 0));
    assert!(link.delay(10) < 10.0 + 1.0 + 10.0 + 2.0, "{} ms", link.delay(10));
    assert!(link.step() < SMOOTH * 1.05, "{}", link.step());
    let counts = link.playout.counts();
    assert!(counts.removed + counts.inserted < 2000, "{counts:?}");
}

#[test]
fn thirty_ms_of_jitter_leave_no_hole_after_the_first_moments() {
    let mut link = Link::new();
    link.run(5.0, |n| Some(60.0 * spread(n)));
    let before = link.decoder.concealed;
    link.run(60.0, |n| Some(60.0 * spread(n)));
    assert_eq!(link.decoder.concealed - before, 0, "{:?}", link.playout.counts());
    assert!(link.delay(30) < 10.0 + 60.0 + 20.0, "{} ms", link.delay(30));
}

#[test]
fn with_jitter_and_loss_no_gap_is_longer_than_60_ms() {
    let mut link = Link::new();
    link.run(120.0, |n| (spread(n ^ 0x5555) > 0.05).then(|| 60.0 * spread(n)));
    let counts = link.playout.counts();
    assert!(counts.longest_gap <= 60 * 48, "{counts:?}");
    assert!(counts.recovered > 200 * 480, "{counts:?}");
    let share = counts.concealed as f64 / (120.0 * 48e3);
    assert!(share < 0.01, "{share} of the sound is made up: {counts:?}");
}

#[test]
fn a_lost_packet_is_made_from_the_next_one_when_that_is_there() {
    let mut link = Link::new();
    // The next packet comes together with the lost one's own time: jitter has made the playout wait.
    link.run(20.0, |n| (n % 50 != 7 || n < 500).then(|| 30.0 * spread(n)));
    assert!(link.decoder.recovered >= 20, "{}", link.decoder.recovered);
}

#[test]
fn where_packets_are_lost_but_come_evenly_one_more_is_waited_for_and_tells_of_them() {
    let mut link = Link::new();
    link.run(5.0, |_| Some(1.0));
    let alone = link.delay(1);
    link.run(10.0, |n| (spread(n ^ 0x5555) > 0.05).then_some(1.0));
    let before = link.playout.counts();
    link.run(30.0, |n| (spread(n ^ 0x5555) > 0.05).then_some(1.0));
    let counts = link.playout.counts();
    let (concealed, recovered) = (counts.concealed - before.concealed, counts.recovered - before.recovered);
    assert!(recovered > 10 * concealed.max(1), "{concealed} made up, {recovered} recovered");
    assert!((9.0..16.0).contains(&(link.delay(1) - alone)), "{alone} ms, then {} ms", link.delay(1));
    link.run(15.0, |_| Some(1.0));
    assert!((link.delay(1) - alone).abs() < 6.0, "{alone} ms, later {} ms", link.delay(1));
}

#[test]
fn when_the_link_calms_down_the_delay_comes_back_without_a_click() {
    let mut link = Link::new();
    link.run(10.0, |n| Some(100.0 * spread(n)));
    let jittery = link.delay(2);
    let concealed = link.decoder.concealed;
    link.played.clear();
    link.run(20.0, |_| Some(1.0));
    assert!(jittery > 100.0 && link.delay(5) < 25.0, "{jittery} ms, then {} ms", link.delay(5));
    assert_eq!(link.decoder.concealed, concealed);
    assert!(link.step() < SMOOTH * 1.3, "{} against {SMOOTH}", link.step());
}

#[test]
fn a_way_that_grows_longer_is_followed_with_a_short_gap_only() {
    let mut link = Link::new();
    link.run(10.0, |_| Some(5.0)).run(10.0, |_| Some(55.0));
    assert!(link.playout.counts().longest_gap <= 60 * 48, "{:?}", link.playout.counts());
    assert!((65.0..85.0).contains(&link.delay(5)), "{} ms", link.delay(5));
}

#[test]
fn clocks_that_drift_for_minutes_neither_pile_up_nor_run_dry() {
    for ppm in [-200.0, 200.0] {
        let mut link = Link { ppm, ..Link::new() };
        link.run(300.0, |n| Some(2.0 + 3.0 * spread(n)));
        assert!((8.0..35.0).contains(&link.delay(10)), "{ppm} ppm: {} ms", link.delay(10));
        let share = link.decoder.concealed as f64 / (300.0 * 48e3);
        assert!(share < 0.002, "{ppm} ppm: {share} is made up, {:?}", link.playout.counts());
    }
}

#[test]
fn silence_of_the_sender_is_no_loss_and_speech_begins_whole() {
    let mut link = Link::new();
    for _ in 0..10 {
        link.run(1.0, |_| Some(2.0));
        // The sender's numbers do not go on while it is silent.
        let sequence = link.sequence;
        link.run(0.7, |_| None);
        link.sequence = sequence;
    }
    link.run(1.0, |_| Some(2.0));
    let sequence = link.sequence;
    link.run(5.0, |_| None);
    link.sequence = sequence;
    link.run(1.0, |_| Some(2.0));
    let counts = link.playout.counts();
    assert_eq!((counts.late, counts.concealed, counts.longest_gap), (0, 0, 0), "{counts:?}");
    assert!(link.delay(1) < 25.0, "{} ms", link.delay(1));
}

#[test]
fn a_loss_in_silence_counts_as_one_packet_however_long_the_silence_was() {
    let mut link = Link::new();
    link.run(1.0, |_| Some(2.0));
    for _ in 0..10 {
        let sequence = link.sequence;
        link.run(0.4, |_| None);
        // One packet was sent within the silence, and lost.
        link.sequence = sequence.wrapping_add(1);
        link.run(0.5, |_| Some(2.0));
    }
    let counts = link.playout.counts();
    assert!(counts.longest_gap <= 480 && counts.concealed <= 10 * 480, "{counts:?}");
}

#[test]
fn after_an_outage_sound_is_back_at_once_with_the_delay_it_had() {
    let mut link = Link::new();
    link.run(10.0, |_| Some(2.0));
    link.run(8.0, |_| None);
    link.run(1.0, |_| Some(2.0));
    assert!(link.delay(1) < 30.0, "{} ms", link.delay(1));
    // A stall: 3 s of packets come all at once.
    link.run(3.0, |n| Some(f64::from(300 - n % 300) * 10.0));
    link.run(5.0, |_| Some(2.0));
    assert!(link.delay(1) < 450.0, "{} ms", link.delay(1));
}

#[test]
fn a_sender_that_starts_over_is_heard() {
    let mut link = Link::new();
    link.run(2.0, |_| Some(2.0));
    link.packet += 100_000;
    let now = link.start + Duration::from_millis(link.block * 10);
    for n in 0..100 {
        link.sequence = link.sequence.wrapping_add(1);
        link.send(now + Duration::from_millis(n * 10));
        link.packet += 1;
    }
    link.packet = 1;
    for n in 0..100 {
        link.play(now + Duration::from_millis(n * 10 + 3));
    }
    let end = &link.played[link.played.len() - 4800..];
    assert!(end.iter().any(|x| x.abs() > 0.4), "it plays");
}

#[test]
fn where_a_picture_takes_longer_sound_waits_and_catches_up_again() {
    let mut link = Link::new();
    link.run(5.0, |_| Some(1.0));
    let alone = link.delay(1);
    link.playout.set_extra(Duration::from_millis(60));
    link.run(10.0, |_| Some(1.0));
    let with = link.delay(1);
    assert!((55.0..80.0).contains(&(with - alone)), "{alone} ms, then {with} ms");
    link.playout.set_extra(Duration::ZERO);
    link.run(10.0, |_| Some(1.0));
    assert!(link.delay(1) < alone + 8.0, "{} ms", link.delay(1));
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_ten_ms_are_played_and_no_more_than_its_bound_is_kept(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..6), 0..3000_u64), 0..400)
    ) {
        let start = start();
        let mut playout = Playout::default();
        let mut decoder = Tone::default();
        let mut out = [0.0; BLOCK];
        for (n, (sequence, time, data, at)) in packets.into_iter().enumerate() {
            let arrived_at = start + Duration::from_millis(at);
            playout.handle_packet(Received { sequence, media_time: SoundTime(time), arrived_at, data: data.into() });
            playout.block(start + Duration::from_millis(n as u64 * 10), &mut decoder, &mut out);
            prop_assert!(playout.packets.len() <= PACKETS_MAX && playout.sound.len() <= 4 * opus::SAMPLES_MAX);
            prop_assert!(out.iter().all(|x| x.is_finite()));
        }
    }
}
