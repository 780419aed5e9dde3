//! What an encoder aims at, and which change of it is worth applying.

use farwheel_proto::video::{Bitrate, Size};

use super::Error;

/// What an encoder aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Bits per second over all pictures.
    pub bitrate: Bitrate,
    /// Size of the coded picture.
    pub size: Size,
    /// Pictures per second; the rate divided by this is one picture's share.
    pub fps: u32,
}

impl Target {
    pub(super) fn check(self) -> Result<(), Error> {
        let Self { bitrate, size, fps } = self;
        // 16 is the encoder's own least; 4096x2304 is the most level 5.2 has room for.
        let wide = (16..=4096).contains(&size.width) && (16..=2304).contains(&size.height);
        if !wide || size.width % 2 == 1 || size.height % 2 == 1 {
            return Err(Error::Unsupported(format!("size {size}, want even sides from 16x16 to 4096x2304")));
        }
        if !(1..=120).contains(&fps) {
            return Err(Error::Unsupported(format!("{fps} pictures per second, want 1 to 120")));
        }
        if !(10_000..=100_000_000).contains(&bitrate.0) {
            return Err(Error::Unsupported(format!("{bitrate}, want 10 to 100000 kbit/s")));
        }
        Ok(())
    }
}

/// What a new target asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing worth applying.
    None,
    /// Another rate within the same stream.
    Rate,
    /// Another size: new parameter sets and an IDR picture.
    Stream,
}

impl Change {
    pub(super) fn between(from: Target, to: Target) -> Self {
        let (old, new) = (u64::from(from.bitrate.0), u64::from(to.bitrate.0));
        // More than 5 % down or more than 10 % up.
        let rate = new * 100 < old * 95 || new * 100 > old * 110;
        match () {
            () if from.size != to.size => Self::Stream,
            () if rate || from.fps != to.fps => Self::Rate,
            () => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Target = Target { bitrate: Bitrate(1_000_000), size: Size::new(640, 480), fps: 30 };

    fn check(to: Target, want: Change) {
        assert_eq!(Change::between(BASE, to), want, "{to:?}");
    }

    #[test]
    fn only_changes_that_matter_are_applied() {
        check(BASE, Change::None);
        check(Target { bitrate: Bitrate(950_000), ..BASE }, Change::None);
        check(Target { bitrate: Bitrate(949_999), ..BASE }, Change::Rate);
        check(Target { bitrate: Bitrate(1_100_000), ..BASE }, Change::None);
        check(Target { bitrate: Bitrate(1_100_001), ..BASE }, Change::Rate);
        check(Target { fps: 20, ..BASE }, Change::Rate);
        check(Target { size: Size::new(320, 240), ..BASE }, Change::Stream);
    }

    #[test]
    fn targets_out_of_range_are_refused_in_words() {
        let check = |target: Target, want: &str| {
            let got = target.check().map_or_else(|error| error.to_string(), |()| "fine".into());
            assert!(got.contains(want), "got {got:?}, want {want:?}");
        };
        check(BASE, "fine");
        check(Target { size: Size::new(16, 16), ..BASE }, "fine");
        check(Target { size: Size::new(14, 16), ..BASE }, "size 14x16");
        check(Target { size: Size { width: 641, height: 480 }, ..BASE }, "size 641x480");
        check(Target { size: Size::new(4096, 2304), ..BASE }, "fine");
        check(Target { size: Size::new(4098, 2304), ..BASE }, "size 4098x2304");
        check(Target { fps: 0, ..BASE }, "0 pictures");
        check(Target { fps: 121, ..BASE }, "121 pictures");
        check(Target { bitrate: Bitrate(9_999), ..BASE }, "want 10 to");
        check(Target { bitrate: Bitrate(u32::MAX), ..BASE }, "want 10 to");
    }
}
