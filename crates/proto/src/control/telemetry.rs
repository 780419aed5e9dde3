//! Telemetry datagrams: what the robot tells about itself, 20 times a second in brief and twice in full.

use super::status::{Faults, Refusal, Status, refusal_from_wire, refusal_to_wire};
use super::wire::{DatagramError, NONE16, Shape, Tail, Writer, some16};
use super::{Axis, Flags};
use crate::video::CarTime;

/// One datagram of the channel `telemetry` from the robot, besides [`super::probe::Pong`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Telemetry {
    /// 20 times a second.
    Fast(Fast),
    /// Twice a second.
    Slow(Slow),
}

/// Brief telemetry, 20 Hz.
///
/// | offset | field |
/// |---|---|
/// | 0 | version, 1 |
/// | 1 | type, 2 |
/// | 2 | state: 0 disarmed, 1 armed, 2 link loss, 3 stopped |
/// | 3 | why it is disarmed, in the order of `DisarmReason` |
/// | 4 | boot, u32 |
/// | 8 | robot time, µs, u64 |
/// | 16 | lease epoch, u32 |
/// | 20 | sequence of the last accepted command, u32 |
/// | 24 | applied throttle, i16 |
/// | 26 | applied steering, i16 |
/// | 28 | loop age, ms, u16 |
/// | 30 | age of the picture on the driver's screen, ms, u16 |
/// | 32 | time since the last accepted command, ms, u16 |
/// | 34 | share of throttle that the governor leaves, permille, u16 |
/// | 36 | commands lost in the last second, permille, u16 |
/// | 38 | throttle limit in force, permille, u16 |
/// | 40 | faults, one bit each, u16 |
/// | 42 | what stands against arming: 0 nothing, else 1 + the order of `Refusal` |
/// | 43 | buttons in force, as in a command |
/// | 44 | speed, cm/s, i16 |
/// | 46 | laps completed, u16 |
/// | 48 | time of the lap under way, ms, u32 |
///
/// A `u16` of 65535 means that there is no value; later versions may append fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fast {
    /// State of the failsafe.
    pub status: Status,
    /// Differs each time the robot's process starts.
    pub boot: u32,
    /// The robot's clock when this was sent; the driver echoes its milliseconds.
    pub car_time: CarTime,
    /// The lease in force; zero is none.
    pub lease: u32,
    /// Sequence of the last accepted command; zero before the first.
    pub sequence: u32,
    /// Throttle as applied, after limits and governor.
    pub throttle: Axis,
    /// Steering as applied.
    pub steer: Axis,
    /// Age of the last accepted command's echo, in ms.
    pub loop_age_ms: Option<u16>,
    /// Age of the picture on the driver's screen when the last command arrived, in ms.
    pub picture_age_ms: Option<u16>,
    /// Time since the last accepted command, in ms.
    pub silence_ms: Option<u16>,
    /// Share of throttle that the latency governor leaves, in permille.
    pub governor_permille: u16,
    /// Commands lost in the last second, in permille of those sent.
    pub loss_permille: u16,
    /// Throttle limit in force (forward), in permille of full.
    pub limit_permille: u16,
    /// Faults present.
    pub faults: Faults,
    /// What stands against arming; none: raising the arm flag arms.
    pub arm_block: Option<Refusal>,
    /// Buttons in force.
    pub flags: Flags,
    /// Speed over ground, forward positive, in cm/s; none: the car cannot tell.
    pub speed_cm_s: Option<i16>,
    /// Laps completed.
    pub laps: u16,
    /// Time of the lap under way, in ms; none: no lap is timed.
    pub lap_ms: Option<u32>,
}

/// Full telemetry, 2 Hz: what changes slowly and what only a person reads.
///
/// | offset | field | | offset | field |
/// |---|---|---|---|---|
/// | 0 | version, 1 | | 34 | bitrate sent, bit/s, u32 |
/// | 1 | type, 3 | | 38 | bitrate wanted, bit/s, u32 |
/// | 2 | camera: 0 none, 1 opening, 2 live, 3 placeholder | | 42 | frames per second x 10, u16 |
/// | 3 | viewers, u8 | | 44 | picture width, u16 |
/// | 4 | robot time, µs, u64 | | 46 | picture height, u16 |
/// | 12 | battery, mV, u16 | | 48 | capture, µs, u32 |
/// | 14 | battery, mA, i16, discharge positive | | 52 | colour conversion, µs, u32 |
/// | 16 | cells, u8, 0 unknown | | 56 | encode, µs, u32 |
/// | 17 | battery: 0 unknown, 1 good, 2 warn, 3 limited, 4 empty | | 60 | packetise and send, µs, u32 |
/// | 18 | temperature, 0.1 degrees C, i16 | | 64 | last lap, ms, u32 |
/// | 20 | throttling bits of the machine, u8 | | 68 | best lap, ms, u32 |
/// | 21 | radio signal, dBm, i8 | | 72 | latitude, 1e-7 degrees, i32 |
/// | 22 | load, permille of all cores, u16 | | 76 | longitude, 1e-7 degrees, i32 |
/// | 24 | resident memory, KiB, u32 | | 80 | frames dropped before the encoder, u32 |
/// | 28 | RTT, 0.1 ms, u16 | | 84 | camera index, u8, 255 none |
/// | 30 | free disk, MiB, u32 | | 85 | zero, u8 |
///
/// All ones (for signed fields the lowest value) mean that there is no value; later versions may append fields.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slow {
    /// What the camera does.
    pub camera: CameraStatus,
    /// Which of the robot's cameras is sent.
    pub camera_index: Option<u8>,
    /// How many peers get the video.
    pub viewers: u8,
    /// The robot's clock when this was sent.
    pub car_time: CarTime,
    /// Battery voltage, in mV.
    pub battery_mv: Option<u16>,
    /// Battery current, discharge positive, in mA.
    pub battery_ma: Option<i16>,
    /// Cells in series; zero if unknown.
    pub cells: u8,
    /// What the battery guard makes of it.
    pub battery: BatteryLevel,
    /// Temperature of the processor, in tenths of a degree Celsius.
    pub temperature_dc: Option<i16>,
    /// The machine's throttling bits (Raspberry Pi: under-voltage 1, capped 2, throttled 4, soft limit 8).
    pub throttled: u8,
    /// Radio signal, in dBm.
    pub radio_dbm: Option<i8>,
    /// Processor load, in permille of all cores.
    pub load_permille: Option<u16>,
    /// Resident memory of the robot's process, in KiB.
    pub memory_kib: Option<u32>,
    /// Round trip time of the connection, in tenths of a millisecond.
    pub rtt_dms: Option<u16>,
    /// Free space for recordings, in MiB.
    pub disk_mib: Option<u32>,
    /// Video bit rate sent, in bit/s.
    pub bitrate: u32,
    /// Video bit rate wanted from the encoder, in bit/s.
    pub target_bitrate: u32,
    /// Pictures sent per second, in tenths.
    pub fps_tenths: u16,
    /// Width of the picture sent, in pixels; zero without one.
    pub width: u16,
    /// Height of the picture sent, in pixels; zero without one.
    pub height: u16,
    /// Median time from exposure (or drawing) to a raw picture, in µs.
    pub capture_us: Option<u32>,
    /// Median time of colour conversion and scaling, in µs; none if the pictures need neither.
    pub convert_us: Option<u32>,
    /// Median time of encoding, in µs.
    pub encode_us: Option<u32>,
    /// Median time from the end of encoding to the last packet's hand-over to the connection's engine, in µs.
    pub send_us: Option<u32>,
    /// Time of the last lap, in ms.
    pub last_lap_ms: Option<u32>,
    /// Time of the best lap, in ms.
    pub best_lap_ms: Option<u32>,
    /// Latitude and longitude, in 1e-7 degrees.
    pub position: Option<(i32, i32)>,
    /// Pictures dropped before the encoder since the start.
    pub dropped: u32,
}

/// What the robot's camera does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CameraStatus {
    /// There is none.
    #[default]
    None,
    /// It is being opened, or opened again.
    Opening,
    /// It gives pictures.
    Live,
    /// It fails: viewers get a labelled placeholder, which does not count as a picture for the governor.
    Placeholder,
}

/// What the battery guard makes of the voltage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatteryLevel {
    /// No battery is measured.
    #[default]
    Unknown,
    /// Above 3.5 V per cell.
    Good,
    /// 3.5 V per cell or less.
    Warn,
    /// 3.4 V per cell or less: throttle at most 30 %.
    Limited,
    /// 3.2 V per cell or less: disarmed.
    Empty,
}

impl Telemetry {
    /// Reads a telemetry datagram of either kind.
    ///
    /// # Errors
    /// On another version or type, a datagram too short, or a state unknown here.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        match bytes.get(1) {
            Some(&SLOW_KIND) => Slow::decode(bytes).map(Self::Slow),
            Some(_) | None => Fast::decode(bytes).map(Self::Fast),
        }
    }
}

impl Fast {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 52;
    /// The datagram's byte at 1.
    pub const TYPE: u8 = FAST_KIND;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let (state, reason) = self.status.to_wire();
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(VERSION).u8(FAST_KIND).u8(state).u8(reason).u32(self.boot).u64(self.car_time.0);
        out.u32(self.lease).u32(self.sequence).i16(self.throttle.to_wire()).i16(self.steer.to_wire());
        out.u16(self.loop_age_ms.unwrap_or(NONE16)).u16(self.picture_age_ms.unwrap_or(NONE16));
        out.u16(self.silence_ms.unwrap_or(NONE16)).u16(self.governor_permille).u16(self.loss_permille);
        out.u16(self.limit_permille).u16(self.faults.bits()).u8(refusal_to_wire(self.arm_block));
        out.u8(self.flags.bits()).i16(self.speed_cm_s.unwrap_or(i16::MIN)).u16(self.laps);
        out.u32(self.lap_ms.unwrap_or(u32::MAX)).finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, a datagram too short, or a state unknown here.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape = Shape {
            name: "telemetry",
            version: VERSION,
            kind: FAST_KIND,
            len: Self::LEN,
            tail: Tail::Ignored,
        };
        let mut fields = shape.open(bytes)?;
        let (state, reason) = (fields.u8(), fields.u8());
        let status = Status::from_wire(state, reason).ok_or(DatagramError::Field {
            name: "telemetry",
            field: "state",
            value: u32::from(state),
        })?;
        Ok(Self {
            status,
            boot: fields.u32(),
            car_time: CarTime(fields.u64()),
            lease: fields.u32(),
            sequence: fields.u32(),
            throttle: Axis::from_wire(fields.i16()),
            steer: Axis::from_wire(fields.i16()),
            loop_age_ms: some16(fields.u16()),
            picture_age_ms: some16(fields.u16()),
            silence_ms: some16(fields.u16()),
            governor_permille: fields.u16(),
            loss_permille: fields.u16(),
            limit_permille: fields.u16(),
            faults: Faults::from_bits(fields.u16()),
            arm_block: refusal_from_wire(fields.u8()),
            flags: Flags::from_bits(fields.u8()),
            speed_cm_s: some_i16(fields.i16()),
            laps: fields.u16(),
            lap_ms: some32(fields.u32()),
        })
    }
}

impl Slow {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 86;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let none32 = |value: Option<u32>| value.unwrap_or(u32::MAX);
        let (latitude, longitude) = self.position.unwrap_or((i32::MIN, i32::MIN));
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(VERSION).u8(SLOW_KIND).u8(self.camera as u8).u8(self.viewers).u64(self.car_time.0);
        out.u16(self.battery_mv.unwrap_or(NONE16)).i16(self.battery_ma.unwrap_or(i16::MIN));
        out.u8(self.cells).u8(self.battery as u8).i16(self.temperature_dc.unwrap_or(i16::MIN));
        out.u8(self.throttled).put(self.radio_dbm.unwrap_or(i8::MIN).to_le_bytes());
        out.u16(self.load_permille.unwrap_or(NONE16)).u32(none32(self.memory_kib));
        out.u16(self.rtt_dms.unwrap_or(NONE16)).u32(none32(self.disk_mib));
        out.u32(self.bitrate).u32(self.target_bitrate).u16(self.fps_tenths).u16(self.width).u16(self.height);
        for stage in [self.capture_us, self.convert_us, self.encode_us, self.send_us] {
            out.u32(none32(stage));
        }
        out.u32(none32(self.last_lap_ms)).u32(none32(self.best_lap_ms)).i32(latitude).i32(longitude);
        out.u32(self.dropped).u8(self.camera_index.unwrap_or(u8::MAX)).u8(0).finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, or a datagram too short.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape = Shape {
            name: "slow telemetry",
            version: VERSION,
            kind: SLOW_KIND,
            len: Self::LEN,
            tail: Tail::Ignored,
        };
        let mut fields = shape.open(bytes)?;
        let camera = match fields.u8() {
            1 => CameraStatus::Opening,
            2 => CameraStatus::Live,
            3 => CameraStatus::Placeholder,
            _ => CameraStatus::None,
        };
        Ok(Self {
            camera,
            viewers: fields.u8(),
            car_time: CarTime(fields.u64()),
            battery_mv: some16(fields.u16()),
            battery_ma: some_i16(fields.i16()),
            cells: fields.u8(),
            battery: match fields.u8() {
                1 => BatteryLevel::Good,
                2 => BatteryLevel::Warn,
                3 => BatteryLevel::Limited,
                4 => BatteryLevel::Empty,
                _ => BatteryLevel::Unknown,
            },
            temperature_dc: some_i16(fields.i16()),
            throttled: fields.u8(),
            radio_dbm: Some(fields.i8()).filter(|dbm| *dbm != i8::MIN),
            load_permille: some16(fields.u16()),
            memory_kib: some32(fields.u32()),
            rtt_dms: some16(fields.u16()),
            disk_mib: some32(fields.u32()),
            bitrate: fields.u32(),
            target_bitrate: fields.u32(),
            fps_tenths: fields.u16(),
            width: fields.u16(),
            height: fields.u16(),
            capture_us: some32(fields.u32()),
            convert_us: some32(fields.u32()),
            encode_us: some32(fields.u32()),
            send_us: some32(fields.u32()),
            last_lap_ms: some32(fields.u32()),
            best_lap_ms: some32(fields.u32()),
            position: Some((fields.i32(), fields.i32())).filter(|(latitude, _)| *latitude != i32::MIN),
            dropped: fields.u32(),
            camera_index: Some(fields.u8()).filter(|index| *index != u8::MAX),
        })
    }
}

const fn some32(value: u32) -> Option<u32> {
    if value == u32::MAX { None } else { Some(value) }
}

const fn some_i16(value: i16) -> Option<i16> {
    if value == i16::MIN { None } else { Some(value) }
}

const VERSION: u8 = 1;
const FAST_KIND: u8 = 2;
const SLOW_KIND: u8 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], want: &str) {
        assert_eq!(Telemetry::decode(bytes).unwrap_err().to_string(), want);
    }

    #[test]
    fn a_wrong_datagram_is_told_what_is_wrong_with_it() {
        check(&[], "telemetry datagram has 0 bytes, want 52");
        check(&[1, 2, 0], "telemetry datagram has 3 bytes, want 52");
        check(&[1, 3, 0, 0], "slow telemetry datagram has 4 bytes, want 86");
        check(&[7, 2, 0], "telemetry datagram has version 7, want 1");
        check(&[1, 8, 0], "telemetry datagram has type 8, want 2");
        let mut unknown = [0; Fast::LEN];
        unknown[..3].copy_from_slice(&[1, 2, 9]);
        check(&unknown, "telemetry datagram has state 9, which means nothing");
    }

    proptest! {
        #[test]
        fn any_bytes_give_telemetry_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 2..120), kind in 2u8..4) {
            bytes[..2].copy_from_slice(&[VERSION, kind]);
            if let Ok(Telemetry::Fast(fast)) = Telemetry::decode(&bytes) {
                prop_assert_eq!(Fast::decode(&fast.encode()), Ok(fast));
            }
            if let Ok(Telemetry::Slow(slow)) = Telemetry::decode(&bytes) {
                prop_assert_eq!(Slow::decode(&slow.encode()), Ok(slow));
            }
        }

        #[test]
        fn fields_of_a_later_version_are_ignored(tail in proptest::collection::vec(any::<u8>(), 0..20)) {
            let slow = Slow { viewers: 3, ..Slow::default() };
            let mut bytes = slow.encode().to_vec();
            bytes.extend(tail);
            prop_assert_eq!(Telemetry::decode(&bytes), Ok(Telemetry::Slow(slow)));
        }
    }
}
