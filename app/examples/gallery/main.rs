//! Every screen of the window in named states, with made-up values; for looking at them while working on them.
//!
//! `cargo run -p farwheel --example gallery` opens the window on a drive screen and prints what it would do.
//! `... -- STATE` opens it on one. `... -- --png FOLDER [--size WxH] [--scale F] [--light] [STATE]` draws one or all of
//! them to files without a window.

mod canned;
#[path = "../../tests/panels/stage.rs"]
mod stage;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use farwheel::model::{Command, Model};
use farwheel::render::slot::Slot;
use farwheel::settings::Theme;
use farwheel::ui::{Backend, Options, run};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut folder, mut size, mut scale, mut theme, mut state) =
        (None, (1440.0, 900.0), 1.0, Theme::Dark, None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--png" => folder = Some(PathBuf::from(value()?)),
            "--scale" => scale = value()?.parse().context("--scale takes a number")?,
            "--light" => theme = Theme::Light,
            "--size" => {
                let text = value()?;
                let (width, height) = text.split_once('x').context("--size takes WxH")?;
                size = (width.parse()?, height.parse()?);
            }
            _ => state = Some(arg),
        }
    }
    let names = canned::STATES.map(|(name, _)| name);
    if let Some(state) = &state {
        anyhow::ensure!(names.contains(&state.as_str()), "no state {state}; there are {}", names.join(", "));
    }
    let Some(folder) = folder else {
        let at = names.iter().position(|name| Some(*name) == state.as_deref()).unwrap_or(5);
        let backend = Box::new(Gallery::new(at, theme, scale));
        let options = Options { size: [size.0, size.1], page: canned::STATES[at].1, ..Options::default() };
        return run(backend, options).map_err(|e| anyhow::anyhow!("the window cannot be opened: {e}"));
    };
    std::fs::create_dir_all(&folder)?;
    for name in names.into_iter().filter(|name| state.as_deref().is_none_or(|wanted| wanted == *name)) {
        let mut harness = stage::harness(name, canned::road, theme, scale, size);
        let picture = harness.render().map_err(|e| anyhow::anyhow!("{name} cannot be drawn: {e}"))?;
        picture.save(folder.join(format!("{name}.png")))?;
    }
    Ok(())
}

/// Shows one state until another is asked for.
struct Gallery {
    model: Model,
    pictures: Slot,
}

impl Gallery {
    fn new(at: usize, theme: Theme, scale: f32) -> Self {
        let (name, _) = canned::STATES[at];
        let mut model = canned::model(name);
        model.settings.theme = theme;
        model.settings.ui_scale = scale;
        Self { model, pictures: canned::pictures(name, canned::road) }
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

    fn on_change(&mut self, _wake: Arc<dyn Fn() + Send + Sync>) {}
}
