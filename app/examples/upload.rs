//! What handing a picture to the graphics card takes, through the app's own renderer and without a window:
//! `upload WIDTH HEIGHT FPS PICTURES` prints one JSON object.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use farwheel::model::settings::Fit;
use farwheel::render::slot::{Picture, Slot};
use farwheel::render::video::{self, Look};
use farwheel_media::strip::Stamp;
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::{FrameId, Size};
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let args: Vec<u32> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let [width, height, fps, pictures] = args[..] else {
        anyhow::bail!("usage: upload WIDTH HEIGHT FPS PICTURES");
    };
    let size = Size::new(width, height);
    let state = create_render_state(default_wgpu_setup(), eframe::egui_wgpu::RendererOptions::PREDICTABLE);
    let adapter = state.adapter.get_info().name;
    video::install(&state);
    let slot = Slot::new();
    let shown = slot.clone();
    let mut harness = Harness::builder()
        .with_size(egui::vec2(size.width as f32, size.height as f32))
        .with_pixels_per_point(1.0)
        .renderer(WgpuTestRenderer::from_render_state(state))
        .build_ui(move |ui| {
            let rect = ui.ctx().content_rect();
            video::paint(ui, rect, &shown, Fit::Fill, Look::LIVE);
        });
    let mut source = TestPicture::new(size);
    let mut uploads = Vec::new();
    let interval = Duration::from_secs(1) / fps.max(1);
    let mut due = Instant::now();
    for number in 0..WARM_UP + pictures {
        let frame = source.render(Stamp(number * 10_000 / fps.max(1)), due);
        slot.put(Picture { id: FrameId(number as u16), frame, decoded_at: Instant::now() });
        harness.step();
        harness.render().map_err(|error| anyhow::anyhow!("the picture is not drawn: {error}"))?;
        let presented = slot.presented().filter(|presented| presented.id == FrameId(number as u16));
        let upload = presented.context("the renderer took another picture")?.upload;
        if number >= WARM_UP {
            uploads.push(upload);
        }
        due += interval;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    uploads.sort_unstable();
    let median = uploads.get(uploads.len() / 2).context("no picture was asked for")?;
    println!("{}", json!({ "adapter": adapter, "upload_ms": median.as_secs_f64() * 1e3 }));
    Ok(())
}

/// Pictures at the start in which textures and pipelines are made.
const WARM_UP: u32 = 5;
