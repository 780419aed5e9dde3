//! The drive command: a fixed little-endian datagram on channel `control`.

use super::Axis;
use super::wire::{DatagramError, NONE16, Reader, Shape, Tail, Writer, some16};
use crate::video::FrameId;

/// One command from the driver, as the channel `control` carries it (docs/PROTOCOL.md).
///
/// | offset | field |
/// |---|---|
/// | 0 | version, 1 |
/// | 1 | type, 1 |
/// | 2 | flags |
/// | 3 | how many of the two earlier commands are filled in, 0 to 2 |
/// | 4 | lease epoch, u32 |
/// | 8 | sequence, u32, one more with each datagram, wrapping |
/// | 12 | `car_ms_echo`, u32: newest robot time the driver holds, ms |
/// | 16 | `hold_ms`, u16: time since that arrived; 65535: there is no echo |
/// | 18 | throttle, i16, 32767 is full forward |
/// | 20 | steer, i16, 32767 is full right |
/// | 22 | pan, i16 |
/// | 24 | tilt, i16 |
/// | 26 | id of the displayed frame, u16 |
/// | 28 | ms since the displayed picture last changed, u16; 65535: none is displayed |
/// | 30 | the command before this: flags u8, zero u8, throttle, steer, pan, tilt i16 |
/// | 40 | the command before that, alike |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriveCommand {
    /// The lease under which the driver drives; zero is none.
    pub lease: u32,
    /// One more with each command of a lease, wrapping.
    pub sequence: u32,
    /// The robot's clock, sent back.
    pub echo: Option<Echo>,
    /// What the driver sees.
    pub displayed: Option<Displayed>,
    /// What the driver wants at this moment.
    pub controls: Controls,
    /// The two commands before this one, newest first.
    pub earlier: [Option<Controls>; 2],
}

/// The robot's clock, sent back by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Newest robot time that the driver holds, in ms modulo 2^32.
    pub car_ms: u32,
    /// How long the driver has held it, in ms; saturates at 65534.
    pub hold_ms: u16,
}

/// The picture on the driver's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displayed {
    /// Its id.
    pub frame: FrameId,
    /// Time since it replaced the one before, in ms; saturates at 65534.
    pub unchanged_ms: u16,
}

/// Axes and buttons of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Controls {
    /// Buttons.
    pub flags: Flags,
    /// Forward positive.
    pub throttle: Axis,
    /// Right positive.
    pub steer: Axis,
    /// Camera to the right positive.
    pub pan: Axis,
    /// Camera up positive.
    pub tilt: Axis,
}

/// The buttons of a command, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No button.
    pub const NONE: Self = Self(0);
    /// The dead man's control is held.
    pub const DEADMAN: Self = Self(1);
    /// The driver wants the car armed. Arming happens on its rising edge, disarming on its falling one.
    pub const ARM: Self = Self(1 << 1);
    /// Emergency stop; in every command until the driver resets it.
    pub const EMERGENCY_STOP: Self = Self(1 << 2);
    /// Brake.
    pub const BRAKE: Self = Self(1 << 3);
    /// The higher limit is wanted.
    pub const BOOST: Self = Self(1 << 4);
    /// Lights on.
    pub const LIGHTS: Self = Self(1 << 5);
    /// Horn.
    pub const HORN: Self = Self(1 << 6);
    /// The freely used output.
    pub const AUX: Self = Self(1 << 7);

    /// Flags from their bits; every bit means something.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl DriveCommand {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 50;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        let earlier = match self.earlier {
            [None, _] => 0,
            [Some(_), None] => 1,
            [Some(_), Some(_)] => 2,
        };
        out.u8(VERSION).u8(KIND).u8(self.controls.flags.0).u8(earlier).u32(self.lease).u32(self.sequence);
        match self.echo {
            Some(echo) => out.u32(echo.car_ms).u16(echo.hold_ms.min(NONE16 - 1)),
            None => out.u32(0).u16(NONE16),
        };
        self.controls.encode_axes(&mut out);
        match self.displayed {
            Some(shown) => out.u16(shown.frame.0).u16(shown.unchanged_ms.min(NONE16 - 1)),
            None => out.u16(0).u16(NONE16),
        };
        for (index, controls) in self.earlier.iter().enumerate() {
            let controls =
                if index < earlier as usize { controls.unwrap_or_default() } else { Controls::default() };
            out.u8(controls.flags.0).u8(0);
            controls.encode_axes(&mut out);
        }
        out.finish()
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// On any other length, version or type, and when more than two earlier commands are announced.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let mut fields = SHAPE.open(bytes)?;
        let flags = Flags(fields.u8());
        let filled = fields.u8();
        if filled > 2 {
            return Err(DatagramError::Field {
                name: SHAPE.name,
                field: "earlier",
                value: u32::from(filled),
            });
        }
        let lease = fields.u32();
        let sequence = fields.u32();
        let car_ms = fields.u32();
        let echo = some16(fields.u16()).map(|hold_ms| Echo { car_ms, hold_ms });
        let controls = Controls::decode_axes(flags, &mut fields);
        let frame = FrameId(fields.u16());
        let displayed = some16(fields.u16()).map(|unchanged_ms| Displayed { frame, unchanged_ms });
        let earlier = [0, 1].map(|index| {
            let flags = Flags(fields.u8());
            fields.u8();
            let controls = Controls::decode_axes(flags, &mut fields);
            (index < filled).then_some(controls)
        });
        Ok(Self { lease, sequence, echo, displayed, controls, earlier })
    }
}

impl Controls {
    fn encode_axes<const N: usize>(&self, out: &mut Writer<N>) {
        for axis in [self.throttle, self.steer, self.pan, self.tilt] {
            out.i16(axis.to_wire());
        }
    }

    fn decode_axes(flags: Flags, fields: &mut Reader<'_>) -> Self {
        let [throttle, steer, pan, tilt] = [(); 4].map(|()| Axis::from_wire(fields.i16()));
        Self { flags, throttle, steer, pan, tilt }
    }
}

const VERSION: u8 = 1;
const KIND: u8 = 1;
const SHAPE: Shape =
    Shape { name: "control", version: VERSION, kind: KIND, len: DriveCommand::LEN, tail: Tail::Refused };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], want: &str) {
        assert_eq!(DriveCommand::decode(bytes).unwrap_err().to_string(), want);
    }

    #[test]
    fn a_wrong_datagram_is_told_what_is_wrong_with_it() {
        check(&[], "control datagram has 0 bytes, want 50");
        check(&[1, 1, 0, 0, 0, 0, 0], "control datagram has 7 bytes, want 50");
        check(&[1; 51], "control datagram has 51 bytes, want 50");
        check(&[2; 50], "control datagram has version 2, want 1");
        check(&[1, 9, 0, 0], "control datagram has type 9, want 1");
        let mut three = [0; 50];
        three[..4].copy_from_slice(&[1, 1, 0, 3]);
        check(&three, "control datagram has earlier 3, which means nothing");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_command_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            DriveCommand::decode(&bytes).ok();
        }

        #[test]
        fn a_decoded_command_encodes_to_itself(mut bytes in proptest::array::uniform32(any::<u8>()), filled in 0u8..3) {
            let mut datagram = [0; DriveCommand::LEN];
            bytes[..2].copy_from_slice(&[VERSION, KIND]);
            bytes[3] = filled;
            datagram[..32].copy_from_slice(&bytes);
            let command = DriveCommand::decode(&datagram).unwrap();
            prop_assert_eq!(DriveCommand::decode(&command.encode()), Ok(command));
        }
    }
}
