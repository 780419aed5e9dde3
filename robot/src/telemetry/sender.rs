//! The telemetry thread: what the robot tells about itself, to everyone who is connected.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use farwheel_media::encode::Target;
use farwheel_media::slot::{Slot, Taken};
use farwheel_peer::{Channel, Connection};
use farwheel_proto::control::link_report::{Economy, MadeFor};
use farwheel_proto::control::place::{Outline, Place};
use farwheel_proto::control::telemetry::{BatteryLevel, CameraStatus, Fast, Slow};

use super::links::{self, Growth};
use super::system::{Sample, Sampler};
use crate::camera::world::World;
use crate::clock::CarClock;
use crate::control::{self, Inbox};
use crate::sim;
use crate::thread::{self, Urgency};
use crate::video::{Fanout, Stages, encode, stages};

/// What the telemetry thread reads.
#[derive(Debug)]
pub struct Parts {
    /// Who gets it.
    pub fanout: Arc<Fanout>,
    /// State of control.
    pub control: Arc<control::Board>,
    /// State of the video.
    pub video: Arc<encode::Board>,
    /// Times of the video.
    pub stages: Arc<Stages>,
    /// The simulated car's instruments, if the car is simulated.
    pub world: Option<Arc<World>>,
    /// The car's clock.
    pub clock: CarClock,
    /// Who drives: the pictures are made for that link.
    pub inbox: Arc<Inbox>,
    /// What the encoder aims at before the first picture.
    pub target: Target,
    /// Where free space is looked for.
    pub disk: PathBuf,
}

/// The running thread; joined on drop.
#[derive(Debug)]
pub struct TelemetryThread {
    stop: Slot<()>,
    thread: Option<JoinHandle<()>>,
}

impl TelemetryThread {
    /// Starts to tell.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(parts: Parts) -> Result<Self> {
        let stop = Slot::new();
        let told = stop.clone();
        let thread = thread::spawn("telemetry", Urgency::Network, move || {
            let mut sampler = Sampler::default();
            let mut skipped = Growth::<LINK_SPAN>::default();
            let mut due = Instant::now();
            for count in 0u64.. {
                parts.send_fast();
                if count.is_multiple_of(SLOW_EVERY) {
                    let sample = sampler.sample(&parts.disk);
                    parts.send_slow(sample);
                    parts.send_outline();
                }
                if count.is_multiple_of(LINK_EVERY) {
                    parts.send_link(skipped.look(parts.video.skipped()));
                }
                let now = Instant::now();
                due = (due + PERIOD).max(now);
                if told.take_within(due - now) == Taken::Closed {
                    return;
                }
            }
        })
        .context("start the telemetry thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for TelemetryThread {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a panic ends the process");
        }
    }
}

impl Parts {
    fn send_fast(&self) {
        let Some(fast) = self.control.fast() else { return };
        let viewers = self.fanout.viewers();
        if viewers.is_empty() {
            return;
        }
        let state = self.world.as_ref().map(|world| world.state());
        let fast = Fast {
            // The age of an echo counts from the moment it leaves, not from the last tick.
            car_time: self.clock.now(),
            speed_cm_s: state.map(|state| (state.speed * 100.0) as i16),
            laps: state.map_or(0, |state| state.laps.min(u32::from(u16::MAX)) as u16),
            lap_ms: state.filter(|state| !state.current_lap.is_zero()).map(|state| ms32(state.current_lap)),
            ..fast
        };
        let datagram = Bytes::copy_from_slice(&fast.encode());
        let place = state.map(|state| self.place(&state));
        for viewer in viewers.iter() {
            send(&viewer.connection, datagram.clone());
            // Commands echo its time: without it on this way they would not count on this way alone.
            if let Some(beside) = &viewer.beside {
                send(beside, datagram.clone());
            }
            if let Some(place) = &place {
                send(&viewer.connection, Bytes::copy_from_slice(&place.encode()));
            }
        }
    }

    fn place(&self, state: &sim::State) -> Place {
        let mm = |metres: f32| (metres * 1e3) as i32;
        let heading_urad = (state.heading * 1e6) as i32;
        let car_time = self.clock.now();
        Place { x_mm: mm(state.position.x), y_mm: mm(state.position.y), heading_urad, car_time }
    }

    fn send_outline(&self) {
        let Some(world) = &self.world else { return };
        let cm = |metres: f32| (metres * 1e2) as i16;
        let points: Vec<_> = world.outline().iter().map(|[x, y]| (cm(*x), cm(*y))).collect();
        let datagram = Bytes::from(Outline::new(&points).encode());
        for viewer in self.fanout.viewers().iter() {
            send(&viewer.connection, datagram.clone());
        }
    }

    fn send_slow(&self, sample: Sample) {
        let viewers = self.fanout.viewers();
        let stages = self.stages.snapshot(Instant::now());
        let mut slow = self.slow(sample, stages);
        slow.viewers = viewers.len().min(usize::from(u8::MAX)) as u8;
        for viewer in viewers.iter() {
            let figures = viewer.connection.stats();
            slow.send_us = figures.packetise.map(|took| took.as_micros() as u32);
            slow.rtt_dms =
                figures.rtt.map(|rtt| u16::try_from(rtt.as_micros() / 100).unwrap_or(u16::MAX - 1));
            slow.car_time = self.clock.now();
            send(&viewer.connection, Bytes::copy_from_slice(&slow.encode()));
        }
    }

    fn send_link(&self, skipped: u16) {
        let driver = self.inbox.driver();
        let leader = self.fanout.leader(driver.as_ref());
        let limit = self.inbox.video_limit();
        let rung = self.video.target().unwrap_or(self.target);
        for viewer in self.fanout.viewers().iter() {
            let Some(link) = viewer.connection.link() else { continue };
            let leads =
                leader.as_ref().is_some_and(|leader| leader.connection.conn() == viewer.connection.conn());
            let made_for = if leads { MadeFor::ThisLink } else { MadeFor::Another };
            let stats = viewer.connection.stats();
            let limit = limit.filter(|_| Some(&viewer.peer) == driver.as_ref());
            let economy = if limit.is_some() { Economy::On } else { Economy::Off };
            let max = limit.map_or(self.target.bitrate, |limit| limit.min(self.target.bitrate));
            let camera = Target { bitrate: max, ..self.target };
            let report = links::report(&link, &stats, made_for, economy, (rung, camera), skipped);
            send(&viewer.connection, Bytes::copy_from_slice(&report.encode()));
            let counted = self.control.counted();
            if Some(&viewer.peer) == driver.as_ref() && (viewer.beside.is_some() || counted.beside > 0) {
                send(&viewer.connection, Bytes::copy_from_slice(&counted.encode()));
            }
        }
    }

    fn slow(&self, sample: Sample, stages: stages::Snapshot) -> Slow {
        let state = self.world.as_ref().map(|world| world.state());
        let camera = self.video.camera();
        let target = self.video.target().unwrap_or(self.target);
        let us = |duration: Option<Duration>| duration.map(|d| d.as_micros() as u32);
        Slow {
            camera,
            camera_index: (camera != CameraStatus::None).then(|| self.video.selected()),
            viewers: 0,
            car_time: self.clock.now(),
            battery_mv: state.map(|state| (state.battery_volts * 1000.0) as u16),
            battery_ma: state.map(|state| (state.battery_amps * 1000.0) as i16),
            cells: if state.is_some() { SIM_CELLS } else { 0 },
            battery: self.control.battery().unwrap_or(BatteryLevel::Unknown),
            temperature_dc: sample.temperature_dc,
            throttled: sample.throttled,
            radio_dbm: sample.radio_dbm,
            load_permille: sample.load_permille,
            memory_kib: sample.memory_kib,
            rtt_dms: None,
            disk_mib: sample.disk_mib,
            bitrate: stages.bitrate,
            target_bitrate: target.bitrate.0,
            fps_tenths: stages.fps_tenths,
            width: target.size.width as u16,
            height: target.size.height as u16,
            capture_us: us(stages.capture),
            convert_us: us(stages.convert),
            encode_us: us(stages.encode),
            send_us: None,
            last_lap_ms: state.and_then(|state| state.last_lap).map(ms32),
            best_lap_ms: state.and_then(|state| state.best_lap).map(ms32),
            position: None,
            dropped: self.video.dropped(),
        }
    }
}

fn send(viewer: &Connection, datagram: Bytes) {
    // Refused only while the connection is opening or ending, when nobody looks at it.
    viewer.send(Channel::Telemetry, datagram).ok();
}

fn ms32(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX - 1)
}

/// Cells of the simulated battery.
pub const SIM_CELLS: u8 = 2;
/// 20 Hz (docs/PROTOCOL.md).
const PERIOD: Duration = Duration::from_millis(50);
/// 4 Hz: each fifth of the fast ones.
const LINK_EVERY: u64 = 5;
/// Reports in a second.
const LINK_SPAN: usize = 4;
/// 2 Hz: each tenth of the fast ones.
const SLOW_EVERY: u64 = 10;
