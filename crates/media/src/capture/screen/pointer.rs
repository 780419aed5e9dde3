//! The pointer, drawn into a picture.

use farwheel_proto::video::Size;

/// A pointer's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Where its upper left corner is, relative to the picture.
    pub(super) x: i32,
    /// As above.
    pub(super) y: i32,
    /// Columns.
    pub(super) width: usize,
    /// Row after row, each `0xAARRGGBB`, colours multiplied by alpha.
    pub(super) pixels: Vec<u32>,
}

impl Pointer {
    /// Draws it into rows of `B G R X`, what lies outside is left out.
    pub(super) fn draw(&self, bytes: &mut [u8], size: Size) {
        let (columns, rows) = (size.width as i32, size.height as i32);
        for (dy, row) in self.pixels.chunks_exact(self.width.max(1)).enumerate() {
            let y = self.y.saturating_add(dy as i32);
            if !(0..rows).contains(&y) {
                continue;
            }
            for (dx, pixel) in row.iter().enumerate() {
                let x = self.x.saturating_add(dx as i32);
                if !(0..columns).contains(&x) {
                    continue;
                }
                let at = (y as usize * size.width as usize + x as usize) * 4;
                let [alpha, red, green, blue] = pixel.to_be_bytes();
                for (below, above) in bytes[at..at + 3].iter_mut().zip([blue, green, red]) {
                    let rest = u32::from(*below) * u32::from(255 - alpha) / 255;
                    *below = (u32::from(above) + rest).min(255) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_is_mixed_in_and_cut_at_the_edges() {
        let size = Size::new(4, 2);
        let pixels = vec![0xff00_00ff, 0x0000_0000, 0x8080_0000, 0xffff_ffff];
        let draw = |x, y| {
            let mut bytes = vec![100; 32];
            Pointer { x, y, width: 2, pixels: pixels.clone() }.draw(&mut bytes, size);
            bytes
        };
        let inside = draw(1, 0);
        assert_eq!(inside[4..8], [255, 0, 0, 100], "blue covers");
        assert_eq!(inside[8..12], [100; 4], "clear leaves");
        assert_eq!(inside[20..24], [49, 49, 177, 100], "half red mixes");
        assert_eq!(draw(-1, -1)[..4], [255, 255, 255, 100]);
        assert_eq!(draw(3, 1)[28..], [255, 0, 0, 100]);
        for (x, y) in [(-2, 0), (4, 0), (0, 2), (i32::MAX, i32::MIN)] {
            assert_eq!(draw(x, y), vec![100; 32]);
        }
    }
}
