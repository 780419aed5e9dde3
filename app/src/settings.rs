//! What the app remembers between runs: one TOML file in the user's configuration folder.
//!
//! A file that cannot be read is kept beside as `settings.bad` and never overwritten silently; a key that this
//! version does not know is kept as it is; writing goes to a temporary file that then takes the place of the old one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use farwheel_media::audio::Spec;
use serde::{Deserialize, Serialize};

use crate::input::fit;
use crate::input::keyboard::Rates;
use crate::input::profile::Profile;
use crate::model::settings::{Calling, Paths, View};
use crate::session::sound::{Devices, Hearing};

/// Version of the file's layout; a file with a higher one comes from a newer app.
pub const VERSION: u32 = 1;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// As the desktop says.
    System,
    /// Light.
    Light,
    /// Dark.
    #[default]
    Dark,
}

/// A room that was joined before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Address of the signalling server, `ws://` or `wss://`.
    pub server: String,
    /// Name of the room.
    pub room: String,
    /// Unix time in seconds of the last visit.
    #[serde(default)]
    pub last_used_s: u64,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Layout of the file.
    pub version: u32,
    /// The name that others in the room see.
    pub name: String,
    /// Light or dark.
    pub theme: Theme,
    /// Size of everything on screen, 1.0 is normal; [0.5, 3].
    pub ui_scale: f32,
    /// Whether the drive screen shows where each millisecond goes.
    pub show_stages: bool,
    /// Whether a gamepad shakes when the link is lost.
    pub rumble: bool,
    /// Whether the robot sends less video, so that a data plan lasts longer.
    pub economy: bool,
    /// Whether the car's microphone is heard, where it has one.
    pub hear: bool,
    /// Whether commands travel on two paths at once.
    pub control_paths: Paths,
    /// Units, video and what the drive screen shows.
    pub view: View,
    /// How the user calls.
    pub call: Calling,
    /// How keys become sticks.
    pub keyboard: Rates,
    /// Rooms joined before, newest first.
    pub recent: Vec<Recent>,
    /// Controller mappings by [`profile_key`].
    pub profiles: BTreeMap<String, Profile>,
    /// Keys of other versions, kept as they are.
    #[serde(flatten)]
    pub unknown: toml::Table,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: VERSION,
            name: String::new(),
            theme: Theme::default(),
            ui_scale: 1.0,
            show_stages: true,
            rumble: true,
            economy: false,
            hear: true,
            control_paths: Paths::default(),
            view: View::default(),
            call: Calling::default(),
            keyboard: Rates::default(),
            recent: Vec::new(),
            profiles: BTreeMap::new(),
            unknown: toml::Table::new(),
        }
    }
}

/// What video may use in economy mode, in kbit/s: 0.27 GB in an hour.
pub const ECONOMY_KBPS: u32 = 600;

/// Key of a controller in [`Settings::profiles`]: its UUID and its name, as two different devices may share one of
/// them.
pub fn profile_key(uuid: &str, name: &str) -> String {
    format!("{uuid} {name}")
}

impl Settings {
    /// The most that video may use, in kbit/s; none: as much as the robot is set up for.
    pub fn video_limit(&self) -> Option<u32> {
        self.economy.then_some(ECONOMY_KBPS)
    }

    /// Whether the car is heard.
    pub fn hearing(&self) -> Hearing {
        if self.hear { Hearing::On } else { Hearing::Off }
    }

    /// The devices by which the car is heard and talked to: those of calls.
    pub fn sound(&self) -> Devices {
        let spec = |name: &Option<String>| name.clone().map_or(Spec::Default, Spec::Named);
        Devices { microphone: spec(&self.call.microphone), speaker: spec(&self.call.speaker) }
    }

    /// Puts a room at the head of the recent ones.
    pub fn remember(&mut self, server: &str, room: &str, now_s: u64) {
        self.recent.retain(|r| r.server != server || r.room != room);
        self.recent.insert(0, Recent { server: server.into(), room: room.into(), last_used_s: now_s });
        self.recent.truncate(RECENT_MAX);
    }

    /// The profile of a controller, or the usual layout if it has none.
    pub fn profile(&self, uuid: &str, name: &str) -> Profile {
        self.profiles.get(&profile_key(uuid, name)).cloned().unwrap_or_else(|| Profile::gamepad(name))
    }

    fn clamped(mut self) -> Self {
        self.ui_scale = fit(self.ui_scale, 0.5, 3.0, 1.0);
        self.keyboard = self.keyboard.clamped();
        self.recent.truncate(RECENT_MAX);
        for profile in self.profiles.values_mut() {
            profile.feel = profile.feel.clone().clamped();
        }
        self
    }
}

/// The settings file.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// Settings as loaded, with what the user should know about it.
#[derive(Debug)]
pub struct Loaded {
    /// The settings; the defaults where the file says nothing.
    pub settings: Settings,
    /// Whole sentences for the user.
    pub warnings: Vec<String>,
}

impl Store {
    /// The file in the user's configuration folder.
    ///
    /// # Errors
    /// When the system names no home folder.
    pub fn open() -> anyhow::Result<Self> {
        let dirs = directories::ProjectDirs::from("org", "farwheel", "farwheel")
            .ok_or_else(|| anyhow::anyhow!("this user has no home folder to keep settings in"))?;
        Ok(Self::at(dirs.config_dir().join("settings.toml")))
    }

    /// A file of one's own choice.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file; whatever it holds, the app starts.
    pub fn load(&self) -> Loaded {
        let mut warnings = Vec::new();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Loaded { settings: Settings::default(), warnings };
            }
            Err(e) => {
                warnings
                    .push(format!("Cannot read {}: {e}. The usual settings are used.", self.path.display()));
                return Loaded { settings: Settings::default(), warnings };
            }
        };
        match toml::from_str::<Settings>(&text) {
            Ok(settings) => {
                if settings.version > VERSION {
                    warnings.push(format!(
                        "The settings come from a newer Farwheel (layout {}, this one knows {VERSION}); what it \
                         does not know is kept as it is.",
                        settings.version
                    ));
                }
                if !settings.unknown.is_empty() {
                    let keys: Vec<_> = settings.unknown.keys().map(String::as_str).collect();
                    tracing::debug!(keys = keys.join(", "), "settings with unknown keys");
                }
                Loaded { settings: settings.clamped(), warnings }
            }
            Err(e) => {
                let aside = self.path.with_extension("bad");
                let kept = match fs::rename(&self.path, &aside) {
                    Ok(()) => format!("It is kept as {}", aside.display()),
                    Err(e) => format!("It could not be put aside ({e})"),
                };
                let line = e.span().map_or(1, |span| text[..span.start].lines().count().max(1));
                warnings.push(format!(
                    "The settings file is damaged at line {line}: {}. {kept}; the usual settings are used.",
                    e.message()
                ));
                Loaded { settings: Settings::default(), warnings }
            }
        }
    }

    /// Writes the file: all of it or nothing.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save(&self, settings: &Settings) -> anyhow::Result<()> {
        use anyhow::Context as _;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
        let text = toml::to_string_pretty(settings).context("write settings as TOML")?;
        let temporary = self.path.with_extension(format!("tmp{}", std::process::id()));
        let mut file =
            fs::File::create(&temporary).with_context(|| format!("create {}", temporary.display()))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        drop(file);
        if let Err(e) = written.and_then(|()| fs::rename(&temporary, &self.path)) {
            // The file on disk stays as it was; the unfinished one is of no use to anyone.
            fs::remove_file(&temporary).ok();
            return Err(e).with_context(|| format!("write {}", self.path.display()));
        }
        Ok(())
    }
}

/// Rooms remembered.
const RECENT_MAX: usize = 12;

/// What a person without another name is called.
pub fn login_name() -> String {
    std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_else(|_| "driver".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::profile::Function;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("deep/settings.toml"));
        (folder, store)
    }

    #[test]
    fn settings_come_back_as_they_were_saved() {
        let (_folder, store) = store();
        let mut settings = Settings { theme: Theme::Light, name: "Ada".into(), ..Settings::default() };
        settings.remember("wss://example.org", "car", 7);
        settings.profiles.insert(profile_key("03", "Wheel"), Profile::gamepad("Wheel"));
        store.save(&settings).unwrap();
        let loaded = store.load();
        assert_eq!(loaded.settings, settings);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let files = fs::read_dir(store.path().parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "no temporary file is left behind");
    }

    #[test]
    fn no_file_means_the_usual_settings_without_a_word() {
        let (_folder, store) = store();
        let loaded = store.load();
        assert_eq!(loaded.settings, Settings::default());
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_its_line_named() {
        let (_folder, store) = store();
        fs::create_dir_all(store.path().parent().unwrap()).unwrap();
        fs::write(store.path(), "version = 1\ntheme = \"purple\"\n").unwrap();
        let loaded = store.load();
        assert_eq!(loaded.settings, Settings::default());
        assert!(loaded.warnings[0].contains("line 2"), "{:?}", loaded.warnings);
        assert!(loaded.warnings[0].contains("settings.bad"), "{:?}", loaded.warnings);
        assert_eq!(
            fs::read_to_string(store.path().with_extension("bad")).unwrap(),
            "version = 1\ntheme = \"purple\"\n"
        );
        assert!(!store.path().exists());
    }

    #[test]
    fn unknown_keys_of_a_newer_version_survive_a_save() {
        let (_folder, store) = store();
        fs::create_dir_all(store.path().parent().unwrap()).unwrap();
        fs::write(store.path(), "version = 9\nname = \"Ada\"\nflux = 88\n[warp]\nfactor = 9\n").unwrap();
        let loaded = store.load();
        assert!(loaded.warnings[0].contains("newer"), "{:?}", loaded.warnings);
        store.save(&loaded.settings).unwrap();
        let text = fs::read_to_string(store.path()).unwrap();
        assert!(text.contains("flux = 88") && text.contains("factor = 9"), "{text}");
    }

    #[test]
    fn numbers_out_of_range_are_forced_into_it() {
        let (_folder, store) = store();
        fs::create_dir_all(store.path().parent().unwrap()).unwrap();
        fs::write(store.path(), "ui_scale = 99.0\n[keyboard]\nsteer_attack = -3.0\n").unwrap();
        let settings = store.load().settings;
        assert_eq!((settings.ui_scale, settings.keyboard.steer_attack), (3.0, 0.2));
    }

    #[test]
    fn recent_rooms_are_newest_first_without_repeats_and_bounded() {
        let mut settings = Settings::default();
        for i in 0..30 {
            settings.remember("wss://a", &format!("room{i}"), i);
        }
        settings.remember("wss://a", "room25", 99);
        assert_eq!(settings.recent.len(), 12);
        assert_eq!((settings.recent[0].room.as_str(), settings.recent[0].last_used_s), ("room25", 99));
        assert_eq!(settings.recent.iter().filter(|r| r.room == "room25").count(), 1);
    }

    #[test]
    fn profiles_are_found_by_uuid_and_name() {
        let mut settings = Settings::default();
        let mut wheel = Profile::gamepad("Wheel");
        wheel.buttons.remove(&Function::Horn);
        settings.profiles.insert(profile_key("03", "Wheel"), wheel.clone());
        assert_eq!(settings.profile("03", "Wheel"), wheel);
        assert_eq!(settings.profile("04", "Wheel"), Profile::gamepad("Wheel"));
    }
}
