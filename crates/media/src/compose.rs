//! Many pictures in one, as a recording shows a call.

mod layout;

use std::time::Instant;

use farwheel_proto::video::Size;

use crate::frame::{Picture, PlanesMut, Pool, VideoFrame, copy_rows};
use crate::scale::Scaler;
use crate::text;
pub use layout::Place;
use layout::{Rect, layout};

/// One of the pictures.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is shown; none: a dark tile with the name in its middle.
    pub frame: Option<VideoFrame>,
    /// Whose it is.
    pub name: String,
    /// How large it is shown.
    pub place: Place,
}

/// Puts pictures together. Keeps its buffers, so a steady stream allocates next to nothing.
#[derive(Debug)]
pub struct Composer {
    size: Size,
    pool: Pool,
    // One for each tile, as a scaler keeps buffers of one size.
    scalers: Vec<Scaler>,
}

/// Luma of the background, of an empty tile, of the ground of a name, and of a name; chroma is grey.
const GROUND: u8 = 22;
const EMPTY: u8 = 44;
const LABEL_GROUND: u8 = 30;
const LABEL: u8 = 220;
const GREY: u8 = 128;
/// Longest name, in characters.
const NAME_CHARS: usize = 24;

impl Composer {
    /// Makes pictures of this size.
    pub fn new(size: Size) -> Self {
        Self { size, pool: Pool::new(), scalers: Vec::new() }
    }

    /// One picture of all, taken `now`. Parts for which there is no room are left out.
    pub fn compose(&mut self, parts: &[Part], now: Instant) -> VideoFrame {
        let places: Vec<Place> = parts.iter().map(|part| part.place).collect();
        let mut picture = self.pool.take(self.size);
        picture.fill(GROUND, GREY, GREY);
        self.scalers.resize_with(parts.len(), Scaler::new);
        let tiles = layout(self.size, &places);
        for ((part, tile), scaler) in parts.iter().zip(tiles).zip(&mut self.scalers) {
            let Some(tile) = tile else { continue };
            match &part.frame {
                Some(frame) => {
                    let room = Size::new(tile.width, tile.height);
                    let inside = fit(frame.size, room);
                    let scaled = scaler.scale(frame, inside);
                    let left = tile.x + (tile.width - inside.width) / 2;
                    let top = tile.y + (tile.height - inside.height) / 2;
                    // Chroma lies on even places.
                    put(&mut picture, &scaled, (left & !1, top & !1));
                    label(&mut picture.planes_mut(), tile, &part.name);
                }
                None => {
                    fill(&mut picture.planes_mut(), tile, EMPTY);
                    middle(&mut picture.planes_mut(), tile, &part.name);
                }
            }
        }
        picture.share(&mut self.pool, now)
    }
}

/// The same shape, as large as there is room for.
fn fit(size: Size, room: Size) -> Size {
    let (width, height) = (u64::from(size.width), u64::from(size.height));
    let (wide, high) = (u64::from(room.width), u64::from(room.height));
    if width * high > height * wide {
        Size::new(room.width, (height * wide / width) as u32)
    } else {
        Size::new((width * high / height) as u32, room.height)
    }
}

/// Copies a picture to an even place where it has room.
fn put(picture: &mut Picture, frame: &VideoFrame, (x, y): (u32, u32)) {
    let planes = picture.planes_mut();
    let (x, y, width) = (x as usize, y as usize, frame.size.width as usize);
    let copy = |to: &mut [u8], stride: usize, from: &[u8], from_stride, at: usize, columns: usize| {
        for (to, from) in to[at..].chunks_mut(stride).zip(from.chunks(from_stride)) {
            copy_rows(&from[..columns], columns, &mut to[..columns], columns);
        }
    };
    copy(planes.y, planes.stride_y, frame.y(), frame.stride_y, y * planes.stride_y + x, width);
    let at = y / 2 * planes.stride_uv + x / 2;
    copy(planes.u, planes.stride_uv, frame.u(), frame.stride_uv, at, width / 2);
    copy(planes.v, planes.stride_uv, frame.v(), frame.stride_uv, at, width / 2);
}

/// Fills an area with grey.
fn fill(planes: &mut PlanesMut<'_>, area: Rect, luma: u8) {
    let (x, y, width, height) = area.whole();
    for row in planes.y.chunks_mut(planes.stride_y).skip(y).take(height) {
        row[x..x + width].fill(luma);
    }
    for plane in [&mut *planes.u, &mut *planes.v] {
        for row in plane.chunks_mut(planes.stride_uv).skip(y / 2).take(height / 2) {
            row[x / 2..(x + width) / 2].fill(GREY);
        }
    }
}

/// A name in the lower left corner.
fn label(planes: &mut PlanesMut<'_>, tile: Rect, name: &str) {
    let name: String = name.chars().take(NAME_CHARS).collect();
    let scale = if tile.width >= 400 { 2 } else { 1 };
    let (width, height) = text::extent(&name, scale);
    let (width, height) = ((width as u32 + 8) & !1, (height as u32 + 6) & !1);
    if name.is_empty() || width > tile.width || height > tile.height {
        return;
    }
    let ground = Rect { x: tile.x, y: tile.y + tile.height - height, width, height };
    fill(planes, ground, LABEL_GROUND);
    text::draw(planes, (ground.x as usize + 4, ground.y as usize + 3), scale, LABEL, &name);
}

/// A name in the middle, as large as fits.
fn middle(planes: &mut PlanesMut<'_>, tile: Rect, name: &str) {
    let name: String = name.chars().take(NAME_CHARS).collect();
    let scale = (1..=4).rev().find(|scale| text::extent(&name, *scale).0 as u32 <= tile.width);
    let Some(scale) = scale else { return };
    let (width, height) = text::extent(&name, scale);
    let (x, y, wide, high) = tile.whole();
    if height <= high {
        text::draw(planes, (x + (wide - width) / 2, y + (high - height) / 2), scale, LABEL, &name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(1280, 720);

    fn frame(size: Size, luma: u8) -> VideoFrame {
        let mut pool = Pool::new();
        let mut picture = pool.take(size);
        picture.fill(luma, 90, 200);
        picture.share(&mut pool, Instant::now())
    }

    fn part(frame: Option<VideoFrame>, place: Place) -> Part {
        Part { frame, name: "Ada".into(), place }
    }

    /// Columns and rows in which this luma is seen.
    fn seen(picture: &VideoFrame, luma: u8) -> (usize, usize) {
        let rows: Vec<_> = picture.y().chunks(picture.stride_y).filter(|row| row.contains(&luma)).collect();
        let columns =
            (0..picture.size.width as usize).filter(|x| rows.iter().any(|row| row[*x] == luma)).count();
        (columns, rows.len())
    }

    #[test]
    fn one_picture_fills_as_much_as_its_shape_allows() {
        let now = Instant::now();
        for (size, want) in [
            (Size::new(640, 360), (1280, 720)),
            (Size::new(640, 480), (960, 720)),
            (Size::new(100, 400), (180, 720)),
        ] {
            let mut composer = Composer::new(SIZE);
            let whole = composer.compose(&[part(Some(frame(size, 150)), Place::Grid)], now);
            let (columns, rows) = seen(&whole, 150);
            assert!(
                columns.abs_diff(want.0) <= 20 && rows.abs_diff(want.1) <= 20,
                "{size}: {columns}x{rows}"
            );
            assert_eq!((whole.size, whole.captured_at), (SIZE, now));
        }
    }

    #[test]
    fn each_of_many_is_seen_and_who_has_no_picture_has_a_name() {
        let mut composer = Composer::new(SIZE);
        for count in 1..=12u8 {
            let mut parts: Vec<_> =
                (0..count).map(|n| part(Some(frame(Size::new(320, 180), 100 + n)), Place::Grid)).collect();
            parts.push(part(None, Place::Grid));
            let whole = composer.compose(&parts, Instant::now());
            for n in 0..count {
                let (columns, rows) = seen(&whole, 100 + n);
                assert!(columns >= 200 && rows >= 110, "{n} of {count}: {columns}x{rows}");
            }
            assert!(seen(&whole, EMPTY).0 >= 200 && seen(&whole, LABEL).0 > 0);
        }
    }

    #[test]
    fn a_shared_screen_is_large_and_its_colours_stay_at_their_place() {
        let mut composer = Composer::new(SIZE);
        let parts = [
            part(Some(frame(Size::new(320, 180), 120)), Place::Grid),
            part(Some(frame(Size::new(1920, 1080), 150)), Place::Large),
        ];
        let whole = composer.compose(&parts, Instant::now());
        assert!(seen(&whole, 150).0 > 900 && (100..400).contains(&seen(&whole, 120).0));
        for (at, luma) in whole.y().iter().enumerate() {
            let (x, y) = (at % whole.stride_y, at / whole.stride_y);
            let chroma = y / 2 * whole.stride_uv + x / 2;
            let is_coloured = (whole.u()[chroma], whole.v()[chroma]) == (90, 200);
            if [150, 120].contains(luma) {
                assert!(is_coloured, "{x},{y}");
            } else if *luma == GROUND {
                assert!(!is_coloured, "{x},{y}");
            }
        }
    }

    #[test]
    fn tiny_pictures_and_no_parts_are_no_trouble() {
        for size in [Size::new(2, 2), Size::new(16, 8), Size::new(64, 64)] {
            let mut composer = Composer::new(size);
            composer.compose(&[], Instant::now());
            let parts = vec![part(Some(frame(Size::new(64, 36), 9)), Place::Grid), part(None, Place::Large)];
            composer.compose(&parts, Instant::now());
        }
    }
}
