//! The ring between a device's callback and the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, RATE, Regulator, Resampler};
use rtrb::{Consumer, Producer, RingBuffer};

/// What a ring holds. Full: a microphone's newest sound is dropped, a speaker's newest is not put in; either is counted.
const RING: Duration = Duration::from_millis(300);
/// Beside what the device takes or brings at once, so much waits in the ring: what the threads' timing is off by.
const MARGIN: f64 = 0.003;
/// What deviates more than this is set right at once, with a gap, not by pitch.
const JUMP: f64 = 0.05;
/// How often the engine takes and puts.
const TICK: Duration = Duration::from_millis(10);

/// How far a device is. Written in its callback, which neither locks nor allocates.
pub(crate) struct Clock {
    base: Instant,
    /// Odd while it is being written.
    version: AtomicU32,
    frames: AtomicU64,
    at_ns: AtomicU64,
    period: AtomicU32,
    latency_us: AtomicU32,
    hiccups: AtomicU64,
    lost: AtomicBool,
}

impl Clock {
    fn new(period: u32) -> Self {
        Self {
            base: Instant::now(),
            version: AtomicU32::new(0),
            frames: AtomicU64::new(0),
            at_ns: AtomicU64::new(0),
            period: AtomicU32::new(period),
            latency_us: AtomicU32::new(0),
            hiccups: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    fn passed(&self, frames: usize, at: Instant, latency: Duration) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Release);
        self.frames.fetch_add(frames as u64, Ordering::AcqRel);
        let at_ns = at.saturating_duration_since(self.base).as_nanos() as u64;
        // Zero says that it has not begun.
        self.at_ns.store(at_ns.max(1), Ordering::Release);
        self.version.store(version.wrapping_add(2), Ordering::Release);
        self.latency_us.store(latency.as_micros().min(1_000_000) as u32, Ordering::Relaxed);
    }

    /// The device brings or takes so many at once, or more than was thought.
    fn calls_with(&self, frames: usize) {
        self.period.fetch_max(frames as u32, Ordering::Relaxed);
    }

    /// Frames until `now`, as if they came one by one; none before the first callback.
    fn frames(&self, now: Instant, rate: f64) -> Option<f64> {
        let (frames, at_ns) = loop {
            let version = self.version.load(Ordering::Acquire);
            let both = (self.frames.load(Ordering::Acquire), self.at_ns.load(Ordering::Acquire));
            if version.is_multiple_of(2) && self.version.load(Ordering::Acquire) == version {
                break both;
            }
            std::hint::spin_loop();
        };
        let at = self.base + Duration::from_nanos(at_ns);
        let since = match now.checked_duration_since(at) {
            Some(after) => after.as_secs_f64(),
            None => -at.saturating_duration_since(now).as_secs_f64(),
        };
        // A device that stands still is not believed to go on.
        let most = 2.0 * self.period() / rate;
        (at_ns > 0).then(|| frames as f64 + since.min(most) * rate)
    }

    fn period(&self) -> f64 {
        f64::from(self.period.load(Ordering::Relaxed))
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(u64::from(self.latency_us.load(Ordering::Relaxed)))
    }

    pub(super) fn hiccup(&self) {
        self.hiccups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hiccups(&self) -> u64 {
        self.hiccups.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A microphone's end of the ring.
pub(super) struct Source {
    ring: Producer<f32>,
    pub(super) clock: Arc<Clock>,
}

/// A speaker's end of the ring.
pub(super) struct Sink {
    ring: Consumer<f32>,
    pub(super) clock: Arc<Clock>,
}

/// A ring from a microphone of this rate that brings about `period` frames at once.
pub(super) fn intake(rate: u32, period: u32) -> (Source, Intake) {
    let (producer, consumer) = RingBuffer::new(capacity(rate));
    let clock = Arc::new(Clock::new(period));
    let intake = Intake {
        ring: consumer,
        clock: Arc::clone(&clock),
        resampler: Resampler::new(rate, RATE, capacity(rate)),
        regulator: Regulator::default(),
        rate: f64::from(rate),
        taken: 0,
        is_running: false,
        scratch: Vec::with_capacity(capacity(rate)),
    };
    (Source { ring: producer, clock }, intake)
}

/// A ring to a speaker of this rate that takes about `period` frames at once.
pub(super) fn outlet(rate: u32, period: u32) -> (Sink, Outlet) {
    let (producer, consumer) = RingBuffer::new(capacity(rate));
    let clock = Arc::new(Clock::new(period));
    let outlet = Outlet {
        ring: producer,
        clock: Arc::clone(&clock),
        resampler: Resampler::new(RATE, rate, BLOCK),
        regulator: Regulator::default(),
        rate: f64::from(rate),
        put: 0,
        is_running: false,
        scratch: vec![0.0; capacity(rate)],
    };
    (Sink { ring: consumer, clock }, outlet)
}

fn capacity(rate: u32) -> usize {
    (f64::from(rate) * RING.as_secs_f64()) as usize
}

impl Source {
    /// Takes what the device brings, one sample for each frame. Neither locks nor allocates.
    pub(super) fn bring(
        &mut self,
        frames: impl ExactSizeIterator<Item = f32>,
        at: Instant,
        latency: Duration,
    ) {
        let count = frames.len();
        let room = self.ring.slots().min(count);
        if let Ok(chunk) = self.ring.write_chunk_uninit(room) {
            chunk.fill_from_iter(frames);
        }
        if room < count {
            self.clock.hiccup();
        }
        self.clock.calls_with(count);
        self.clock.passed(room, at, latency);
    }
}

impl Sink {
    /// Gives the device what it takes, through `put`, one sample for each frame. Neither locks nor allocates.
    pub(super) fn fetch(
        &mut self,
        count: usize,
        at: Instant,
        latency: Duration,
        mut put: impl FnMut(usize, f32),
    ) {
        let there = self.ring.slots().min(count);
        if let Ok(chunk) = self.ring.read_chunk(there) {
            for (n, sample) in chunk.into_iter().enumerate() {
                put(n, sample);
            }
        }
        for n in there..count {
            put(n, 0.0);
        }
        // What could not be given is not counted: the engine sees the ring as empty as it is.
        if there < count {
            self.clock.hiccup();
        }
        self.clock.calls_with(count);
        self.clock.passed(there, at, latency);
    }
}

/// The engine's end of a microphone.
pub(crate) struct Intake {
    ring: Consumer<f32>,
    clock: Arc<Clock>,
    resampler: Resampler,
    regulator: Regulator,
    rate: f64,
    taken: u64,
    is_running: bool,
    scratch: Vec<f32>,
}

/// 10 ms of a microphone.
pub(crate) enum Taken {
    /// They are there; the first sample was taken up so long ago.
    Sound(Duration),
    /// The device has not begun, or stands still.
    Nothing,
}

impl Intake {
    /// Takes the next 10 ms.
    pub(crate) fn take(&mut self, now: Instant, out: &mut [f32; BLOCK]) -> Taken {
        let Some(brought) = self.clock.frames(now, self.rate) else { return Taken::Nothing };
        let target = self.clock.period() + (TICK.as_secs_f64() + MARGIN) * self.rate;
        let mut waiting = brought - self.taken as f64;
        if !self.is_running || (waiting - target).abs() > JUMP * self.rate {
            if waiting < target {
                // It has just begun, or nothing came for long: wait until enough is there.
                self.is_running = false;
                return Taken::Nothing;
            }
            let surplus = ((waiting - target) as usize).min(self.ring.slots());
            self.discard(surplus);
            waiting -= surplus as f64;
            self.resampler.clear();
            self.is_running = true;
        }
        let nudge = self.regulator.handle_excess((waiting - target) / self.rate, TICK);
        self.resampler.set_slowdown(-nudge);
        let lacks = self.resampler.lacks(BLOCK);
        if self.ring.slots() < lacks {
            self.is_running = false;
            self.clock.hiccup();
            return Taken::Nothing;
        }
        self.scratch.resize(lacks, 0.0);
        self.ring.pop_entire_slice(&mut self.scratch).expect("so many are there");
        self.taken += lacks as u64;
        self.resampler.push(&self.scratch);
        let pulled = self.resampler.pull(out);
        debug_assert_eq!(pulled, BLOCK, "what it lacked was given");
        Taken::Sound(Duration::from_secs_f64(waiting.max(0.0) / self.rate) + self.clock.latency())
    }

    fn discard(&mut self, samples: usize) {
        if let Ok(chunk) = self.ring.read_chunk(samples) {
            chunk.commit_all();
            self.taken += samples as u64;
        }
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    pub(crate) fn drift_ppm(&self) -> f64 {
        self.regulator.drift_ppm()
    }
}

/// The engine's end of a speaker.
pub(crate) struct Outlet {
    ring: Producer<f32>,
    clock: Arc<Clock>,
    resampler: Resampler,
    regulator: Regulator,
    rate: f64,
    put: u64,
    is_running: bool,
    scratch: Vec<f32>,
}

impl Outlet {
    /// Time from now until what is put in is heard.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        let taken = self.clock.frames(now, self.rate).unwrap_or(0.0);
        Duration::from_secs_f64(((self.put as f64 - taken) / self.rate).max(0.0)) + self.clock.latency()
    }

    /// Whether what is put in is heard.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Puts 10 ms in; nothing happens while the device has not begun.
    pub(crate) fn put(&mut self, now: Instant, block: &[f32; BLOCK]) {
        let Some(taken) = self.clock.frames(now, self.rate) else { return };
        let target = self.clock.period() + MARGIN * self.rate;
        let mut waiting = self.put as f64 - taken;
        if !self.is_running || (waiting - target).abs() > JUMP * self.rate {
            if waiting > target {
                // Too much waits: this block is left out.
                self.is_running = true;
                self.clock.hiccup();
                return;
            }
            let silence = ((target - waiting) as usize).min(self.ring.slots());
            self.scratch[..silence].fill(0.0);
            self.ring.push_entire_slice(&self.scratch[..silence]).expect("there is room");
            self.put += silence as u64;
            waiting += silence as f64;
            self.is_running = true;
        }
        let nudge = self.regulator.handle_excess((waiting - target) / self.rate, TICK);
        // More waits than should: the block is made shorter.
        self.resampler.set_slowdown(-nudge);
        self.resampler.push(block);
        let count = self.resampler.ready().min(self.scratch.len());
        let count = self.resampler.pull(&mut self.scratch[..count]);
        let room = count.min(self.ring.slots());
        if room < count {
            self.clock.hiccup();
        }
        self.ring.push_entire_slice(&self.scratch[..room]).expect("there is room");
        self.put += room as u64;
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    pub(crate) fn drift_ppm(&self) -> f64 {
        -self.regulator.drift_ppm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = 100;

    /// A device of 44.1 kHz whose clock is `ppm` fast beside an engine, in virtual time; every 480 of its frames it calls
    /// back. Gives the largest hole or step in the sound, and the delay in ms after the first seconds.
    fn microphone(ppm: f64, seconds: usize) -> (f32, f64, u64) {
        let rate = 44_100.0 * (1.0 + ppm * 1e-6);
        let (mut source, mut intake) = intake(44_100, 441);
        let start = Instant::now();
        let tone = |n: u64| (n as f64 / 44_100.0 * 300.0 * std::f64::consts::TAU).sin() as f32 * 0.5;
        let (mut brought, mut last, mut worst, mut delay) = (0_u64, 0.0, 0.0_f32, 0.0);
        for tick in 0..seconds * SECOND {
            let now = start + Duration::from_millis(tick as u64 * 10);
            while (brought + 441) as f64 / rate <= (now - start).as_secs_f64() {
                let at = start + Duration::from_secs_f64((brought + 441) as f64 / rate);
                source.bring((0..441).map(|n| tone(brought + n as u64)), at, Duration::ZERO);
                brought += 441;
            }
            let mut block = [0.0; BLOCK];
            let taken = intake.take(now, &mut block);
            if tick > 5 * SECOND {
                let Taken::Sound(ago) = taken else { panic!("a hole at {tick}") };
                delay = ago.as_secs_f64() * 1e3;
                for sample in block {
                    worst = worst.max(f32::abs(sample - last));
                    last = sample;
                }
            } else {
                last = block[BLOCK - 1];
            }
        }
        (worst, delay, intake.clock().hiccups())
    }

    #[test]
    fn a_microphone_on_a_clock_of_its_own_is_heard_whole_for_minutes_and_no_later() {
        for ppm in [-200.0, 0.0, 200.0] {
            let (step, delay, hiccups) = microphone(ppm, 180);
            assert_eq!(hiccups, 0, "{ppm} ppm");
            assert!(step < 0.5 * 300.0 / 48e3 * 6.4, "{ppm} ppm: a step of {step}");
            assert!((22.0..25.0).contains(&delay), "{ppm} ppm: {delay} ms");
        }
    }

    #[test]
    fn a_speaker_on_a_clock_of_its_own_neither_runs_dry_nor_over() {
        for (ppm, rate) in [(-200.0, 48_000), (200.0, 48_000), (100.0, 44_100), (-100.0, 96_000)] {
            let real = f64::from(rate) * (1.0 + ppm * 1e-6);
            let period = rate / 100;
            let (mut sink, mut outlet) = outlet(rate, period);
            let start = Instant::now();
            let tone = |n: usize| (n as f64 / 48e3 * 300.0 * std::f64::consts::TAU).sin() as f32 * 0.5;
            let (mut fetched, mut last, mut worst) = (0_u64, 0.0_f32, 0.0_f32);
            for tick in 0..180 * SECOND {
                let now = start + Duration::from_millis(tick as u64 * 10);
                while fetched as f64 / real <= (now - start).as_secs_f64() {
                    let at = start + Duration::from_secs_f64(fetched as f64 / real);
                    sink.fetch(period as usize, at, Duration::ZERO, |_, sample| {
                        if tick > 5 * SECOND {
                            worst = worst.max((sample - last).abs());
                        }
                        last = sample;
                    });
                    fetched += u64::from(period);
                }
                let block = std::array::from_fn(|n| tone(tick * BLOCK + n));
                outlet.put(now, &block);
            }
            assert!(outlet.clock().hiccups() <= 3, "{ppm} ppm: {} hiccups", outlet.clock().hiccups());
            assert!(worst < 0.5 * 300.0 / f32::from(44_100_u16) * 6.5, "{ppm} ppm: a step of {worst}");
            let delay = outlet.delay(start + Duration::from_secs(180)).as_secs_f64() * 1e3;
            assert!((10.0..25.0).contains(&delay), "{ppm} ppm: {delay} ms");
        }
    }

    #[test]
    fn callbacks_allocate_nothing() {
        let (mut source, _intake) = intake(48_000, 480);
        let (mut sink, _outlet) = outlet(48_000, 480);
        let now = Instant::now();
        let mut block = [0.0; BLOCK];
        let before = crate::counting::allocations();
        for n in 0..100 {
            // The ring is full after a while: that must not allocate either.
            source.bring((0..480).map(|_| 0.1), now, Duration::from_millis(n));
            sink.fetch(BLOCK, now, Duration::from_millis(n), |n, sample| block[n] = sample);
        }
        assert_eq!(crate::counting::allocations(), before);
        assert!(source.clock.hiccups() > 0 && sink.clock.hiccups() > 0);
        drop(vec![0_u8; 100]);
        assert!(crate::counting::allocations() > before, "allocations are counted");
    }

    #[test]
    fn a_microphone_that_stalls_and_comes_back_is_no_later_than_before() {
        let (mut source, mut intake) = intake(48_000, 480);
        let start = Instant::now();
        let mut block = [0.0; BLOCK];
        let mut holes = 0;
        for tick in 0..500_u64 {
            let now = start + Duration::from_millis(tick * 10);
            // Nothing for a second, then what was taken up meanwhile, piece by piece.
            let pieces = match tick {
                200..300 => 0,
                300 => 101,
                _ => 1,
            };
            for _ in 0..pieces {
                source.bring((0..480).map(|_| 0.1), now, Duration::ZERO);
            }
            match intake.take(now, &mut block) {
                Taken::Nothing => holes += 1,
                Taken::Sound(ago) => assert!(ago < Duration::from_millis(90), "{tick}: {ago:?}"),
            }
        }
        assert!((95..115).contains(&holes), "{holes}");
    }
}
