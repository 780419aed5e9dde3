//! A server and what meets there, with its files in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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

    /// An app in a call, without a window.
    pub(super) fn caller(&self, name: &str, arguments: &[&str]) -> Program {
        let mut call = self.app("call", "room");
        call.args(["--headless", "--name", name, "--size", "320x180", "--fps", "15", "--tile", "320x180"]);
        call.arg("--report").arg(self.report(name)).args(arguments);
        let mut caller = Program::start(call).with_patience(PATIENCE);
        caller.wait_line("In the room");
        caller
    }

    /// Ends a caller as Ctrl-C does; gives its figures.
    ///
    /// # Panics
    /// When it does not end well.
    pub(super) fn end_of(&self, caller: Program, name: &str) -> Value {
        caller.terminate();
        let (status, said) = caller.wait();
        assert!(status.success(), "{name} ended with {status}: {said}");
        let text = std::fs::read_to_string(self.report(name)).expect("a caller writes its report");
        serde_json::from_str(&text).expect("a report is JSON")
    }

    fn report(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Where its files lie.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
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
