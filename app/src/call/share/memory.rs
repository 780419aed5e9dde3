//! What a Wayland desktop allowed, in a file of the configuration folder that only its user can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::call::lock;

/// Name of the file in the configuration folder.
const FILE: &str = "screen.token";
/// A token is a short word; a longer file is not ours.
const LENGTH_MAX: usize = 4096;

/// The token of what was shared last. Each is good for one time.
#[derive(Debug)]
pub(super) struct Memory {
    path: Option<PathBuf>,
    token: Mutex<Option<String>>,
}

impl Memory {
    /// What is in this folder; without one it lasts as long as this value.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let path = folder.map(|folder| folder.join(FILE));
        let token = match path.as_deref().map(fs::read_to_string) {
            Some(Ok(text)) => Some(text).filter(|text| !text.is_empty() && text.len() <= LENGTH_MAX),
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
                tracing::info!(%error, "what was shared last is not known");
                None
            }
            Some(Err(_)) | None => None,
        };
        Self { path, token: Mutex::new(token) }
    }

    pub(super) fn token(&self) -> Option<String> {
        lock(&self.token).clone()
    }

    /// Keeps the newest; none: the desktop does not remember.
    pub(super) fn keep(&self, token: Option<String>) {
        if let Some(path) = &self.path
            && let Err(error) = write(path, token.as_deref())
        {
            tracing::info!(%error, "what is shared is not remembered");
        }
        *lock(&self.token) = token;
    }
}

fn write(path: &Path, token: Option<&str>) -> std::io::Result<()> {
    let Some(token) = token else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Written aside and renamed: it is there whole or not at all.
    let aside = path.with_extension(format!("token.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(token.as_bytes())?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_newest_token_is_there_the_next_time_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep");
        let memory = Memory::open(Some(&folder));
        assert_eq!(memory.token(), None);
        memory.keep(Some("first".into()));
        memory.keep(Some("second".into()));
        assert_eq!(memory.token().as_deref(), Some("second"));
        assert_eq!(Memory::open(Some(&folder)).token().as_deref(), Some("second"));
        let mode = fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        memory.keep(None);
        assert_eq!(Memory::open(Some(&folder)).token(), None);
        memory.keep(None);
    }

    #[test]
    fn a_file_of_something_else_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        for text in [String::new(), "x".repeat(LENGTH_MAX + 1)] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert_eq!(Memory::open(Some(folder.path())).token(), None);
        }
        fs::write(folder.path().join(FILE), [0xff, 0xfe]).unwrap();
        assert_eq!(Memory::open(Some(folder.path())).token(), None);
    }
}
