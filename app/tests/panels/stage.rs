//! Puts a named state on a stage without a window.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use farwheel::model::{Command, Model};
use farwheel::render::slot::{Picture, Slot};
use farwheel::render::video;
use farwheel::settings::Theme;
use farwheel::ui::window::Shown;
use farwheel::ui::{Page, Pictures, Window, theme};

use super::canned;

/// What is on stage.
pub(crate) struct Scene {
    /// The window under test.
    pub(crate) window: Window,
    /// What it shows.
    pub(crate) model: Model,
    /// The picture of the drive screen.
    pub(crate) pictures: Slot,
    /// The pictures of a call.
    pub(crate) faces: canned::Faces,
    /// Everything the user asked for so far.
    pub(crate) commands: Vec<Command>,
}

/// A stage with a state on it, in points of `size`.
#[allow(dead_code, reason = "the tests compare, the gallery draws")]
pub(crate) fn harness(
    name: &str,
    picture: fn() -> Picture,
    look: Theme,
    scale: f32,
    size: (f32, f32),
) -> Harness<'static, Scene> {
    harness_with(name, picture, (320, 180), look, scale, size)
}

/// The same with the size of the pictures of cameras.
pub(crate) fn harness_with(
    name: &str,
    picture: fn() -> Picture,
    faces: (u32, u32),
    look: Theme,
    scale: f32,
    size: (f32, f32),
) -> Harness<'static, Scene> {
    let page = canned::states().find(|(known, _)| *known == name).map_or(Page::Drive, |(_, page)| page);
    let mut model = canned::model(name);
    model.settings.theme = look;
    let mut window = Window::on(page);
    if name.ends_with("shortcuts") {
        window.shortcuts = Shown::Yes;
    }
    let pictures = canned::pictures(name, picture);
    let faces = canned::faces(&model, faces);
    let scene = Scene { window, model, pictures, faces, commands: Vec::new() };
    let state = create_render_state(default_wgpu_setup(), egui_wgpu_options());
    video::install(&state);
    let mut harness = Harness::builder()
        .with_size(egui::vec2(size.0 / scale, size.1 / scale))
        .with_pixels_per_point(scale)
        .with_theme(if look == Theme::Light { egui::Theme::Light } else { egui::Theme::Dark })
        .with_accessibility_check(true)
        .with_context_setup(theme::install)
        .renderer(WgpuTestRenderer::from_render_state(state))
        .build_ui_state(
            |ui, scene: &mut Scene| {
                // The harness has a margin, the window has none.
                let whole = ui.ctx().content_rect();
                let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(whole));
                ui.set_clip_rect(whole);
                let faces = &scene.faces;
                let pictures =
                    Pictures { drive: &scene.pictures, call: &|source| faces.get(&source).cloned() };
                let commands = scene.window.show(&mut ui, &mut scene.model, pictures);
                scene.commands.extend(commands);
            },
            scene,
        );
    // Spinners ask for paints for ever; animations are over after these.
    harness.run_steps(6);
    if harness.state().window.page != page {
        // A call came to the front by itself.
        harness.state_mut().window.page = page;
        harness.run_steps(2);
    }
    let width = size.0 / scale;
    for name in canned::clicks(name, width) {
        let control = harness.get_by_label(name);
        // In a low window a menu is scrolled, and a pointer does not reach all of it at once.
        if width < 940.0 {
            control.click_accesskit()
        } else {
            control.click()
        }
        harness.run_steps(6);
    }
    harness.remove_cursor();
    harness.run_steps(2);
    harness
}

fn egui_wgpu_options() -> eframe::egui_wgpu::RendererOptions {
    eframe::egui_wgpu::RendererOptions::PREDICTABLE
}
