//! Fills convex polygons with smooth edges into I420.

use super::Picture;
use super::colour::Colour;

/// Rows into which each pixel row is cut to measure how much of a pixel a polygon covers.
const CUTS: usize = 4;

/// A picture being drawn, with room for one polygon's edges.
pub(super) struct Canvas<'a, 'p> {
    pub(super) picture: &'a mut Picture<'p>,
    spans: &'a mut Vec<(f32, f32)>,
}

impl<'a, 'p> Canvas<'a, 'p> {
    pub(super) fn new(picture: &'a mut Picture<'p>, spans: &'a mut Vec<(f32, f32)>) -> Self {
        Self { picture, spans }
    }

    /// Fills a convex polygon, given in pixels from the top left, with `alpha` from 0 to 1.
    pub(super) fn fill(&mut self, corners: &[(f32, f32)], colour: Colour, alpha: f32) {
        if too_small(corners) {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.fill_wide(corners, colour, alpha) };
        }
        self.fill_plain(corners, colour, alpha);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn fill_wide(&mut self, corners: &[(f32, f32)], colour: Colour, alpha: f32) {
        self.fill_plain(corners, colour, alpha);
    }

    #[inline(always)]
    fn fill_plain(&mut self, corners: &[(f32, f32)], colour: Colour, alpha: f32) {
        let (width, height) = (self.picture.size.width as usize, self.picture.size.height as usize);
        let weight = (alpha * 256.0) as u32;
        let (stride_y, stride_uv) = (self.picture.stride_y, self.picture.stride_uv);
        let luma = &mut *self.picture.y;
        let value = colour.y as u8;
        cover(self.spans, corners, 1.0, width, height, |row, from, to, cover| {
            blend(&mut luma[row * stride_y + from..row * stride_y + to], value, (cover * weight) >> 8);
        });
        let (u, v) = (&mut *self.picture.u, &mut *self.picture.v);
        let values = (colour.u as u8, colour.v as u8);
        cover(self.spans, corners, 0.5, width / 2, height / 2, |row, from, to, cover| {
            let range = row * stride_uv + from..row * stride_uv + to;
            blend(&mut u[range.clone()], values.0, (cover * weight) >> 8);
            blend(&mut v[range], values.1, (cover * weight) >> 8);
        });
    }
}

/// Whether a polygon's bounds cover less than a fifth of a pixel, which nobody would see.
fn too_small(corners: &[(f32, f32)]) -> bool {
    let bounds = corners.iter().fold((f32::MAX, f32::MIN, f32::MAX, f32::MIN), |b, &(x, y)| {
        (least(x, b.0), most(x, b.1), least(y, b.2), most(y, b.3))
    });
    (bounds.1 - bounds.0) * (bounds.3 - bounds.2) < 0.2
}

#[inline(always)]
fn blend(pixels: &mut [u8], value: u8, share: u32) {
    if share >= 256 {
        pixels.fill(value);
        return;
    }
    let add = u32::from(value) * share + 128;
    let keep = 256 - share;
    for pixel in pixels {
        *pixel = ((u32::from(*pixel) * keep + add) >> 8) as u8;
    }
}

/// Calls `paint(row, from, to, cover)` for runs of pixels with the same cover (1 to 256).
#[inline(always)]
fn cover(
    spans: &mut Vec<(f32, f32)>,
    corners: &[(f32, f32)],
    scale: f32,
    width: usize,
    height: usize,
    mut paint: impl FnMut(usize, usize, usize, u32),
) {
    let (mut left, mut right, mut top, mut bottom) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
    for &(x, y) in corners {
        (left, right) = (least(x * scale, left), most(x * scale, right));
        (top, bottom) = (least(y * scale, top), most(y * scale, bottom));
    }
    // Written so that corners that are not numbers draw nothing.
    let seen = right > 0.0 && left < width as f32 && bottom > 0.0 && top < height as f32;
    if !seen || corners.len() < 3 {
        return;
    }
    let first = top.max(0.0) as usize;
    let last = ceil(bottom).min(height);
    let cuts = (last - first) * CUTS;
    spans.clear();
    spans.resize(cuts, (f32::MAX, f32::MIN));
    let base = first as f32;
    for (i, &from) in corners.iter().enumerate() {
        let to = corners[(i + 1) % corners.len()];
        let (a, b) = if from.1 < to.1 { (from, to) } else { (to, from) };
        let (ax, ay) = (a.0 * scale, (a.1 * scale - base) * CUTS as f32);
        let (bx, by) = (b.0 * scale, (b.1 * scale - base) * CUTS as f32);
        // Cut k samples the height k + 0.5.
        let start = ceil(ay - 0.5);
        let end = ceil(by - 0.5).min(cuts);
        if start >= end {
            continue;
        }
        let slope = (bx - ax) / (by - ay);
        let mut x = ax + slope * (start as f32 + 0.5 - ay);
        for span in &mut spans[start..end] {
            span.0 = least(x, span.0);
            span.1 = most(x, span.1);
            x += slope;
        }
    }
    for (row, cuts) in spans.chunks_exact(CUTS).enumerate() {
        paint_row(first + row, cuts, width, &mut paint);
    }
}

/// The lesser of two; `b` if `a` is no number. One instruction, which `f32::min` is not.
#[inline(always)]
fn least(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The greater of two; `b` if `a` is no number.
#[inline(always)]
fn most(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The next whole number up, zero for less; a library call without SSE4.1 if written as `f32::ceil`.
#[inline(always)]
fn ceil(x: f32) -> usize {
    let whole = x.clamp(0.0, 1e9) as i32;
    whole as usize + usize::from((whole as f32) < x && x < 1e9)
}

#[inline(always)]
fn paint_row(
    row: usize,
    cuts: &[(f32, f32)],
    width: usize,
    paint: &mut impl FnMut(usize, usize, usize, u32),
) {
    let edge = width as f32;
    let (mut outer, mut inner) = ((f32::MAX, f32::MIN), (f32::MIN, f32::MAX));
    let mut filled = 0;
    for &(from, to) in cuts {
        if to > from && to > 0.0 && from < edge {
            filled += 1;
            outer = (least(from, outer.0), most(to, outer.1));
            inner = (most(from, inner.0), least(to, inner.1));
        }
    }
    if filled == 0 {
        return;
    }
    let start = outer.0.max(0.0) as i32 as usize;
    let end = ceil(outer.1.min(edge)).min(width);
    let share = |x: usize| {
        let (low, high) = (x as f32, (x + 1) as f32);
        let covered: f32 = cuts.iter().map(|&(from, to)| most(least(to, high) - most(from, low), 0.0)).sum();
        (covered * (256.0 / CUTS as f32)) as u32
    };
    let (full_from, full_to) =
        if filled == CUTS { (ceil(inner.0), inner.1.min(edge).max(0.0) as i32 as usize) } else { (end, end) };
    let (full_from, full_to) = if full_from < full_to { (full_from, full_to) } else { (end, end) };
    for x in start..full_from.min(end) {
        paint(row, x, x + 1, share(x));
    }
    if full_from < full_to {
        paint(row, full_from, full_to, 256);
        for x in full_to..end {
            paint(row, x, x + 1, share(x));
        }
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::video::Size;

    use super::super::colour::rgb;
    use super::*;

    /// Fills `corners` with white on black and returns the sum of luma cover in pixels.
    fn area(corners: &[(f32, f32)]) -> f32 {
        let size = Size::new(64, 48);
        let (mut y, mut u, mut v) = (vec![0; 64 * 48], vec![128; 32 * 24], vec![128; 32 * 24]);
        let mut picture = Picture { size, y: &mut y, u: &mut u, v: &mut v, stride_y: 64, stride_uv: 32 };
        Canvas::new(&mut picture, &mut Vec::new()).fill(corners, rgb(0xFFFFFF), 1.0);
        y.iter().map(|&p| f32::from(p)).sum::<f32>() / 235.0
    }

    #[test]
    fn covered_area_is_the_polygons_area() {
        for (corners, want) in [
            (vec![(10.0, 10.0), (20.0, 10.0), (20.0, 15.0), (10.0, 15.0)], 50.0),
            (vec![(10.25, 10.5), (20.75, 10.5), (20.75, 15.25), (10.25, 15.25)], 49.875),
            (vec![(5.0, 40.0), (45.0, 40.0), (20.0, 8.0)], 640.0),
            (vec![(30.2, 20.1), (30.9, 20.1), (30.9, 40.1), (30.2, 40.1)], 14.0),
        ] {
            let got = area(&corners);
            assert!((got - want).abs() < 0.03 * want + 0.5, "{corners:?}: {got}, want {want}");
        }
    }

    #[test]
    fn polygon_beyond_the_edges_is_cut_there() {
        assert!(
            (area(&[(-50.0, -50.0), (200.0, -50.0), (200.0, 200.0), (-50.0, 200.0)]) - 3072.0).abs() < 1.0
        );
        assert_eq!(area(&[(70.0, 0.0), (90.0, 0.0), (80.0, 40.0)]), 0.0);
        assert_eq!(area(&[(0.0, -9.0), (9.0, -9.0), (9.0, -1.0)]), 0.0);
    }

    #[test]
    fn corners_that_are_no_numbers_draw_nothing() {
        assert_eq!(area(&[(f32::NAN, f32::NAN), (f32::NAN, 1.0), (f32::NAN, 2.0)]), 0.0);
        area(&[(f32::INFINITY, 0.0), (0.0, f32::NEG_INFINITY), (3.0, f32::NAN)]);
        area(&[(-1e30, -1e30), (1e30, -1e30), (0.0, 1e30)]);
    }
}
