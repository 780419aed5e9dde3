//! Which size and frame rate a bitrate is worth.

use std::time::{Duration, Instant};

use crate::video::{Bitrate, Size};

/// Up only after this long above a rung's least rate: each change costs a key frame of twice a picture's share.
const UP_AFTER: Duration = Duration::from_millis(1500);
/// Share of a rate that is still growing by which the rung is chosen.
const UP_SHARE: f64 = 0.9;
/// Down soon: too many pixels for the rate are a queue or a smear.
const DOWN_AFTER: Duration = Duration::from_millis(300);

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Least rate.
    pub bitrate_min: Bitrate,
    /// Height of a picture of 16:9, of which the size keeps the camera's shape.
    pub height: u32,
    /// Frames a second, at most.
    pub fps: u32,
}

/// From the top. Measured with OpenH264: below its least rate a rung looks worse than the next one scaled up. Fewer
/// frames a second would make each a little sharper and the picture on the screen older: p95 age 152 ms instead of 195
/// on poor links (simulated, docs/MEASUREMENTS.md).
pub const RUNGS: [Rung; 5] = [
    Rung { bitrate_min: Bitrate::from_kbps(1800), height: 720, fps: 60 },
    Rung { bitrate_min: Bitrate::from_kbps(800), height: 540, fps: 30 },
    Rung { bitrate_min: Bitrate::from_kbps(350), height: 360, fps: 30 },
    Rung { bitrate_min: Bitrate::from_kbps(200), height: 270, fps: 30 },
    Rung { bitrate_min: Bitrate(0), height: 180, fps: 30 },
];

/// The same for a shared screen. Once it is there a still screen costs next to nothing, and letters have to be read: pixels
/// come before pictures a second, down to a fifth of a second between two.
pub const SCREEN_RUNGS: [Rung; 5] = [
    Rung { bitrate_min: Bitrate::from_kbps(2000), height: 1080, fps: 30 },
    Rung { bitrate_min: Bitrate::from_kbps(1000), height: 1080, fps: 15 },
    Rung { bitrate_min: Bitrate::from_kbps(400), height: 1080, fps: 8 },
    Rung { bitrate_min: Bitrate::from_kbps(200), height: 720, fps: 6 },
    Rung { bitrate_min: Bitrate(0), height: 540, fps: 5 },
];

/// Whether the size may change now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A key frame would not wait.
    Allowed,
    /// It is put off.
    Put,
}

/// | state | rate below the rung's least | within | at or above the next rung's least |
/// |---|---|---|---|
/// | `Steady` | `Falling` | - | `Rising` |
/// | `Falling` since 0.3 s | to the highest rung whose least rate was kept | `Steady` | `Rising` |
/// | `Rising` since 1.5 s | `Falling` | `Steady` | to the highest rung whose least rate was kept, or is by a tenth now |
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: &'static [Rung],
    camera: Size,
    camera_fps: u32,
    rung: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Steady,
    /// The rate is too low for the rung; it was at most `most`.
    Falling {
        since: Instant,
        most: Bitrate,
    },
    /// The rate is enough for a higher rung; it was at least `least`.
    Rising {
        since: Instant,
        least: Bitrate,
    },
}

impl Ladder {
    /// Begins on the rung for `rate`.
    pub(super) fn new(rungs: &'static [Rung], camera: Size, camera_fps: u32, rate: Bitrate) -> Self {
        let rung = rung_for(rungs, rate);
        Self { rungs, camera, camera_fps: camera_fps.max(1), rung, state: State::Steady }
    }

    pub(super) fn handle_rate(&mut self, rate: Bitrate, change: Change, now: Instant) {
        let above = self.rung.checked_sub(1).map(|above| self.rungs[above].bitrate_min);
        self.state = if rate < self.rungs[self.rung].bitrate_min {
            match self.state {
                State::Falling { since, most } => {
                    // What was kept before the change was put off tells nothing of when it comes.
                    let most = if change == Change::Put { rate } else { most.max(rate) };
                    State::Falling { since, most }
                }
                State::Steady | State::Rising { .. } => State::Falling { since: now, most: rate },
            }
        } else if above.is_some_and(|above| rate >= above) {
            match self.state {
                State::Rising { since, least } => State::Rising { since, least: least.min(rate) },
                State::Steady | State::Falling { .. } => State::Rising { since: now, least: rate },
            }
        } else {
            State::Steady
        };
        if change == Change::Put {
            return;
        }
        match self.state {
            State::Falling { since, most } if since + DOWN_AFTER <= now => self.step_to(most),
            State::Rising { since, least } if since + UP_AFTER <= now => {
                self.step_to(least.max(Bitrate((f64::from(rate.0) * UP_SHARE) as u32)));
            }
            State::Steady | State::Falling { .. } | State::Rising { .. } => {}
        }
    }

    /// Goes to the rung for `rate` at once: before anything is sent, a change costs nothing.
    pub(super) fn set_rate(&mut self, rate: Bitrate) {
        self.step_to(rate);
    }

    /// Makes a fall that was put off: a picture is going to be encoded.
    pub(super) fn settle(&mut self, now: Instant) {
        if let State::Falling { since, most } = self.state
            && since + DOWN_AFTER <= now
        {
            self.step_to(most);
        }
    }

    /// Changes what the camera gives.
    pub(super) const fn set_camera(&mut self, camera: Size) {
        self.camera = camera;
    }

    /// The camera's picture, scaled down to the rung's height if it is larger.
    pub(super) fn size(&self) -> Size {
        let height = self.rungs[self.rung].height;
        if self.rung == 0 || height >= self.camera.height {
            return self.camera;
        }
        let width = u64::from(self.camera.width) * u64::from(height) / u64::from(self.camera.height.max(1));
        Size::new(width.min(u64::from(u32::MAX)) as u32, height)
    }

    pub(super) fn fps(&self) -> u32 {
        self.rungs[self.rung].fps.min(self.camera_fps)
    }

    fn step_to(&mut self, rate: Bitrate) {
        self.rung = rung_for(self.rungs, rate);
        self.state = State::Steady;
    }
}

fn rung_for(rungs: &[Rung], rate: Bitrate) -> usize {
    rungs.iter().position(|rung| rate >= rung.bitrate_min).unwrap_or(rungs.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    /// Height after these (ms, kbit/s), from 1000 kbit/s and 1280x720 at 30.
    fn climbed(rates: &[(u32, u32)]) -> (u32, u32) {
        let mut ladder = Ladder::new(&RUNGS, Size::new(1280, 720), 30, Bitrate::from_kbps(1000));
        for &(at_ms, kbps) in rates {
            ladder.handle_rate(Bitrate::from_kbps(kbps), Change::Allowed, start() + MS * at_ms);
        }
        (ladder.size().height, ladder.fps())
    }

    #[test]
    fn up_after_a_second_and_a_half_and_down_after_a_third_of_one() {
        for (rates, want) in [
            (&[(0, 1000)][..], (540, 30)),
            (&[(0, 1800), (1499, 1800)], (540, 30)),
            (&[(0, 1800), (1500, 1800)], (720, 30)),
            (&[(0, 1800), (750, 1799), (1500, 1800)], (540, 30)),
            (&[(0, 799), (299, 799)], (540, 30)),
            (&[(0, 799), (300, 799)], (360, 30)),
            (&[(0, 799), (200, 800), (300, 799)], (540, 30)),
            (&[(0, 150), (300, 150)], (180, 30)),
            (&[(0, 150), (150, 400), (300, 150)], (360, 30)),
            (&[(0, 250), (300, 250), (301, 9000), (1801, 9000)], (720, 30)),
            (&[(0, 250), (300, 250), (301, 400), (1801, 2100)], (720, 30)),
            (&[(0, 250), (300, 250), (301, 400), (1801, 1900)], (540, 30)),
        ] {
            assert_eq!(climbed(rates), want, "{rates:?}");
        }
    }

    #[test]
    fn a_change_that_is_put_off_goes_by_the_rate_when_it_comes() {
        let mut ladder = Ladder::new(&RUNGS, Size::new(1280, 720), 30, Bitrate::from_kbps(4000));
        for (at_ms, kbps, change) in [
            (0, 1700, Change::Allowed),
            (100, 400, Change::Put),
            (900, 300, Change::Put),
            (901, 300, Change::Allowed),
        ] {
            assert_eq!(ladder.size().height, 720, "at {at_ms} ms");
            ladder.handle_rate(Bitrate::from_kbps(kbps), change, start() + MS * at_ms);
        }
        assert_eq!(ladder.size().height, 270);
        for (at_ms, kbps) in [(1000, 150), (1200, 150)] {
            ladder.settle(start() + MS * at_ms);
            assert_eq!(ladder.size().height, 270, "at {at_ms} ms");
            ladder.handle_rate(Bitrate::from_kbps(kbps), Change::Put, start() + MS * at_ms);
        }
        ladder.settle(start() + MS * 1400);
        assert_eq!(ladder.size().height, 180, "a picture is due");
    }

    #[test]
    fn the_picture_keeps_its_shape_and_is_never_enlarged() {
        for (camera, kbps, want) in [
            (Size::new(1280, 720), 400, Size::new(640, 360)),
            (Size::new(640, 480), 400, Size::new(480, 360)),
            (Size::new(320, 240), 900, Size::new(320, 240)),
            (Size::new(1920, 1080), 4000, Size::new(1920, 1080)),
        ] {
            assert_eq!(Ladder::new(&RUNGS, camera, 30, Bitrate::from_kbps(kbps)).size(), want);
        }
    }

    #[test]
    fn a_screen_gives_up_pictures_a_second_before_pixels() {
        let screen = |kbps| {
            let ladder = Ladder::new(&SCREEN_RUNGS, Size::new(1920, 1080), 30, Bitrate::from_kbps(kbps));
            (ladder.size().height, ladder.fps())
        };
        assert_eq!(
            [2000, 1999, 999, 399, 199].map(screen),
            [(1080, 30), (1080, 15), (1080, 8), (720, 6), (540, 5)]
        );
    }

    #[test]
    fn sixty_frames_a_second_need_the_top_rung_and_a_camera_that_gives_them() {
        let fps = |camera_fps, kbps| {
            Ladder::new(&RUNGS, Size::new(1280, 720), camera_fps, Bitrate::from_kbps(kbps)).fps()
        };
        assert_eq!([fps(60, 1800), fps(60, 1799), fps(30, 1800), fps(0, 1800)], [60, 30, 30, 1]);
    }
}
