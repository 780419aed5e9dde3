//! Identities met in calls before, in a file of the configuration folder.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use farwheel_proto::call::verify::identity::Key;
use farwheel_proto::call::verify::pins::{Pins, Trust};

use crate::model::call as model;

/// Name of the file in the configuration folder.
pub const FILE: &str = "callers.json";

/// The file with the identities met.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The file in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    /// Somebody with this identity is in a call under this name: tells what was known before, and remembers it.
    ///
    /// # Errors
    /// When the file cannot be read or written; nothing is then known of anybody.
    pub fn meet(&self, key: Key, name: &str, now_s: u64) -> anyhow::Result<model::Trust> {
        // Read anew each time: another call of this user may have changed it.
        let mut pins = self.load()?;
        let trust = pins.handle_met(key, name, now_s);
        self.save(&pins)?;
        Ok(shown(trust))
    }

    /// What is known of who has this identity and gives this name, without remembering it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn trust(&self, key: Key, name: &str) -> anyhow::Result<model::Trust> {
        Ok(shown(self.load()?.trust(key, name)))
    }

    /// The user compared the words with who has this identity.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn verify(&self, key: Key) -> anyhow::Result<()> {
        let mut pins = self.load()?;
        pins.verify(key);
        self.save(&pins)
    }

    fn load(&self) -> anyhow::Result<Pins> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Pins::default()),
            Err(e) => return Err(e).with_context(|| format!("read {}", self.path.display())),
        };
        match serde_json::from_slice(&text) {
            Ok(pins) => Ok(pins),
            Err(error) => {
                let aside = self.path.with_extension("bad");
                fs::rename(&self.path, &aside)
                    .with_context(|| format!("put {} aside", self.path.display()))?;
                tracing::warn!(%error, kept = %aside.display(), "the list of callers met is damaged, a new one begins");
                Ok(Pins::default())
            }
        }
    }

    fn save(&self, pins: &Pins) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
        let text = serde_json::to_vec_pretty(pins).context("write callers as JSON")?;
        let aside =
            self.path.with_extension(format!("tmp{}.{:08x}", std::process::id(), rand::random::<u32>()));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
        let written =
            file.and_then(|mut file| file.write_all(&text)).and_then(|()| fs::rename(&aside, &self.path));
        written
            .inspect_err(|_| drop(fs::remove_file(&aside)))
            .with_context(|| format!("write {}", self.path.display()))
    }
}

const fn shown(trust: Trust) -> model::Trust {
    match trust {
        Trust::New => model::Trust::New,
        Trust::Known => model::Trust::Known,
        Trust::Verified => model::Trust::Verified,
        Trust::Changed => model::Trust::Changed,
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::call::verify::identity::Identity;

    use super::*;

    #[test]
    fn who_was_met_and_compared_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let key = Identity::from_seed(&[1; 32]).key();
        let store = || Store::in_folder(&folder.path().join("deep"));
        assert_eq!(store().trust(key, "Ada").unwrap(), model::Trust::New);
        assert_eq!(store().meet(key, "Ada", 1).unwrap(), model::Trust::New, "a look is no meeting");
        assert_eq!(store().trust(key, "Ada").unwrap(), model::Trust::Known);
        assert_eq!(store().meet(key, "Ada", 2).unwrap(), model::Trust::Known);
        store().verify(key).unwrap();
        assert_eq!(store().meet(key, "Ada", 3).unwrap(), model::Trust::Verified);
        let other = Identity::from_seed(&[2; 32]).key();
        assert_eq!(store().meet(other, "Ada", 3).unwrap(), model::Trust::Changed);
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_damaged_list_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"x\":").unwrap();
        let key = Identity::from_seed(&[1; 32]).key();
        assert_eq!(Store::in_folder(folder.path()).meet(key, "Ada", 1).unwrap(), model::Trust::New);
        assert_eq!(fs::read_to_string(folder.path().join("callers.bad")).unwrap(), "{\"x\":");
    }
}
