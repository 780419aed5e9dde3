//! The process's own folder for sockets and registers, which only its user can enter.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// `farwheel-robot-<user>-<pid>` below `$XDG_RUNTIME_DIR` or the temporary folder; removed on drop.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes this process's folder and clears away those of processes that are gone.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create() -> Result<Self> {
        let base = base();
        sweep(&base);
        let path = base.join(format!("{}{}", prefix(), std::process::id()));
        if path.exists() {
            // A process of this id died before; its id came round again.
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        // Fails when it exists, so nobody else can have prepared it.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("make {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "run folder stays behind");
        }
    }
}

/// Whether only the user of this process can enter the folder of `file`.
///
/// # Errors
/// When the folder is missing, belongs to someone else, or is open to others.
pub fn ensure_private(file: &Path) -> Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let meta = fs::metadata(dir).with_context(|| format!("look at {}", dir.display()))?;
    let user = rustix::process::geteuid().as_raw();
    ensure!(meta.uid() == user, "{} belongs to user {}, want {user}", dir.display(), meta.uid());
    ensure!(meta.mode() & 0o077 == 0, "{} has mode {:o}, want 700", dir.display(), meta.mode() & 0o777);
    Ok(())
}

fn base() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    runtime.unwrap_or_else(std::env::temp_dir)
}

fn prefix() -> String {
    format!("farwheel-robot-{}-", rustix::process::geteuid().as_raw())
}

fn sweep(base: &Path) {
    let prefix = prefix();
    let own = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(&prefix)) else { continue };
        let mine = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        if mine && pid.parse().is_ok_and(|pid| !is_alive(pid)) {
            fs::remove_dir_all(entry.path()).unwrap_or_else(
                |error| tracing::debug!(path = %entry.path().display(), %error, "old run folder stays"),
            );
        }
    }
}

/// Whether a process of this id exists.
pub fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    // EPERM: it exists and belongs to someone else.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_open_to_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, private) in [(0o700, true), (0o750, false), (0o701, false)] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(ensure_private(&dir.path().join("socket")).is_ok(), private, "{mode:o}");
        }
    }

    #[test]
    fn folders_of_dead_processes_are_swept() {
        let base = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = base.path().join(format!("{}{}", prefix(), child.id()));
        let alive = base.path().join(format!("{}{}", prefix(), std::process::id()));
        let other = base.path().join("farwheel-robot-x");
        for dir in [&dead, &alive, &other] {
            fs::create_dir(dir).unwrap();
        }
        sweep(base.path());
        assert_eq!([&dead, &alive, &other].map(|dir| dir.exists()), [false, true, true]);
    }
}
