//! Drawn people and a drawn screen, so that calls can be looked at without a camera.

use image::{Rgb, RgbImage};

type Colour = [f32; 3];

/// How somebody looks.
struct Looks {
    wall: (Colour, Colour),
    skin: Colour,
    hair: Colour,
    cloth: Colour,
    /// Hair down to the shoulders.
    is_long: bool,
    has_glasses: bool,
    has_beard: bool,
    /// What stands behind.
    behind: Behind,
    /// Where they sit: left is negative.
    at: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Behind {
    Window,
    Shelf,
    Plant,
    Lamp,
}

/// Somebody before a camera; `index` says who.
pub(crate) fn portrait(index: usize, width: u32, height: u32) -> RgbImage {
    let who = &PEOPLE[index % PEOPLE.len()];
    let unit = height as f32 / 360.0;
    RgbImage::from_fn(width, height, |x, y| {
        // Points of a picture 360 high, the origin in the middle.
        let at = ((x as f32 + 0.5 - width as f32 / 2.0) / unit, (y as f32 + 0.5) / unit);
        let colour = person(who, at, unit);
        Rgb(colour.map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

fn person(who: &Looks, (x, y): (f32, f32), unit: f32) -> Colour {
    // Small pictures are compared by tests; without shades they are small files too.
    let shade = if unit <= 0.5 { 0.4 } else { y / 360.0 };
    let mut paint = Paint { colour: mix(who.wall.0, who.wall.1, shade), unit };
    background(&mut paint, who, x, y);
    let x = x - who.at * 60.0;
    let dark = |c: Colour, by: f32| c.map(|c| c * by);
    // Hair behind the head.
    if who.is_long {
        paint.fill(ellipse(x, y, 0.0, 186.0, 78.0, 108.0), dark(who.hair, 0.82), 1.0);
    }
    // Shoulders and neck.
    paint.fill(ellipse(x, y, 0.0, 392.0, 168.0, 122.0), who.cloth, 1.0);
    paint.fill(ellipse(x, y, 0.0, 274.0, 44.0, 26.0), dark(who.skin, 0.92), 1.0);
    paint.fill(ellipse(x, y, 0.0, 252.0, 30.0, 46.0), dark(who.skin, 0.86), 1.0);
    // Ears and head.
    for side in [-1.0, 1.0] {
        paint.fill(ellipse(x, y, side * 62.0, 184.0, 11.0, 18.0), dark(who.skin, 0.9), 1.0);
    }
    paint.fill(ellipse(x, y, 0.0, 178.0, 62.0, 78.0), who.skin, 1.0);
    let light = ellipse(x, y, 26.0, 190.0, 40.0, 64.0).max(ellipse(x, y, 0.0, 178.0, 62.0, 78.0));
    paint.fill(light, dark(who.skin, 1.05), 0.35);
    if who.has_beard {
        let jaw = ellipse(x, y, 0.0, 216.0, 58.0, 46.0).max(-ellipse(x, y, 0.0, 186.0, 50.0, 40.0));
        paint.fill(jaw, who.hair, 1.0);
    }
    // Hair on the head.
    let cap = ellipse(x, y, 0.0, 164.0, 68.0, 74.0);
    let fringe = -ellipse(x, y, 10.0, 204.0, 62.0, 72.0);
    paint.fill(cap.max(fringe), who.hair, 1.0);
    if who.is_long {
        for side in [-1.0, 1.0] {
            paint.fill(ellipse(x, y, side * 64.0, 210.0, 17.0, 70.0), who.hair, 1.0);
        }
    }
    // Eyes, brows, nose, mouth.
    let ink = [0.13, 0.1, 0.1];
    for side in [-1.0, 1.0] {
        paint.fill(ellipse(x, y, side * 24.0, 176.0, 7.5, 5.2), [0.97, 0.96, 0.95], 1.0);
        paint.fill(ellipse(x, y, side * 24.0, 176.0, 4.4, 4.8), ink, 1.0);
        paint.fill(ellipse(x, y, side * 24.0, 161.0, 13.0, 2.8), dark(who.hair, 0.9), 0.9);
        if who.has_glasses {
            paint.fill(ellipse(x, y, side * 24.0, 178.0, 19.0, 16.0).abs() - 1.8, ink, 0.9);
        }
    }
    if who.has_glasses {
        paint.fill(ellipse(x, y, 0.0, 175.0, 6.0, 1.8), ink, 0.9);
    }
    paint.fill(ellipse(x, y, 2.0, 196.0, 7.0, 4.5), dark(who.skin, 0.84), 0.8);
    let smile = ellipse(x, y, 0.0, 212.0, 21.0, 13.0).max(-(y - 213.0));
    paint.fill(smile, [0.66, 0.26, 0.26], 1.0);
    paint.fill(ellipse(x, y, 0.0, 212.0, 18.0, 6.0).max(-(y - 213.0)), [0.98, 0.97, 0.96], 1.0);
    // The collar.
    paint.fill(
        ellipse(x, y, 0.0, 286.0, 50.0, 22.0).abs() - 3.0,
        dark(who.cloth, 0.8),
        if y > 286.0 { 1.0 } else { 0.0 },
    );
    paint.colour
}

fn background(paint: &mut Paint, who: &Looks, x: f32, y: f32) {
    let light = mix(who.wall.0, [1.0, 1.0, 1.0], 0.45);
    let dark = who.wall.1.map(|c| c * 0.72);
    match who.behind {
        Behind::Window => {
            paint.fill(block(x, y, -196.0, 110.0, 86.0, 92.0), dark, 1.0);
            for (cx, cy) in [(-238.0, 64.0), (-154.0, 64.0), (-238.0, 156.0), (-154.0, 156.0)] {
                paint.fill(block(x, y, cx, cy, 38.0, 41.0), GLASS, 1.0);
            }
        }
        Behind::Shelf => {
            for (row, top) in [40.0_f32, 130.0, 220.0].into_iter().enumerate() {
                for book in 0..9 {
                    let tall = 26.0 + ((book * 7 + row * 5) % 5) as f32 * 4.0;
                    let hue = BOOKS[(book * 3 + row * 2) % BOOKS.len()];
                    let left = 120.0 + book as f32 * 21.0;
                    paint.fill(
                        block(x, y, left, top + 56.0 - tall, 9.0, tall),
                        mix(hue, who.wall.1, 0.35),
                        1.0,
                    );
                }
                paint.fill(block(x, y, 208.0, top + 59.0, 110.0, 3.5), dark, 1.0);
            }
        }
        Behind::Plant => {
            for leaf in 0..7 {
                let angle = -1.2 + leaf as f32 * 0.4;
                let (sin, cos) = angle.sin_cos();
                let (dx, dy) = (x - 226.0 - sin * 56.0, y - 236.0 + cos * 64.0);
                let (u, v) = (dx * cos + dy * sin, -dx * sin + dy * cos);
                let green = [0.2 + 0.03 * leaf as f32, 0.46 + 0.02 * leaf as f32, 0.3];
                paint.fill(ellipse(u, v, 0.0, 0.0, 15.0, 56.0), green, 1.0);
            }
            paint.fill(block(x, y, 226.0, 318.0, 34.0, 60.0), [0.72, 0.42, 0.3], 1.0);
        }
        Behind::Lamp => {
            for (radius, strength) in [(190.0, 0.1), (140.0, 0.14), (96.0, 0.2)] {
                paint.fill(ellipse(x, y, 214.0, 96.0, radius, radius), [1.0, 0.9, 0.66], strength);
            }
            paint.fill(block(x, y, 214.0, 96.0, 40.0, 34.0), [1.0, 0.93, 0.76], 1.0);
            paint.fill(block(x, y, 214.0, 240.0, 3.0, 112.0), dark, 1.0);
            paint.fill(block(x, y, -210.0, 130.0, 62.0, 46.0), light, 1.0);
            paint.fill(block(x, y, -210.0, 130.0, 54.0, 38.0), mix(dark, light, 0.4), 1.0);
        }
    }
}

struct Paint {
    colour: Colour,
    unit: f32,
}

impl Paint {
    /// Covers what is inside; `distance` to the edge in points, negative inside.
    fn fill(&mut self, distance: f32, colour: Colour, opacity: f32) {
        let cover = (0.5 - distance * self.unit).clamp(0.0, 1.0) * opacity;
        self.colour = mix(self.colour, colour, cover);
    }
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

fn ellipse(x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32) -> f32 {
    let (u, v) = ((x - cx) / rx, (y - cy) / ry);
    (u.hypot(v) - 1.0) * rx.min(ry)
}

fn block(x: f32, y: f32, cx: f32, cy: f32, half_width: f32, half_height: f32) -> f32 {
    ((x - cx).abs() - half_width).max((y - cy).abs() - half_height)
}

/// A slide with a chart.
pub(crate) fn slide(width: u32, height: u32) -> RgbImage {
    let unit = height as f32 / 360.0;
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = ((x as f32 + 0.5) / unit, (y as f32 + 0.5) / unit);
        let mut paint = Paint { colour: [0.985, 0.985, 0.98], unit };
        paint.fill(block(x, y, 320.0, 13.0, 320.0, 13.0), [0.17, 0.19, 0.23], 1.0);
        for (at, colour) in [(16.0, [0.98, 0.38, 0.36]), (34.0, [0.98, 0.74, 0.2]), (52.0, [0.3, 0.8, 0.4])] {
            paint.fill(ellipse(x, y, at, 13.0, 5.0, 5.0), colour, 1.0);
        }
        paint.fill(block(x, y, 150.0, 62.0, 110.0, 9.0), [0.13, 0.16, 0.22], 1.0);
        for (line, length) in [120.0_f32, 104.0, 112.0, 84.0, 116.0, 70.0].into_iter().enumerate() {
            let top = 102.0 + line as f32 * 24.0;
            paint.fill(ellipse(x, y, 46.0, top, 3.5, 3.5), [0.2, 0.46, 0.95], 1.0);
            paint.fill(block(x, y, 60.0 + length / 1.2, top, length / 1.2, 3.6), [0.7, 0.73, 0.78], 1.0);
        }
        for (bar, tall) in [46.0_f32, 72.0, 58.0, 94.0, 112.0, 138.0].into_iter().enumerate() {
            let left = 350.0 + bar as f32 * 44.0;
            let colour = if bar == 5 { [0.2, 0.46, 0.95] } else { [0.66, 0.77, 0.97] };
            paint.fill(block(x, y, left, 300.0 - tall, 14.0, tall), colour, 1.0);
        }
        paint.fill(block(x, y, 460.0, 301.0, 140.0, 1.0), [0.4, 0.44, 0.5], 1.0);
        paint.fill(block(x, y, 110.0, 300.0, 70.0, 20.0), [0.9, 0.94, 1.0], 1.0);
        Rgb(paint.colour.map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

const GLASS: Colour = [0.82, 0.91, 0.99];

const BOOKS: [Colour; 6] = [
    [0.7, 0.28, 0.24],
    [0.22, 0.42, 0.56],
    [0.86, 0.7, 0.38],
    [0.3, 0.48, 0.36],
    [0.52, 0.36, 0.52],
    [0.86, 0.84, 0.78],
];

const PEOPLE: [Looks; 8] = [
    Looks {
        wall: ([0.87, 0.83, 0.77], [0.74, 0.68, 0.62]),
        skin: [0.87, 0.66, 0.53],
        hair: [0.24, 0.15, 0.1],
        cloth: [0.16, 0.33, 0.5],
        is_long: true,
        has_glasses: false,
        has_beard: false,
        behind: Behind::Shelf,
        at: -0.4,
    },
    Looks {
        wall: ([0.74, 0.81, 0.84], [0.58, 0.66, 0.7]),
        skin: [0.55, 0.36, 0.25],
        hair: [0.09, 0.07, 0.07],
        cloth: [0.82, 0.52, 0.2],
        is_long: false,
        has_glasses: true,
        has_beard: true,
        behind: Behind::Window,
        at: 0.5,
    },
    Looks {
        wall: ([0.8, 0.85, 0.78], [0.66, 0.72, 0.64]),
        skin: [0.93, 0.75, 0.64],
        hair: [0.74, 0.5, 0.24],
        cloth: [0.55, 0.24, 0.34],
        is_long: true,
        has_glasses: true,
        has_beard: false,
        behind: Behind::Plant,
        at: -0.5,
    },
    Looks {
        wall: ([0.42, 0.4, 0.48], [0.28, 0.27, 0.34]),
        skin: [0.8, 0.58, 0.44],
        hair: [0.14, 0.12, 0.13],
        cloth: [0.2, 0.46, 0.4],
        is_long: false,
        has_glasses: false,
        has_beard: false,
        behind: Behind::Lamp,
        at: -0.1,
    },
    Looks {
        wall: ([0.9, 0.88, 0.85], [0.8, 0.77, 0.73]),
        skin: [0.42, 0.27, 0.19],
        hair: [0.07, 0.06, 0.06],
        cloth: [0.86, 0.83, 0.76],
        is_long: true,
        has_glasses: false,
        has_beard: false,
        behind: Behind::Window,
        at: 0.4,
    },
    Looks {
        wall: ([0.62, 0.68, 0.76], [0.48, 0.54, 0.62]),
        skin: [0.9, 0.71, 0.6],
        hair: [0.62, 0.6, 0.58],
        cloth: [0.2, 0.21, 0.26],
        is_long: false,
        has_glasses: true,
        has_beard: true,
        behind: Behind::Shelf,
        at: -0.5,
    },
    Looks {
        wall: ([0.86, 0.78, 0.72], [0.74, 0.64, 0.58]),
        skin: [0.84, 0.63, 0.47],
        hair: [0.1, 0.09, 0.11],
        cloth: [0.44, 0.3, 0.56],
        is_long: true,
        has_glasses: false,
        has_beard: false,
        behind: Behind::Lamp,
        at: -0.2,
    },
    Looks {
        wall: ([0.78, 0.82, 0.8], [0.64, 0.69, 0.67]),
        skin: [0.95, 0.79, 0.68],
        hair: [0.58, 0.26, 0.14],
        cloth: [0.3, 0.5, 0.26],
        is_long: false,
        has_glasses: false,
        has_beard: false,
        behind: Behind::Plant,
        at: -0.4,
    },
];
