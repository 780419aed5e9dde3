//! What the window shows of whom, told to the session when it changes: what nobody shows is not sent.

use std::time::Duration;

use eframe::egui::{Rect, Vec2};
use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::Tile;

use crate::model::call::{Command, Source};

/// Size of what is shown of a member: its camera, its screen.
type Wanted = (PeerId, Option<Tile>, Option<Tile>);

/// Tells sizes once they hold still, and what comes and goes at once.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    seen: Vec<(Source, Tile)>,
    sent: Option<Vec<Wanted>>,
    /// Sizes that are not told yet, and since when they are what they are.
    pending: Option<(Vec<Wanted>, f64)>,
}

impl Reporter {
    /// A source is shown at this place; in every paint, for every place.
    pub(super) fn note(&mut self, source: Source, rect: Rect, pixels_per_point: f32) {
        let tile = pixels(rect.size() * pixels_per_point);
        match self.seen.iter_mut().find(|(known, _)| *known == source) {
            // In two places: the larger one counts.
            Some((_, known)) if known.width < tile.width => *known = tile,
            Some(_) => {}
            None => self.seen.push((source, tile)),
        }
    }

    /// The paint is over at `now`, in seconds: what has to be told, or after what time to ask again.
    pub(super) fn finish(&mut self, now: f64) -> (Option<Command>, Option<Duration>) {
        let wanted = wanted(std::mem::take(&mut self.seen));
        if self.sent.as_ref() == Some(&wanted) {
            self.pending = None;
            return (None, None);
        }
        let is_same_set = self.sent.as_ref().is_some_and(|sent| shows_same(sent, &wanted));
        let since = match &self.pending {
            Some((pending, since)) if *pending == wanted => *since,
            _ => now,
        };
        let still = now - since;
        if is_same_set && still < HOLD_S {
            self.pending = Some((wanted, since));
            return (None, Some(Duration::from_secs_f64(HOLD_S - still)));
        }
        self.pending = None;
        self.sent = Some(wanted.clone());
        (Some(Command::Tiles(wanted)), None)
    }
}

fn pixels(size: Vec2) -> Tile {
    let side = |length: f32| length.round().clamp(1.0, f32::from(u16::MAX)) as u16;
    Tile { width: side(size.x), height: side(size.y) }
}

fn wanted(seen: Vec<(Source, Tile)>) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for (source, tile) in seen {
        let (id, camera, screen) = match source {
            Source::Own | Source::OwnScreen => continue,
            Source::Camera(id) => (id, Some(tile), None),
            Source::Screen(id) => (id, None, Some(tile)),
        };
        match wanted.iter_mut().find(|(known, ..)| *known == id) {
            Some(known) => *known = (id, known.1.or(camera), known.2.or(screen)),
            None => wanted.push((id, camera, screen)),
        }
    }
    wanted.sort_by_key(|(id, ..)| *id);
    wanted
}

fn shows_same(a: &[Wanted], b: &[Wanted]) -> bool {
    let shows = |(id, camera, screen): &Wanted| (*id, camera.is_some(), screen.is_some());
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| shows(a) == shows(b))
}

/// A window that is being resized passes many sizes; every change of a size may cost a key frame.
const HOLD_S: f64 = 0.3;

#[cfg(test)]
mod tests {
    use eframe::egui::{pos2, vec2};

    use super::*;

    fn id(n: u128) -> PeerId {
        PeerId::new(n)
    }

    fn rect(width: f32, height: f32) -> Rect {
        Rect::from_min_size(pos2(3.0, 4.0), vec2(width, height))
    }

    fn tile(width: u16, height: u16) -> Option<Tile> {
        Some(Tile { width, height })
    }

    #[test]
    fn sizes_are_physical_pixels_and_own_pictures_are_nobodys_business() {
        let mut reporter = Reporter::default();
        reporter.note(Source::Own, rect(100.0, 100.0), 1.5);
        reporter.note(Source::OwnScreen, rect(100.0, 100.0), 1.5);
        reporter.note(Source::Screen(id(1)), rect(640.0, 360.0), 1.5);
        reporter.note(Source::Camera(id(2)), rect(320.0, 180.0), 1.5);
        reporter.note(Source::Camera(id(1)), rect(100.0, 50.0), 1.5);
        let want = vec![(id(1), tile(150, 75), tile(960, 540)), (id(2), tile(480, 270), None)];
        assert_eq!(reporter.finish(0.0), (Some(Command::Tiles(want)), None));
    }

    #[test]
    fn who_comes_and_goes_is_told_at_once_and_a_size_once_it_holds_still() {
        let mut reporter = Reporter::default();
        let mut show = |sizes: &[(u128, f32)], now| {
            for (n, width) in sizes {
                reporter.note(Source::Camera(id(*n)), rect(*width, 90.0), 1.0);
            }
            reporter.finish(now)
        };
        let told = |sizes: &[(u128, u16)]| {
            Some(Command::Tiles(sizes.iter().map(|(n, width)| (id(*n), tile(*width, 90), None)).collect()))
        };
        assert_eq!(show(&[(1, 160.0)], 0.0).0, told(&[(1, 160)]));
        assert_eq!(show(&[(1, 160.0)], 0.1), (None, None));
        for (now, width) in [(0.2, 170.0), (0.4, 180.0), (0.6, 190.0)] {
            let (command, again) = show(&[(1, width)], now);
            assert_eq!(command, None, "{now}");
            assert!(again.is_some_and(|again| again.as_millis() <= 301), "{again:?}");
        }
        assert_eq!(show(&[(1, 190.0)], 0.89).0, None);
        assert_eq!(show(&[(1, 190.0)], 0.91).0, told(&[(1, 190)]));
        assert_eq!(show(&[(1, 190.0), (2, 160.0)], 0.92).0, told(&[(1, 190), (2, 160)]));
        assert_eq!(show(&[], 0.93).0, told(&[]), "nothing is shown of anybody");
        assert_eq!(show(&[], 9.0), (None, None));
    }

    #[test]
    fn a_picture_at_two_places_counts_by_the_larger_one() {
        let mut reporter = Reporter::default();
        for width in [160.0, 320.0, 80.0] {
            reporter.note(Source::Camera(id(1)), rect(width, width), 1.0);
        }
        let want = vec![(id(1), tile(320, 320), None)];
        assert_eq!(reporter.finish(0.0).0, Some(Command::Tiles(want)));
    }
}
