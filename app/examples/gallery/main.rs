//! Every screen of the window in named states, with made-up values; for looking at them while working on them.
//!
//! `cargo run -p farwheel --example gallery` opens the window on a drive screen and prints what it would do.
//! `... -- STATE` opens it on one. `... -- --png FOLDER [--size WxH] [--scale F] [--light] [STATE]` draws one or all of
//! them to files without a window. `... -- --docs docs/images` draws those of the README. `... -- --play FPS [STATE]` feeds the window pictures of 1280x720 and prints what
//! showing them costs.

mod canned;
#[path = "../../tests/panels/stage.rs"]
mod stage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use farwheel::model::call::Source;
use farwheel::model::{Command, Model};
use farwheel::render::slot::{Picture, Slot};
use farwheel::settings::Theme;
use farwheel::ui::{Backend, Options, Page, run};
use farwheel_proto::video::FrameId;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut folder, mut size, mut scale, mut theme, mut state, mut play) =
        (None, (1440.0, 900.0), 1.0, Theme::Dark, None, None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--png" => folder = Some(PathBuf::from(value()?)),
            "--docs" => {
                let folder = PathBuf::from(value()?);
                return DOCS.iter().try_for_each(|(name, size)| draw(&folder, name, theme, 1.0, *size));
            }
            "--scale" => scale = value()?.parse().context("--scale takes a number")?,
            "--play" => play = Some(value()?.parse::<f64>().context("--play takes pictures per second")?),
            "--light" => theme = Theme::Light,
            "--size" => {
                let text = value()?;
                let (width, height) = text.split_once('x').context("--size takes WxH")?;
                size = (width.parse()?, height.parse()?);
            }
            _ => state = Some(arg),
        }
    }
    let names: Vec<&str> = canned::states().map(|(name, _)| name).collect();
    if let Some(state) = &state {
        anyhow::ensure!(names.contains(&state.as_str()), "no state {state}; there are {}", names.join(", "));
    }
    let Some(folder) = folder else {
        let at = names.iter().position(|name| Some(*name) == state.as_deref()).unwrap_or(5);
        let backend = Box::new(Gallery::new(at, theme, scale));
        if let Some(fps) = play {
            let slot = backend.pictures.clone();
            std::thread::Builder::new().name("play".into()).spawn(move || feed(&slot, fps))?;
        }
        let options = Options {
            size: [size.0, size.1],
            page: canned::states().nth(at).map_or(Page::Drive, |(_, page)| page),
            ..Options::default()
        };
        return run(backend, options).map_err(|e| anyhow::anyhow!("the window cannot be opened: {e}"));
    };
    std::fs::create_dir_all(&folder)?;
    for name in names.into_iter().filter(|name| state.as_deref().is_none_or(|wanted| wanted == *name)) {
        draw(&folder, name, theme, scale, size)?;
    }
    Ok(())
}

/// Draws a state to a file that is called after it.
fn draw(folder: &Path, name: &str, theme: Theme, scale: f32, size: (f32, f32)) -> anyhow::Result<()> {
    let mut harness = stage::harness_with(name, canned::road, FACES, theme, scale, size);
    let picture = harness.render().map_err(|e| anyhow::anyhow!("{name} cannot be drawn: {e}"))?;
    picture.save(folder.join(format!("{name}.png"))).with_context(|| format!("write {name}.png"))
}

/// The pictures of the README, with their sizes in points.
const DOCS: [(&str, (f32, f32)); 13] = [
    ("prejoin", (1280.0, 800.0)),
    ("call-one", (1280.0, 800.0)),
    ("call-grid", (1280.0, 800.0)),
    ("call-share", (1280.0, 800.0)),
    ("call-reconnecting", (1280.0, 800.0)),
    ("call-chat", (1280.0, 800.0)),
    ("call-lobby", (1280.0, 800.0)),
    ("call-verify", (1280.0, 800.0)),
    ("call-settings", (1280.0, 1040.0)),
    ("pair", (1280.0, 800.0)),
    ("pair-together", (1280.0, 800.0)),
    ("prejoin-offer", (1280.0, 800.0)),
    ("prejoin-reading", (1280.0, 800.0)),
];

/// Puts pictures in the slot for ever, and prints once a second how they fared.
fn feed(slot: &Slot, fps: f64) {
    let frame = canned::i420(&image::RgbImage::from_fn(1280, 720, |x, y| image::Rgb([x as u8, y as u8, 90])));
    let (mut waits, mut uploads, mut seen) = (Vec::new(), Vec::new(), None);
    for number in 0_u16.. {
        slot.put(Picture { id: FrameId(number), frame: frame.clone(), decoded_at: Instant::now() });
        std::thread::sleep(Duration::from_secs_f64(1.0 / fps));
        if let Some(shown) = slot.presented().filter(|shown| seen != Some(shown.id)) {
            seen = Some(shown.id);
            waits.push(shown.drawn_at - shown.decoded_at);
            uploads.push(shown.upload);
        }
        if waits.len() as f64 >= fps {
            let show = |times: &mut Vec<Duration>| {
                times.sort();
                let text =
                    format!("p50 {:?} p95 {:?}", times[times.len() / 2], times[times.len() * 95 / 100]);
                times.clear();
                text
            };
            println!(
                "slot to draw {}, of it upload {}; overtaken {}",
                show(&mut waits),
                show(&mut uploads),
                slot.overtaken()
            );
        }
    }
}

/// Shows one state until another is asked for.
struct Gallery {
    model: Model,
    pictures: Slot,
    faces: canned::Faces,
}

/// Size of the drawn pictures of cameras.
const FACES: (u32, u32) = (1280, 720);

impl Gallery {
    fn new(at: usize, theme: Theme, scale: f32) -> Self {
        let (name, _) = canned::states().nth(at).expect("the state is one of them");
        let mut model = canned::model(name);
        model.settings.theme = theme;
        model.settings.ui_scale = scale;
        let faces = canned::faces(&model, FACES);
        Self { model, pictures: canned::pictures(name, canned::road), faces }
    }
}

impl Backend for Gallery {
    fn refresh(&mut self, model: &mut Model) {
        model.clone_from(&self.model);
        self.model.notices.clear();
    }

    fn execute(&mut self, command: Command) {
        println!("{command:?}");
        match command {
            Command::ChangeSettings(settings) => self.model.settings = *settings,
            Command::ChangeProfile { profile, .. } => {
                if let Some(device) = self.model.gamepad.devices.first_mut() {
                    device.profile = *profile;
                }
            }
            _ => {}
        }
    }

    fn pictures(&self) -> &Slot {
        &self.pictures
    }

    fn call_picture(&self, source: Source) -> Option<Slot> {
        self.faces.get(&source).cloned()
    }

    fn on_change(&mut self, _wake: Arc<dyn Fn() + Send + Sync>) {}
}
