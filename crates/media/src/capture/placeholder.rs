//! The picture that is shown while there is none: it must not be mistaken for a live one.

use std::time::Instant;

use farwheel_proto::video::Size;

use crate::frame::{Pool, VideoFrame};
use crate::text;

/// Draws placeholders of one size.
#[derive(Debug)]
pub(super) struct Placeholder {
    size: Size,
    pool: Pool,
    drawn: u32,
}

impl Placeholder {
    pub(super) fn new(size: Size) -> Self {
        Self { size, pool: Pool::new(), drawn: 0 }
    }

    /// A picture with a headline, the source and what is wrong. A mark moves with each one, so that a viewer sees that
    /// the link is alive though the camera is not.
    pub(super) fn draw(&mut self, headline: &str, source: &str, reason: &str) -> VideoFrame {
        let mut picture = self.pool.take(self.size);
        picture.fill(BACKGROUND, 128, 128);
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let small = (width / 320).max(1);
        let large = small * 2;
        let columns = width / text::extent(" ", small).0;
        let mut planes = picture.planes_mut();
        let mut lines = vec![(headline.to_owned(), large, BRIGHT)];
        lines.extend(text::wrap(source, columns).into_iter().take(2).map(|line| (line, small, DIM)));
        lines.extend(text::wrap(reason, columns).into_iter().take(6).map(|line| (line, small, BRIGHT)));
        let total: usize = lines.iter().map(|(line, scale, _)| line_height(line, *scale)).sum();
        let mut y = height.saturating_sub(total) / 2;
        for (line, scale, luma) in &lines {
            let x = width.saturating_sub(text::extent(line, *scale).0) / 2;
            text::draw(&mut planes, (x, y), *scale, *luma, line);
            y += line_height(line, *scale);
        }
        let (step, side) = (self.drawn as usize % MARKS, (height / 40).max(2));
        let left = width / 2 + step * side * 2 - MARKS * side;
        for row in planes.y.chunks_mut(width).skip(height.saturating_sub(side * 3)).take(side) {
            row[left.min(width)..(left + side).min(width)].fill(BRIGHT);
        }
        self.drawn = self.drawn.wrapping_add(1);
        picture.share(&mut self.pool, Instant::now())
    }
}

fn line_height(line: &str, scale: usize) -> usize {
    text::extent(line, scale).1 * 3 / 2
}

const BACKGROUND: u8 = 40;
const BRIGHT: u8 = 220;
const DIM: u8 = 140;
const MARKS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_fits_any_size() {
        for (width, height) in [(16, 16), (64, 36), (320, 180), (1920, 1080)] {
            let mut placeholder = Placeholder::new(Size::new(width, height));
            let frame = placeholder.draw("NO CAMERA", "usb:/dev/video0", &"a very long reason ".repeat(40));
            assert!(frame.y().contains(&BRIGHT), "{width}x{height}");
        }
    }

    #[test]
    fn two_in_a_row_differ() {
        let mut placeholder = Placeholder::new(Size::new(320, 180));
        let first = placeholder.draw("NO CAMERA", "test", "why");
        assert_ne!(first.data, placeholder.draw("NO CAMERA", "test", "why").data);
    }
}
