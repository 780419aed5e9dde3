//! The sizes that a source may be encoded in.

use super::{Source, Thrift};
use crate::video::{Bitrate, Size};

/// What is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People, who move.
    Camera,
    /// Text, which is to be sharp.
    Screen,
}

/// One size, and the rates at which it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Size, of the source's shape.
    pub size: Size,
    /// Pictures a second.
    pub fps: u32,
    /// Below this the next smaller size looks better.
    pub least: Bitrate,
    /// Above this it looks no better.
    pub enough: Bitrate,
}

/// Height of a picture of 16:9, least and enough rate in kbit/s at 30 pictures a second. The least rates are those of
/// `rate::RUNGS`, measured with OpenH264; enough is where its PSNR grows by less than 0.5 dB for a third more.
const CAMERA: [(u32, u32, u32); 6] = [
    (180, 0, 250),
    (270, 200, 500),
    (360, 350, 900),
    (540, 800, 1600),
    (720, 1800, 2800),
    (1080, 3000, 4500),
];
/// The same for a screen at 15 pictures a second, most of which are like the one before.
const SCREEN: [(u32, u32, u32); 5] =
    [(360, 0, 500), (540, 250, 800), (720, 400, 1500), (1080, 800, 2500), (1440, 2000, 4000)];

const CAMERA_FPS_MAX: u32 = 30;
const SCREEN_FPS_MAX: u32 = 15;
/// No encoder takes a shorter side (`media::encode`).
const SIDE_MIN: u32 = 16;
/// With little to spend: a third of the pictures costs half the data.
const LOW_FPS_MAX: u32 = 10;
/// With little to spend: 113 MB an hour.
const LOW_ENOUGH: Bitrate = Bitrate::from_kbps(250);

/// The rungs of a source, from the smallest that can be encoded to the source's own size; there is at least that.
pub(super) fn rungs(source: Source, thrift: Thrift) -> Vec<Rung> {
    let (table, fps_max) = match source.kind {
        Kind::Camera => (&CAMERA[..], CAMERA_FPS_MAX),
        Kind::Screen => (&SCREEN[..], SCREEN_FPS_MAX),
    };
    let fps_max = if thrift == Thrift::Low { LOW_FPS_MAX } else { fps_max };
    let fps = source.fps.clamp(1, fps_max);
    let mut rungs: Vec<Rung> = Vec::with_capacity(table.len());
    for (height, least, enough) in table {
        let size = source.size.within(Size::new(height * 16 / 9, *height));
        if rungs.last().is_some_and(|rung| rung.size == size) {
            break;
        }
        // A strip of the screen would be too flat.
        if size.width.min(size.height) < SIDE_MIN && size != source.size {
            continue;
        }
        let (least, enough) = (Bitrate::from_kbps(*least), Bitrate::from_kbps(*enough));
        match thrift {
            Thrift::Free => rungs.push(Rung { size, fps, least, enough }),
            // Larger ones are not to be had for that.
            Thrift::Low if least > LOW_ENOUGH && !rungs.is_empty() => break,
            Thrift::Low => rungs.push(Rung { size, fps, least, enough: enough.min(LOW_ENOUGH) }),
        }
    }
    if rungs.is_empty() {
        let enough = match thrift {
            Thrift::Free => table[table.len() - 1].2,
            Thrift::Low => LOW_ENOUGH.as_kbps(),
        };
        let (least, enough) = (Bitrate::from_kbps(0), Bitrate::from_kbps(enough));
        rungs.push(Rung { size: source.size, fps, least, enough });
    }
    rungs
}
