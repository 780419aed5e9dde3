//! Starts callers without a window, and reads what they left behind.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use farwheel_lab::program::{Program, binary};

/// A folder for a call's programs.
pub(super) struct Scene {
    pub(super) dir: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A program that no file or variable of this machine changes.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, self.dir.path());
        }
        command
    }

    pub(super) fn server(&self, listen: &str, more: &[&str]) -> (Program, String) {
        let mut command = self.command("farwheel-signaling");
        command.args(["serve", "--listen", listen]).args(more);
        let mut server = Program::start(command);
        let url = server.wait_line("listening ");
        (server, url)
    }

    /// Somebody in the room `r`, as soon as it is in or waits.
    pub(super) fn caller(&self, url: &str, name: &str, more: &[String]) -> Program {
        self.caller_on(url, name, more, |_| {})
    }

    /// The same with other variables, of a desktop for example.
    pub(super) fn caller_on(
        &self,
        url: &str,
        name: &str,
        more: &[String],
        set: impl FnOnce(&mut Command),
    ) -> Program {
        let mut command = self.command("farwheel");
        command.args(["call", "r", "--server", url, "--loopback", "--name", name, "--headless"]);
        command.args([
            "--camera",
            "test",
            "--size",
            "320x180",
            "--tile",
            "320x180",
            "--left-out",
            "0",
            "--microphone",
            "test",
            "--speaker",
            "test",
        ]);
        command.arg("--report").arg(self.report(name)).args(more);
        set(&mut command);
        Program::start(command)
    }

    pub(super) fn report(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.json"))
    }

    /// Ends a call as Ctrl-C does; gives its figures.
    pub(super) fn end_of(&self, caller: Program, name: &str) -> Value {
        caller.terminate();
        let (status, said) = caller.wait();
        assert!(status.success(), "{said}");
        serde_json::from_str(&std::fs::read_to_string(self.report(name)).unwrap()).unwrap()
    }
}

/// What a report says of one of the others.
pub(super) fn member<'a>(report: &'a Value, name: &str) -> &'a Value {
    let members = report["members"].as_array().unwrap();
    members.iter().find(|member| member["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

pub(super) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
