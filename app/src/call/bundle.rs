//! What helps to find a fault, in one ZIP file that can be sent to anybody: nothing in it says who called whom, from
//! where, or opens a door.
//!
//! * Of the settings only those go in that are known to be harmless.
//! * Members are numbered in the figures.
//! * The log is scrubbed twice ([`scrub`]): of everything that is known to be private, such as the room's name, and of
//!   everything that looks like an address, a key or SDP.

pub mod scrub;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use farwheel_peer::signaling::PeerId;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::export;
use crate::model::call::{Call, Device};
use crate::settings::Settings;
use scrub::Scrubber;

/// Settings that go in.
const HARMLESS: [&str; 9] =
    ["version", "theme", "ui_scale", "show_stages", "rumble", "economy", "control_paths", "view", "keyboard"];

/// What goes in.
#[derive(Debug)]
pub struct Contents<'a> {
    /// All settings.
    pub settings: &'a Settings,
    /// The call, as shown.
    pub call: &'a Call,
    /// Words that must not get out beside what is in the two: tokens, the server's address.
    pub private: &'a [String],
    /// The log's last lines.
    pub log: &'a [String],
}

/// Writes the bundle into `folder`; gives its path.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(folder: &Path, contents: &Contents<'_>) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    let name = format!("farwheel report {}.zip", export::time_for_name(SystemTime::now()));
    let path = folder.join(name);
    let file = File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
    let written = fill(ZipWriter::new(file), contents);
    // Half of it is of no use.
    written
        .inspect_err(|_| drop(fs::remove_file(&path)))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn fill(mut zip: ZipWriter<File>, contents: &Contents<'_>) -> anyhow::Result<()> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, text) in files(contents)? {
        zip.start_file(name, options)?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?.sync_all()?;
    Ok(())
}

/// Names and texts.
fn files(contents: &Contents<'_>) -> anyhow::Result<[(&'static str, String); 5]> {
    let Contents { settings, call, private, log } = contents;
    let known = known(settings, call).into_iter().chain(private.iter().cloned());
    let scrubber = Scrubber::new(known);
    let order: Vec<PeerId> = call.members.iter().map(|member| member.id).collect();
    let number = |peer: PeerId| {
        let place = order.iter().position(|member| *member == peer);
        place.map_or_else(|| "member who left".to_owned(), |place| format!("member {}", place + 1))
    };
    let log: String = log.iter().map(|line| scrubber.scrub(line) + "\n").collect();
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value);
    Ok([
        ("about.json", pretty(&about())?),
        ("settings.toml", without_names(settings)?),
        ("call.json", scrubber.scrub_lines(&pretty(&outline(call))?)),
        ("figures.csv", export::csv(&call.figures, number)),
        ("log.txt", log),
    ])
}

/// The machine and the program.
fn about() -> serde_json::Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_matches([' ', '\t', ':', '=', '"']).to_owned()
    };
    json!({
        "farwheel": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "architecture": std::env::consts::ARCH,
        "system": value(&read("/etc/os-release"), "PRETTY_NAME"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "processor": value(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory": value(&read("/proc/meminfo"), "MemTotal"),
    })
}

/// Settings that say nothing about persons and places: those named here, so that a new one stays out until somebody has
/// thought about it.
fn without_names(settings: &Settings) -> anyhow::Result<String> {
    let table = toml::Table::try_from(settings).context("write settings as TOML")?;
    let harmless: toml::Table =
        table.into_iter().filter(|(key, _)| HARMLESS.contains(&key.as_str())).collect();
    toml::to_string_pretty(&harmless).context("write settings as TOML")
}

/// How the call stands, without who and where.
fn outline(call: &Call) -> serde_json::Value {
    let device = |device: &Device| json!({ "plugged_in": device.names.len(), "in_use": device.used.is_some(), "problem": device.problem });
    let members = call.members.iter().map(|member| {
        json!({
            "link": format!("{:?}", member.link),
            "camera": member.is_camera_on,
            "microphone": member.is_microphone_on,
            "hears": member.hears,
            "shares": member.shares,
            "volume": member.volume,
            "trust": member.verification.as_ref().map(|v| format!("{:?}", v.trust)),
        })
    });
    json!({
        "lasted_s": call.lasted.as_secs(),
        "server": format!("{:?}", call.server),
        "locked": call.is_locked,
        "waiting": call.knocking.len(),
        "camera": device(&call.own.camera),
        "microphone": device(&call.own.microphone),
        "speaker": device(&call.own.speaker),
        "camera_on": call.own.is_camera_on,
        "voice": call.own.voice,
        "cleaning": call.own.cleaning,
        "sharing": call.own.shared.is_some(),
        "recording": call.recording.is_some(),
        "lines_of_chat": call.chat.len(),
        "files": call.files.iter().map(|file| json!({ "size": file.size })).collect::<Vec<_>>(),
        "members": members.collect::<Vec<_>>(),
    })
}

/// Everything in the settings and the call that names a person, a place or a thing of theirs.
fn known(settings: &Settings, call: &Call) -> Vec<String> {
    let mut known = vec![settings.name.clone(), call.room.clone(), call.link.clone(), call.own.name.clone()];
    known.push(crate::settings::login_name());
    for recent in &settings.recent {
        known.extend([recent.server.clone(), recent.room.clone()]);
    }
    for member in &call.members {
        known.extend([member.name.clone(), member.id.to_string()]);
        known.extend(member.verification.as_ref().map(|v| v.words.clone()));
    }
    known.extend(call.knocking.iter().flat_map(|(id, name)| [id.to_string(), name.clone()]));
    known.extend(call.files.iter().map(|file| file.name.clone()));
    known.extend(call.own.shared.iter().chain(&call.own.opens).cloned());
    known.extend(call.own.screens.iter().map(|one| one.name.clone()));
    known.extend(call.chat.iter().map(|line| line.text.clone()));
    known
}

#[cfg(test)]
mod tests;
