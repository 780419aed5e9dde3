//! Tests with real drivers, on a machine full of devices that `cargo xtask device-test` starts.
//!
//! Each scenario runs the built programs against devices that the kernel makes up: a camera (`vivid`), sound cards
//! (`snd-aloop`), a gamepad (`uinput`). All is emulated in software, so a scenario asserts what happens and in which
//! order, and only bounds that allow for a machine some ten times slower.

mod call;
mod camera;
mod gamepad;
mod kernel;
mod scene;
mod sound;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// One thing that is tried.
pub struct Scenario {
    /// Names it on the command line.
    pub name: &'static str,
    run: fn() -> String,
}

/// All of them.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "camera", run: camera::pictures_arrive },
    Scenario { name: "camera-unplugged", run: camera::unplugged_camera_comes_back },
    Scenario { name: "gamepad", run: gamepad::gamepad_is_found },
    Scenario { name: "call", run: call::call_survives_unplugged_sound },
];

/// What became of a scenario.
pub enum Outcome {
    /// It went as it should; figures in words.
    Passed(String),
    /// It did not; why.
    Failed(String),
}

impl Scenario {
    /// Tries it; gives what became of it and how long it took.
    pub fn run(&self) -> (Outcome, Duration) {
        let start = Instant::now();
        let outcome = match catch_unwind(AssertUnwindSafe(self.run)) {
            Ok(figures) => Outcome::Passed(figures),
            Err(panic) => Outcome::Failed(words_of(&*panic)),
        };
        (outcome, start.elapsed())
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Longest wait for anything on the emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
