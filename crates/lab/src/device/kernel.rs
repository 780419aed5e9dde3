//! Kernel modules and their devices: loaded, torn away, put back.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::wait_within;

use super::PATIENCE;

/// Loads a module of the guest's kernel.
///
/// # Panics
/// When the kernel refuses.
pub(super) fn load(module: &str, parameters: &[&str]) {
    let root = std::env::var_os("FARWHEEL_MODULES").unwrap_or_else(|| "/".into());
    let out = Command::new("/usr/sbin/modprobe").arg("-d").arg(root).arg(module).args(parameters).output();
    let out = out.expect("modprobe can be started");
    assert!(out.status.success(), "modprobe {module}: {}", String::from_utf8_lossy(&out.stderr).trim());
}

/// A device on the kernel's platform bus, such as `vivid.0` of the driver `vivid`.
pub(super) struct Plug {
    driver: PathBuf,
    device: &'static str,
}

impl Plug {
    pub(super) fn new(driver: &str, device: &'static str) -> Self {
        Self { driver: Path::new("/sys/bus/platform/drivers").join(driver), device }
    }

    /// Tears it away, as if its plug was pulled.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub(super) fn pull(&self) {
        self.write("unbind");
    }

    /// Puts it back.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub(super) fn put_back(&self) {
        self.write("bind");
    }

    fn write(&self, what: &str) {
        let path = self.driver.join(what);
        std::fs::write(&path, self.device).unwrap_or_else(|e| panic!("{} {what}: {e}", self.device));
    }
}

/// Waits for a file of the device file system.
///
/// # Panics
/// When it does not come.
pub(super) fn wait_for_file(path: &str) {
    wait_within(PATIENCE, path, || Path::new(path).exists().then_some(()));
}
