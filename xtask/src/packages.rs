//! System packages: which are needed for what, and how a missing one comes onto the machine.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What a set of packages is for, and the packages on Debian, Ubuntu and Raspberry Pi OS.
pub(crate) struct Set {
    /// Completes the sentence "needed to ...".
    purpose: &'static str,
    names: &'static [&'static str],
}

/// C compilers and cmake for the codecs, nasm for their assembler, libclang for the V4L2 and PipeWire bindings, udev for
/// gamepads, ALSA for sound, PipeWire for screens of Wayland desktops.
pub(crate) const BUILD: Set = Set {
    purpose: "build",
    names: &[
        "gcc",
        "g++",
        "cmake",
        "pkg-config",
        "nasm",
        "libclang-dev",
        "libudev-dev",
        "libasound2-dev",
        "libpipewire-0.3-dev",
    ],
};

/// What winit and wgpu load at run time.
pub(crate) const WINDOW: Set = Set {
    purpose: "open a window",
    names: &[
        "libxkbcommon0",
        "libxkbcommon-x11-0",
        "libwayland-client0",
        "libx11-6",
        "libx11-xcb1",
        "libxcursor1",
        "libxi6",
        "libxrandr2",
        "libvulkan1",
        "mesa-vulkan-drivers",
        "libegl1",
        "libgl1-mesa-dri",
    ],
};

/// A display in memory.
pub(crate) const HEADLESS: Set =
    Set { purpose: "show a window without a display", names: &["xvfb", "xauth"] };

/// Real peers to test against: a browser, a TURN server and client, address translation between namespaces, desktops of
/// both kinds, and a player for recordings.
pub(crate) const TEST: Set = Set {
    purpose: "test with a real browser, TURN server, desktops and player, in networks of their own",
    names: &[
        "chromium",
        "coturn",
        "iproute2",
        "nftables",
        "procps",
        "xvfb",
        "ffmpeg",
        "dbus",
        "pipewire",
        "wireplumber",
        "xdg-desktop-portal",
    ],
};

/// A machine in software, what it boots with, and what finds its gamepads.
pub(crate) const GUEST: Set = Set {
    purpose: "start an emulated machine full of devices",
    names: &["qemu-system-x86", "busybox-static", "kmod", "udev", "iproute2", "alsa-utils"],
};

/// GStreamer's webrtcbin with its Python bindings.
pub(crate) const PEERS: Set = Set {
    purpose: "measure GStreamer beside us",
    names: &[
        "python3-gi",
        "python3-gst-1.0",
        "python3-numpy",
        "gir1.2-gstreamer-1.0",
        "gir1.2-gst-plugins-bad-1.0",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-ugly",
        "gstreamer1.0-libav",
        "gstreamer1.0-nice",
    ],
};

/// A place for Python packages that Debian does not have.
pub(crate) const VENV: Set = Set { purpose: "measure aiortc beside us", names: &["python3-venv"] };

/// Where no Node.js is on the PATH.
pub(crate) const NODE: Set = Set { purpose: "drive the browser", names: &["nodejs", "npm"] };

/// Installs what is missing of `sets`, saying so first.
///
/// # Errors
/// On a system without apt it fails with the list of what to install.
pub(crate) fn ensure(sets: &[&Set]) -> Result<()> {
    let mut missing = Vec::new();
    for set in sets {
        let lacking: Vec<_> = set.names.iter().copied().filter(|name| !installed(name)).collect();
        if !lacking.is_empty() {
            println!("    needed to {}: {}", set.purpose, lacking.join(" "));
            missing.extend(lacking);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "this system has no apt-get; install the equivalents of these Debian packages with its own package \
             manager, then run this again: {}",
            missing.join(" ")
        );
    }
    println!("    installing with apt-get ({})", if is_root() { "as root" } else { "through sudo" });
    apt(&["update", "-qq"]).context("refresh the package lists")?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(&missing);
    apt(&args).with_context(|| format!("install {}", missing.join(" ")))
}

fn installed(name: &str) -> bool {
    if !Path::new("/usr/bin/dpkg-query").exists() {
        // Without dpkg nothing can be known of Debian's names: trust the build to say what it lacks.
        return on_path(name);
    }
    Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", name])
        .output()
        .is_ok_and(|out| out.status.success() && out.stdout.starts_with(b"installed"))
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// Whether this process may make network namespaces.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn apt(args: &[&str]) -> Result<()> {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        if !on_path("sudo") {
            bail!("not root and there is no sudo; run as root: apt-get {}", args.join(" "));
        }
        let mut sudo = Command::new("sudo");
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    let status = command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .context("start apt-get")?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", args[0]);
    }
    Ok(())
}
