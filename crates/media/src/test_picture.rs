//! The measuring picture: a moving texture under a strip that carries its own time.
//!
//! The picture is a crop of one fixed texture (smooth noise of three grain sizes, hard edges, slow colour), and where
//! the crop lies is a function of the stamp alone. So a receiver that has read the stamp can rebuild the picture that
//! was sent and compute its PSNR. Texture and path are made with integers, to be the same on every machine.

use std::time::Instant;

use farwheel_proto::video::Size;

use crate::frame::{Pool, VideoFrame};
use crate::psnr;
use crate::scale::Scaler;
use crate::strip::{self, Stamp};

/// The measuring picture of one size.
#[derive(Debug)]
pub struct TestPicture {
    size: Size,
    luma: Plane,
    blue: Plane,
    red: Plane,
    pool: Pool,
    scaler: Scaler,
}

/// What a receiver finds in a picture it is about to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// When the picture was handed to the sender's pipeline.
    pub stamp: Stamp,
    /// Luma PSNR against the picture that was sent, in dB.
    pub psnr_db: f64,
}

impl TestPicture {
    /// Draws the texture (some ten milliseconds); the pictures are then copies of parts of it.
    pub fn new(size: Size) -> Self {
        let (luma, blue, red) = texture(size);
        Self { size, luma, blue, red, pool: Pool::new(), scaler: Scaler::new() }
    }

    /// Size of the pictures.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Luma, blue and red difference of the texture that all pictures are cut from: 512 columns and 128 rows larger
    /// than a picture, without padding. For peers that are measured on the same pictures.
    pub fn texture(&self) -> [&[u8]; 3] {
        [&self.luma.data, &self.blue.data, &self.red.data]
    }

    /// The picture of a moment, with its strip.
    pub fn render(&mut self, stamp: Stamp, captured_at: Instant) -> VideoFrame {
        let mut picture = self.pool.take(self.size);
        let mut planes = picture.planes_mut();
        let (x, y) = offset(stamp);
        self.luma.crop(x, y, planes.y, planes.stride_y);
        self.blue.crop(x / 2, y / 2, planes.u, planes.stride_uv);
        self.red.crop(x / 2, y / 2, planes.v, planes.stride_uv);
        strip::write(&mut planes, stamp);
        picture.share(&mut self.pool, captured_at)
    }

    /// Reads the stamp of a picture and compares it with the one that was sent; `None` without a readable stamp.
    ///
    /// A picture of another size is scaled to this one first. The top eighth, where the strip is, does not count.
    pub fn measure(&mut self, shown: &VideoFrame) -> Option<Measured> {
        let stamp = strip::read(shown)?;
        let sent = self.render(stamp, shown.captured_at);
        let shown = self.scaler.scale(shown, self.size);
        let psnr_db = psnr::luma_below(&shown, &sent, self.size.height as usize / 8);
        Some(Measured { stamp, psnr_db })
    }
}

/// Where the crop lies at a time: a loop of eight seconds, one sway sideways and five up and down.
fn offset(stamp: Stamp) -> (usize, usize) {
    let phase = stamp.0 % LOOP;
    let x = sway(phase, MARGIN.0 as i64 / 2 - 6);
    let y = sway(phase * 5 % LOOP, MARGIN.1 as i64 / 2 - 4);
    // Even, as chroma has half the pixels.
    (x & !1, y & !1)
}

/// From the middle to `2 * reach` and 0 and back, along two parabolas that resemble a sine.
fn sway(phase: u32, reach: i64) -> usize {
    let half = i64::from(LOOP / 2);
    let (at, sign) = (i64::from(phase) % half, if i64::from(phase) < half { 1 } else { -1 });
    (reach + sign * reach * 4 * at * (half - at) / (half * half)) as usize
}

/// One plane of the texture, larger than the picture by the margin.
#[derive(Debug)]
struct Plane {
    width: usize,
    data: Vec<u8>,
}

impl Plane {
    fn draw(width: usize, height: usize, pixel: impl Fn(usize, usize) -> i32) -> Self {
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            data.extend((0..width).map(|x| pixel(x, y).clamp(16, 235) as u8));
        }
        Self { width, data }
    }

    fn crop(&self, x: usize, y: usize, to: &mut [u8], stride: usize) {
        for (row, to) in to.chunks_mut(stride).enumerate() {
            let from = (y + row) * self.width + x;
            to.copy_from_slice(&self.data[from..from + to.len()]);
        }
    }
}

fn texture(size: Size) -> (Plane, Plane, Plane) {
    let (width, height) = (size.width as usize + MARGIN.0, size.height as usize + MARGIN.1);
    let mut luma = Plane::draw(width, height, |x, y| {
        let grains = GRAINS.iter().enumerate();
        120 + grains.map(|(layer, (cell, swing))| noise(x, y, *cell, layer as u32) * swing / 256).sum::<i32>()
    });
    for index in 0..EDGES {
        let pick = |salt: u32, limit: usize| hash(index, salt, 77) as usize % limit;
        let (left, top) = (pick(0, width - 80), pick(1, height - 60));
        let (wide, high) = (10 + pick(2, 70), 10 + pick(3, 50));
        let value = 30 + pick(4, 190) as u8;
        for row in luma.data.chunks_mut(width).skip(top).take(high) {
            row[left..left + wide].fill(value);
        }
    }
    let blue = Plane::draw(width / 2, height / 2, |x, _| 128 + wave(x, 565) * 40 / 256);
    let red = Plane::draw(width / 2, height / 2, |_, y| 128 + wave(y + 94, 377) * 40 / 256);
    (luma, blue, red)
}

/// Noise in [-128, 127] on a grid of `cell` pixels: flat for half a cell, then a ramp to the next one.
fn noise(x: usize, y: usize, cell: usize, layer: u32) -> i32 {
    let (column, row) = ((x / cell) as u32, (y / cell) as u32);
    let ramp = |at: usize| (at % cell).saturating_sub(cell / 2) as i32 * 2;
    let (along, down) = (ramp(x), ramp(y));
    let cell = cell as i32;
    let corner = |dx, dy| (hash(column + dx, row + dy, layer) & 255) as i32 - 128;
    let upper = corner(0, 0) * (cell - along) + corner(1, 0) * along;
    let lower = corner(0, 1) * (cell - along) + corner(1, 1) * along;
    (upper * (cell - down) + lower * down) / (cell * cell)
}

/// A triangle wave in [-256, 256].
fn wave(at: usize, period: usize) -> i32 {
    let quarter = (at % period * 1024 / period) as i32;
    match quarter {
        0..256 => quarter,
        256..768 => 512 - quarter,
        _ => quarter - 1024,
    }
}

/// Mixes three numbers (the finaliser of MurmurHash3).
fn hash(a: u32, b: u32, c: u32) -> u32 {
    let mut h = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77) ^ c.wrapping_mul(0xc2b2_ae3d);
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

/// The loop in stamp units: eight seconds.
const LOOP: u32 = 80_000;
/// How far the crop can move.
const MARGIN: (usize, usize) = (512, 128);
/// Cell in pixels and swing of each layer of noise.
const GRAINS: [(usize, i32); 3] = [(64, 50), (16, 30), (4, 14)];
/// Number of filled rectangles.
const EDGES: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(320, 180);

    #[test]
    fn a_receiver_rebuilds_the_sent_picture_from_the_stamp() {
        let sent = TestPicture::new(SIZE).render(Stamp(123_456_789), Instant::now());
        let measured = TestPicture::new(SIZE).measure(&sent);
        assert_eq!(measured, Some(Measured { stamp: Stamp(123_456_789), psnr_db: psnr::IDENTICAL_DB }));
    }

    #[test]
    fn the_picture_of_another_moment_is_not_mistaken_for_it() {
        let mut source = TestPicture::new(SIZE);
        let now = source.render(Stamp(10_000), Instant::now());
        let later = source.render(Stamp(10_333), Instant::now());
        assert!(psnr::luma_below(&now, &later, 32) < 25.0);
    }

    #[test]
    fn a_smaller_picture_is_compared_after_scaling() {
        let large = Size::new(1280, 720);
        let mut source = TestPicture::new(large);
        let sent = source.render(Stamp(5), Instant::now());
        let shown = Scaler::new().scale(&sent, Size::new(640, 360));
        let measured = source.measure(&shown).expect("the stamp survives");
        assert!(measured.psnr_db > 25.0 && measured.psnr_db < 50.0, "{measured:?}");
    }

    #[test]
    fn the_crop_stays_on_the_texture_and_is_even_and_moves() {
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for stamp in 0..LOOP {
            let (x, y) = offset(Stamp(stamp));
            assert!(x <= MARGIN.0 && y <= MARGIN.1 && x % 2 == 0 && y % 2 == 0, "{stamp}: {x}, {y}");
            xs.push(x);
            ys.push(y);
        }
        assert!(xs.iter().max() > Some(&480) && xs.iter().min() < Some(&20));
        assert!(ys.iter().max() > Some(&110) && ys.iter().min() < Some(&10));
        // One frame at 30 per second apart: no jump, at most 14 pixels.
        let step = |v: &[usize]| v.iter().zip(v.iter().cycle().skip(333)).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(step(&xs) <= Some(18) && step(&ys) <= Some(18), "{:?} {:?}", step(&xs), step(&ys));
    }

    #[test]
    fn the_texture_never_changes() {
        // Recorded figures of different versions are comparable only if this stays.
        let frame = TestPicture::new(SIZE).render(Stamp(0), Instant::now());
        let sum = frame.data.iter().fold(0u32, |sum, v| sum.rotate_left(1) ^ u32::from(*v));
        assert_eq!(sum, TEXTURE_SUM, "{sum:#x}");
    }

    /// Of the picture with stamp 0 at 320x180.
    const TEXTURE_SUM: u32 = 0x24f9_8c69;
}
