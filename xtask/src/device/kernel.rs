//! The guest's kernel: the machine's own if its modules are there, else Debian's package, unpacked beside the build.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::run_quietly;

/// A kernel and its modules.
pub(super) struct Kernel {
    /// The bootable picture.
    pub(super) image: PathBuf,
    /// The folder that holds `lib/modules/VERSION`.
    pub(super) modules_root: PathBuf,
    /// As `uname -r` says.
    pub(super) version: String,
}

/// Modules that the tests load; a kernel without one of them is of no use.
const NEEDED: [&str; 8] =
    ["vivid", "snd-aloop", "uinput", "evdev", "i2c-stub", "i2c-dev", "9pnet_virtio", "overlay"];

impl Kernel {
    /// Finds one, or downloads it into `folder`.
    ///
    /// # Errors
    /// If there is none and the package manager does not give one.
    pub(super) fn obtain(folder: &Path) -> Result<Self> {
        if let Some(kernel) = Self::installed(Path::new("/")).or_else(|| Self::installed(folder)) {
            return Ok(kernel);
        }
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let package = package_name()?;
        println!("    downloading {package} (70 MB, once)");
        run_quietly(Command::new("apt-get").args(["download", &package]).current_dir(folder))?;
        let archive = std::fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "deb"))
            .context("apt-get download left no package")?;
        run_quietly(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
        std::fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))?;
        Self::installed(folder).with_context(|| format!("{package} lacks a kernel or one of its modules"))
    }

    /// The newest usable kernel under `root`.
    fn installed(root: &Path) -> Option<Self> {
        let mut versions: Vec<String> = std::fs::read_dir(root.join("lib/modules"))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        versions.sort_by_key(|version| numbers(version));
        versions.into_iter().rev().find_map(|version| {
            let image = root.join("boot").join(format!("vmlinuz-{version}"));
            let kernel = Self { image, modules_root: root.to_owned(), version };
            (kernel.image.is_file() && kernel.has_modules()).then_some(kernel)
        })
    }

    fn has_modules(&self) -> bool {
        if !self.modules().join("modules.dep").is_file() {
            // A package that is only unpacked has no index yet.
            let mut index = Command::new("/usr/sbin/depmod");
            if run_quietly(index.arg("-b").arg(&self.modules_root).arg(&self.version)).is_err() {
                return false;
            }
        }
        NEEDED.iter().all(|name| self.with_dependencies(name).is_ok())
    }

    /// The folder of its modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.modules_root.join("lib/modules").join(&self.version)
    }

    /// The files to load for a module, in order; paths below [`modules`](Self::modules).
    ///
    /// # Errors
    /// If the kernel's index does not know it.
    pub(super) fn with_dependencies(&self, name: &str) -> Result<Vec<String>> {
        let index = self.modules().join("modules.dep");
        let text = std::fs::read_to_string(&index).with_context(|| format!("read {}", index.display()))?;
        order_of(&text, name).with_context(|| format!("{} has no module {name}", index.display()))
    }
}

/// Reads `modules.dep`: a line is `file: what it needs, last first`.
fn order_of(index: &str, name: &str) -> Option<Vec<String>> {
    let is_it = |file: &str| {
        let file = file.rsplit('/').next().unwrap_or(file);
        // Files may be compressed: `vivid.ko.xz`. A name may be spelt with a dash or an underscore.
        file.split('.').next().is_some_and(|stem| stem.replace('-', "_") == name.replace('-', "_"))
    };
    let (file, needs) =
        index.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| is_it(file))?;
    Some(needs.split_whitespace().rev().chain([file]).map(str::to_owned).collect())
}

/// The numbers in a version, which is older than another one where the first that differs is less.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// The package that Debian's newest kernel is in.
fn package_name() -> Result<String> {
    let out = Command::new("apt-cache")
        .args(["depends", "linux-image-amd64"])
        .output()
        .context("start apt-cache; the guest's kernel comes from Debian's packages")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let package = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    match package {
        Some(package) if package.starts_with("linux-image-") => Ok(package.to_owned()),
        _ => bail!(
            "this system has no package linux-image-amd64; run `apt-get update`, or install a kernel with modules"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(numbers("6.12.9-amd64") < numbers("6.12.48-amd64"));
        assert!(numbers("6.1.0-56-amd64") < numbers("6.12.9-amd64"));
    }

    #[test]
    fn a_module_comes_after_all_that_it_needs() {
        let index = "kernel/a/vivid.ko: kernel/v4l2.ko kernel/mc.ko\nkernel/sound/snd-aloop.ko.xz: kernel/snd.ko\nkernel/mc.ko:\n";
        let files = |name| order_of(index, name);
        assert_eq!(files("vivid").unwrap(), ["kernel/mc.ko", "kernel/v4l2.ko", "kernel/a/vivid.ko"]);
        assert_eq!(files("snd_aloop").unwrap(), ["kernel/snd.ko", "kernel/sound/snd-aloop.ko.xz"]);
        assert_eq!(files("mc").unwrap(), ["kernel/mc.ko"]);
        assert_eq!(files("uinput"), None);
    }
}
