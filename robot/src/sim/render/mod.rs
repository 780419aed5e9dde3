//! Draws what the car's camera sees, on the CPU, straight into I420 (BT.601, limited range).

mod canvas;
mod colour;
mod ground;
mod models;
mod sky;
mod things;

use std::sync::Arc;

use farwheel_proto::video::Size;

use super::track::Track;
use super::world::Scene;
use canvas::Canvas;
use ground::Ground;
use sky::Sky;

/// The three planes to draw into; each row padded to its stride.
pub struct Picture<'a> {
    /// Size of the luma plane.
    pub size: Size,
    /// Luma.
    pub y: &'a mut [u8],
    /// Blue difference, half the size both ways.
    pub u: &'a mut [u8],
    /// Red difference, half the size both ways.
    pub v: &'a mut [u8],
    /// Bytes from one luma row to the next.
    pub stride_y: usize,
    /// Bytes from one chroma row to the next.
    pub stride_uv: usize,
}

impl<'a> Picture<'a> {
    /// Cuts a buffer into planes without padding, as [`Picture::bytes`] long as its size needs.
    ///
    /// # Panics
    /// If `buffer` is shorter.
    pub fn packed(size: Size, buffer: &'a mut [u8]) -> Self {
        let (y, chroma) = buffer.split_at_mut(size.pixels());
        let (u, v) = chroma.split_at_mut(size.pixels() / 4);
        let v = &mut v[..size.pixels() / 4];
        let width = size.width as usize;
        Self { size, y, u, v, stride_y: width, stride_uv: width / 2 }
    }

    /// Bytes of a picture without padding.
    pub const fn bytes(size: Size) -> usize {
        size.pixels() * 3 / 2
    }
}

/// Draws scenes; keeps what does not change from picture to picture.
pub struct Renderer {
    sky: Sky,
    ground: Option<(Arc<Track>, Ground)>,
    spans: Vec<(f32, f32)>,
    queue: Vec<(f32, things::Thing)>,
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// A renderer; the first picture of a circuit takes some 100 ms longer, as its ground is surveyed then.
    pub fn new() -> Self {
        Self { sky: Sky::new(), ground: None, spans: Vec::new(), queue: Vec::new() }
    }

    /// Draws `scene` over the whole of `picture`.
    pub fn render(&mut self, scene: &Scene, picture: &mut Picture<'_>) {
        let lens = scene.camera.lens(picture.size);
        self.sky.draw(&lens, scene.time, picture, &mut self.spans);
        let known = self.ground.as_ref().is_some_and(|(track, _)| Arc::ptr_eq(track, &scene.track));
        if !known {
            self.ground = None;
        }
        let (_, ground) = self.ground.get_or_insert_with(|| (scene.track.clone(), Ground::new(&scene.track)));
        ground.draw(&lens, scene.state.speed.abs(), picture);
        let canvas = Canvas::new(picture, &mut self.spans);
        things::draw(scene, &lens, &mut self.queue, canvas);
    }
}
