//! The YUV shader against known colours.

use std::sync::Arc;
use std::time::Instant;

use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use farwheel::model::settings::Fit;
use farwheel::render::slot::{Picture, Slot};
use farwheel::render::video::{self, Look, Mirror, Tile};
use farwheel_media::VideoFrame;
use farwheel_proto::video::{FrameId, Size};

/// BT.601 limited range: (Y, U, V) and the sRGB value it stands for, from ITU-R BT.601-7.
const COLOURS: [([u8; 3], [u8; 3]); 8] = [
    ([16, 128, 128], [0, 0, 0]),
    ([235, 128, 128], [255, 255, 255]),
    ([126, 128, 128], [128, 128, 128]),
    ([81, 90, 240], [254, 0, 0]),
    ([145, 54, 34], [0, 255, 1]),
    ([41, 240, 110], [0, 0, 255]),
    ([210, 16, 146], [255, 255, 0]),
    ([170, 166, 16], [0, 255, 255]),
];

const CELL: u32 = 32;

#[test]
fn known_yuv_becomes_known_rgb_whatever_the_stride() {
    for padding in [0, 6] {
        let picture = draw(&patches(padding), Look::LIVE, Fit::Fill);
        for (index, (yuv, want)) in COLOURS.iter().enumerate() {
            let got = picture.get_pixel(index as u32 * CELL + CELL / 2, CELL / 2).0;
            for channel in 0..3 {
                let off = i32::from(got[channel]) - i32::from(want[channel]);
                assert!(off.abs() <= 2, "{yuv:?} became {got:?}, want {want:?}, padding {padding}");
            }
        }
    }
}

#[test]
fn a_stale_picture_is_grey_and_dark() {
    let picture = draw(&patches(0), Look::STALE, Fit::Fill);
    for index in 0..COLOURS.len() as u32 {
        let [r, g, b, _] = picture.get_pixel(index * CELL + CELL / 2, CELL / 2).0;
        assert!(r.abs_diff(g) <= 1 && g.abs_diff(b) <= 1, "patch {index} is not grey: {r} {g} {b}");
        assert!(r <= 110, "patch {index} is not dark: {r}");
    }
}

#[test]
fn letterbox_keeps_the_whole_picture_between_bars() {
    let frame = patches(0);
    let size = (CELL * 8, CELL * 3);
    let picture = draw_sized(&frame, Look::LIVE, Fit::Letterbox, size);
    let bar = picture.get_pixel(CELL, 4).0;
    assert_eq!(&bar[..3], &[1, 2, 3], "the bar shows what is behind");
    let white = picture.get_pixel(CELL + CELL / 2, size.1 / 2).0;
    assert!(white[0] >= 253, "{white:?}");
}

#[test]
fn the_slot_learns_which_picture_was_drawn_and_what_it_cost() {
    let slot = Slot::new();
    let frame = patches(0);
    slot.put(Picture { id: FrameId(41), frame: frame.clone(), decoded_at: Instant::now() });
    slot.put(Picture { id: FrameId(42), frame, decoded_at: Instant::now() });
    let mut harness = on_stage(slot.clone(), Look::LIVE, Fit::Fill, (256, 32));
    assert_eq!(slot.presented(), None, "nothing is drawn before the first render");
    harness.render().unwrap();
    let presented = slot.presented().unwrap();
    assert_eq!(presented.id, FrameId(42));
    assert!(presented.drawn_at >= presented.decoded_at);
    assert_eq!(slot.overtaken(), 1);
}

/// One patch of `CELL` pixels per colour, rows padded with a colour that must not show.
fn patches(padding: usize) -> VideoFrame {
    let (width, height) = (CELL as usize * COLOURS.len(), CELL as usize);
    let (stride_y, stride_uv) = (width + padding, width / 2 + padding);
    let mut data = Vec::new();
    for (plane, cell, stride, rows) in [
        (0, CELL as usize, stride_y, height),
        (1, CELL as usize / 2, stride_uv, height / 2),
        (2, CELL as usize / 2, stride_uv, height / 2),
    ] {
        for _ in 0..rows {
            let row = COLOURS.iter().flat_map(|(yuv, _)| std::iter::repeat_n(yuv[plane], cell));
            let before = data.len();
            data.extend(row);
            data.resize(before + stride, 77);
        }
    }
    VideoFrame {
        size: Size::new(width as u32, height as u32),
        data: Arc::new(data),
        stride_y,
        stride_uv,
        captured_at: Instant::now(),
    }
}

fn draw(frame: &VideoFrame, look: Look, fit: Fit) -> image::RgbaImage {
    draw_sized(frame, look, fit, (frame.size.width, frame.size.height))
}

fn draw_sized(frame: &VideoFrame, look: Look, fit: Fit, size: (u32, u32)) -> image::RgbaImage {
    let slot = Slot::new();
    slot.put(Picture { id: FrameId(1), frame: frame.clone(), decoded_at: Instant::now() });
    on_stage(slot, look, fit, size).render().expect("a graphics adapter, be it a software one")
}

fn on_stage(slot: Slot, look: Look, fit: Fit, size: (u32, u32)) -> Harness<'static> {
    let state = create_render_state(default_wgpu_setup(), eframe::egui_wgpu::RendererOptions::PREDICTABLE);
    video::install(&state);
    Harness::builder()
        .with_size(egui::vec2(size.0 as f32, size.1 as f32))
        .with_pixels_per_point(1.0)
        .renderer(WgpuTestRenderer::from_render_state(state))
        .build_ui(move |ui| {
            let rect = ui.ctx().content_rect();
            ui.painter().rect_filled(rect, 0.0, egui::Color32::from_rgb(1, 2, 3));
            video::paint(ui, rect, &slot, fit, look);
        })
}

#[test]
fn corners_are_round_and_the_mirror_exchanges_left_and_right() {
    let size = (CELL * 8, CELL);
    let drawn = |mirror| {
        let slot = filled(&patches(0));
        draw_tiles(size, vec![(slot, tile(1, (0.0, 0.0, 256.0, 32.0), 12.0, mirror))])
    };
    let plain = drawn(Mirror::No);
    for (x, y) in [(0, 0), (255, 0), (0, 31), (255, 31), (2, 1)] {
        assert_eq!(&plain.get_pixel(x, y).0[..3], &[1, 2, 3], "the corner at {x} {y} shows what is behind");
    }
    for x in [4, 40, 250] {
        assert_ne!(&plain.get_pixel(x, 16).0[..3], &[1, 2, 3], "{x}");
    }
    let mirrored = drawn(Mirror::Yes);
    for index in 0..COLOURS.len() as u32 {
        let at = |picture: &image::RgbaImage, index: u32| picture.get_pixel(index * CELL + CELL / 2, 16).0;
        let (a, b) = (at(&plain, index), at(&mirrored, 7 - index));
        assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2), "patch {index}: {a:?} and {b:?}");
    }
}

#[test]
fn several_slots_are_drawn_at_once_and_one_slot_at_several_places() {
    let (grey, colours) = (filled(&plain_frame(126)), filled(&patches(0)));
    let tiles = vec![
        (colours.clone(), tile(1, (0.0, 0.0, 256.0, 32.0), 0.0, Mirror::No)),
        (colours, tile(2, (0.0, 64.0, 256.0, 32.0), 0.0, Mirror::Yes)),
        (grey, tile(3, (0.0, 32.0, 256.0, 32.0), 0.0, Mirror::No)),
    ];
    let picture = draw_tiles((256, 96), tiles);
    let white = CELL + CELL / 2;
    assert!(picture.get_pixel(white, 16).0[0] >= 253);
    assert!(picture.get_pixel(255 - white, 80).0[0] >= 253, "mirrored below");
    for x in [10, 128, 250] {
        assert!(picture.get_pixel(x, 48).0[0].abs_diff(128) <= 2, "grey between");
    }
}

#[test]
fn a_picture_that_is_no_longer_drawn_leaves_the_graphics_card() {
    let state = create_render_state(default_wgpu_setup(), eframe::egui_wgpu::RendererOptions::PREDICTABLE);
    video::install(&state);
    let slot = filled(&plain_frame(126));
    let mut harness = Harness::builder()
        .with_size(egui::vec2(64.0, 32.0))
        .renderer(WgpuTestRenderer::from_render_state(state.clone()))
        .build_ui(move |ui| {
            video::paint_tile(ui, &slot, tile(1, (0.0, 0.0, 64.0, 32.0), 0.0, Mirror::No));
        });
    harness.render().expect("a graphics adapter, be it a software one");
    let now = Instant::now();
    assert_eq!(video::tidy(&state, now), 1);
    assert_eq!(video::tidy(&state, now + std::time::Duration::from_secs(5)), 0);
}

#[test]
fn a_tile_half_out_of_the_window_is_cut_and_not_squeezed() {
    let slot = filled(&patches(0));
    let picture = draw_tiles((128, 32), vec![(slot, tile(1, (-128.0, 0.0, 256.0, 32.0), 0.0, Mirror::No))]);
    // The left half of the patches is out of sight.
    for (index, (_, want)) in COLOURS.iter().enumerate().skip(4) {
        let got = picture.get_pixel((index as u32 - 4) * CELL + CELL / 2, 16).0;
        for channel in 0..3 {
            assert!(got[channel].abs_diff(want[channel]) <= 2, "patch {index}: {got:?}, want {want:?}");
        }
    }
}

#[test]
fn a_tile_whose_textures_are_gone_shows_its_last_picture_again() {
    let slot = filled(&plain_frame(235));
    let white = |slot: Slot| {
        let tile = tile(1, (0.0, 0.0, 64.0, 32.0), 0.0, Mirror::No);
        draw_tiles((64, 32), vec![(slot, tile)]).get_pixel(32, 16).0[0]
    };
    assert!(white(slot.clone()) >= 253);
    // Another renderer has never seen the picture, and the slot has no new one.
    assert!(slot.take().is_none());
    assert!(white(slot) >= 253);
}

fn plain_frame(y: u8) -> VideoFrame {
    let mut data = vec![y; 64 * 32];
    data.resize(64 * 32 * 3 / 2, 128);
    VideoFrame {
        size: Size::new(64, 32),
        data: Arc::new(data),
        stride_y: 64,
        stride_uv: 32,
        captured_at: Instant::now(),
    }
}

fn filled(frame: &VideoFrame) -> Slot {
    let slot = Slot::new();
    slot.put(Picture { id: FrameId(1), frame: frame.clone(), decoded_at: Instant::now() });
    slot
}

fn tile(id: u64, (x, y, width, height): (f32, f32, f32, f32), radius: f32, mirror: Mirror) -> Tile {
    let rect = egui::Rect::from_min_size(egui::pos2(x, y), egui::vec2(width, height));
    Tile { id: egui::Id::unique(id), rect, fit: Fit::Fill, radius, mirror, look: Look::LIVE }
}

fn draw_tiles(size: (u32, u32), tiles: Vec<(Slot, Tile)>) -> image::RgbaImage {
    let state = create_render_state(default_wgpu_setup(), eframe::egui_wgpu::RendererOptions::PREDICTABLE);
    video::install(&state);
    let mut harness = Harness::builder()
        .with_size(egui::vec2(size.0 as f32, size.1 as f32))
        .with_pixels_per_point(1.0)
        .renderer(WgpuTestRenderer::from_render_state(state))
        .build_ui(move |ui| {
            let whole = ui.ctx().content_rect();
            let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(whole));
            ui.set_clip_rect(whole);
            ui.painter().rect_filled(whole, 0.0, egui::Color32::from_rgb(1, 2, 3));
            for (slot, tile) in &tiles {
                video::paint_tile(&ui, slot, *tile);
            }
        });
    harness.render().expect("a graphics adapter, be it a software one")
}
