//! The eframe window: fonts, icon, geometry, presentation, and the link between panels and session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, ThemePreference, ViewportBuilder};
use eframe::egui_wgpu::{SurfaceConfig, wgpu};

use super::window::{Page, Window};
use super::{Backend, Pictures, theme};
use crate::model::settings::{Geometry, Present};
use crate::model::{Command, Model};
use crate::render::video;
use crate::settings::Theme;

/// Where and how the window opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Inner size in points.
    pub size: [f32; 2],
    /// Position on the desktop; the system's choice if `None`.
    pub position: Option<[f32; 2]>,
    /// The page it opens on.
    pub page: Page,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: [1280.0, 800.0], position: None, page: Page::Drive }
    }
}

impl Options {
    /// A window on `page` where it was when it was closed; nonsense in a file is forced into sense.
    pub fn remembered(geometry: Option<Geometry>, page: Page) -> Self {
        let Some(geometry) = geometry else { return Self { page, ..Self::default() } };
        let (width, height) = geometry.size;
        let size = [width.clamp(640, 8192) as f32, height.clamp(400, 8192) as f32];
        let is_near = |at: i32| (-8192..=16_384).contains(&at);
        let position = geometry.position.filter(|(left, top)| is_near(*left) && is_near(*top));
        Self { size, position: position.map(|(left, top)| [left as f32, top as f32]), page }
    }
}

/// Opens the window and stays in it until it is closed.
///
/// # Errors
/// When there is no display, or no graphics adapter that the window can use.
pub fn run(backend: Box<dyn Backend>, options: Options) -> Result<(), eframe::Error> {
    let mut viewport = ViewportBuilder::default()
        .with_title("Farwheel")
        .with_app_id("farwheel")
        .with_inner_size(options.size)
        .with_min_inner_size([640.0, 400.0])
        .with_icon(icon());
    if let Some(position) = options.position {
        viewport = viewport.with_position(position);
    }
    let mut native = eframe::NativeOptions { viewport, dithering: false, ..Default::default() };
    native.wgpu_options.surface = surface(Present::Immediate);
    let page = options.page;
    eframe::run_native("farwheel", native, Box::new(move |cx| Ok(Box::new(App::new(cx, backend, page)))))
}

fn icon() -> egui::IconData {
    let png = include_bytes!("../../../assets/icons/farwheel-256.png");
    eframe::icon_data::from_png_bytes(png).expect("the icon in assets is a PNG picture")
}

fn surface(present: Present) -> SurfaceConfig {
    let present_mode = match present {
        // Immediate, else mailbox, else what every system has.
        Present::Immediate => wgpu::PresentMode::AutoNoVsync,
        Present::Vsync => wgpu::PresentMode::AutoVsync,
    };
    SurfaceConfig { present_mode, desired_maximum_frame_latency: Some(1) }
}

struct App {
    backend: Box<dyn Backend>,
    window: Window,
    model: Model,
    calm: Calm,
    looks: Option<(Theme, f32)>,
    geometry: Option<Geometry>,
}

impl App {
    fn new(cx: &eframe::CreationContext<'_>, mut backend: Box<dyn Backend>, page: Page) -> Self {
        theme::install(&cx.egui_ctx);
        if let Some(state) = &cx.wgpu_render_state {
            video::install(state);
        }
        let ctx = cx.egui_ctx.clone();
        backend.pictures().on_put(move || ctx.request_repaint());
        let ctx = cx.egui_ctx.clone();
        backend.on_change(Arc::new(move || ctx.request_repaint()));
        let window = Window::on(page);
        Self { backend, window, model: Model::default(), calm: Calm::default(), looks: None, geometry: None }
    }

    fn execute(&mut self, ctx: &egui::Context, command: Command) {
        if command == Command::Quit {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        self.backend.execute(command);
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.backend.refresh(&mut self.model);
        if self.backend.is_done() {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        if let Some(callback) = self.backend.screenshot() {
            ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
        }
        let settings = &self.model.settings;
        let looks = (settings.theme, settings.ui_scale);
        if self.looks != Some(looks) {
            self.looks = Some(looks);
            ctx.set_theme(match settings.theme {
                Theme::Dark => ThemePreference::Dark,
                Theme::Light => ThemePreference::Light,
                Theme::System => ThemePreference::System,
            });
            ctx.set_zoom_factor(settings.ui_scale);
        }
        self.geometry = geometry(ctx).or(self.geometry);
        frame.set_wgpu_surface_config(surface(settings.view.present));
        if let Some(state) = frame.wgpu_render_state() {
            video::tidy(state, Instant::now());
        }
        for command in self.window.watch_focus(ctx, &self.model) {
            self.execute(ctx, command);
        }
        // Figures, plots and ages tick at 10 Hz by themselves; pictures and keys ask for paints of their own.
        let calls = self.model.call.is_some() || self.model.prejoin.is_some();
        let is_live = self.model.drive.is_some() || calls || self.window.page == Page::Gamepad;
        let every = if is_live { Duration::from_millis(50) } else { Duration::from_millis(500) };
        ctx.request_repaint_after(every);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.calm.hold(ui.ctx(), &mut self.model);
        let backend = &self.backend;
        let pictures = Pictures { drive: backend.pictures(), call: &|source| backend.call_picture(source) };
        let commands = self.window.show(ui, &mut self.model, pictures);
        let ctx = ui.ctx().clone();
        for command in commands {
            self.execute(&ctx, command);
        }
    }

    fn on_exit(&mut self) {
        self.backend.execute(Command::Disconnect);
        if self.model.call.is_some() {
            self.backend.execute(Command::Call(crate::model::call::Command::Leave));
        }
        let mut settings = self.model.settings.clone();
        settings.view.window = self.geometry;
        if settings != self.model.settings {
            self.backend.execute(Command::ChangeSettings(Box::new(settings)));
        }
    }
}

/// Where the window is; nothing while it is maximised or fills the screen, as that is not where it belongs.
fn geometry(ctx: &egui::Context) -> Option<Geometry> {
    // The zoom is the user's own and does not belong to the window's size. It is read first: the context's lock is
    // held while the input is.
    let zoom = ctx.zoom_factor();
    ctx.input(|input| {
        let viewport = input.viewport();
        if viewport.fullscreen == Some(true)
            || viewport.maximized == Some(true)
            || viewport.minimized == Some(true)
        {
            return None;
        }
        let size = viewport.inner_rect?.size() * zoom;
        let position = viewport.outer_rect.map(|rect| rect.min * zoom);
        Some(Geometry {
            size: (size.x.round() as u32, size.y.round() as u32),
            position: position.map(|at| (at.x.round() as i32, at.y.round() as i32)),
        })
    })
}

/// Holds figures that nobody can read at 60 Hz for a tenth of a second.
#[derive(Debug, Default)]
struct Calm {
    until: f64,
    held: Option<(crate::model::drive::Figures, crate::model::drive::Stages, crate::model::drive::Vehicle)>,
}

impl Calm {
    fn hold(&mut self, ctx: &egui::Context, model: &mut Model) {
        let now = ctx.input(|input| input.time);
        let Some(drive) = &mut model.drive else {
            self.held = None;
            return;
        };
        match self.held {
            Some((figures, stages, vehicle)) if now < self.until => {
                drive.figures = figures;
                drive.stages = stages;
                drive.vehicle = vehicle;
            }
            Some(_) | None => {
                self.until = now + 0.1;
                self.held = Some((drive.figures, drive.stages, drive.vehicle));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_where_it_was_and_never_out_of_reach() {
        let at = |size, position| Options::remembered(Some(Geometry { size, position }), Page::Drive);
        assert_eq!(at((900, 700), Some((-40, 30))).size, [900.0, 700.0]);
        assert_eq!(at((900, 700), Some((-40, 30))).position, Some([-40.0, 30.0]));
        assert_eq!(at((0, u32::MAX), None).size, [640.0, 8192.0]);
        assert_eq!(at((900, 700), Some((i32::MAX, 0))).position, None);
        assert_eq!(
            Options::remembered(None, Page::Stats),
            Options { page: Page::Stats, ..Options::default() }
        );
    }
}
