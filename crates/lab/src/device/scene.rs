//! A server and what meets there, with its files in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, binary};

use super::PATIENCE;

/// A folder, and a signalling server that runs as long as this is held.
pub(super) struct Scene {
    folder: PathBuf,
    _server: Program,
    url: String,
}

impl Scene {
    /// # Panics
    /// When the server does not start.
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("farwheel-device-{name}"));
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let mut serve = command("farwheel-signaling", &folder);
        serve.args(["serve", "--listen", "127.0.0.1:0"]);
        let mut server = Program::start(serve).with_patience(PATIENCE);
        let url = server.wait_line("listening ");
        Self { folder, _server: server, url }
    }

    /// A robot without a car in the room `car`.
    pub(super) fn robot(&self, arguments: &[&str]) -> Program {
        let mut run = command("farwheel-robot", &self.folder);
        run.args(["run", "--server", &self.url, "--room", "car", "--bind", "127.0.0.1"]).args(arguments);
        Program::start(run).with_patience(PATIENCE)
    }

    /// The app's look at the machine.
    pub(super) fn doctor(&self) -> Command {
        let mut app = command("farwheel", &self.folder);
        app.arg("doctor");
        app
    }

    /// The app's command with a room of this server.
    pub(super) fn app(&self, what: &str, room: &str) -> Command {
        let mut app = command("farwheel", &self.folder);
        app.args([what, room, "--server", &self.url, "--loopback"]);
        app
    }
}

/// A program whose settings lie in `folder`.
pub(super) fn command(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary(name));
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_RUNTIME_DIR", folder);
    command
}
