//! Runs the peers that are not ours (crates/lab/peers) on the same pictures.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use super::{Figures, Format};
use crate::process::Running;

/// Debian's interpreter: the one that has the GStreamer bindings.
const PYTHON: &str = "/usr/bin/python3";

pub(super) fn scripts() -> PathBuf {
    crate::root().join("crates/lab/peers")
}

/// Draws the texture that every peer cuts its pictures from.
///
/// # Errors
/// If it can't be written.
pub(crate) fn texture(program: &Path, format: Format, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("texture-{}x{}.i420", format.width, format.height));
    let mut draw = Command::new(program);
    crate::build::run(draw.args([format.width, format.height].map(|n| n.to_string())).arg(&path))?;
    Ok(path)
}

/// GStreamer's webrtcbin to webrtcbin at a fixed rate.
///
/// # Errors
/// If either end can't be started or gives no figures.
pub(crate) fn gstreamer(
    format: Format,
    texture: &Path,
    seconds: u32,
    kbps: u32,
    folder: &Path,
) -> Result<Figures> {
    let exchange = folder.join(format!("webrtcbin-{format}"));
    if exchange.exists() {
        std::fs::remove_dir_all(&exchange).context("remove the last run's descriptions")?;
    }
    std::fs::create_dir_all(&exchange)?;
    let side = |side: &str| {
        let mut command = Command::new(PYTHON);
        command.arg("-B").arg(scripts().join("webrtcbin.py")).arg(side).arg(&exchange).arg(texture);
        command.args([format.width, format.height, format.fps, seconds + 3, kbps].map(|n| n.to_string()));
        command
    };
    let sender = Running::start("webrtcbin sender", side("send"), &folder.join("webrtcbin-sender.log"))?;
    let figures = json(&mut side("recv"), None).with_context(|| format!("webrtcbin:\n{}", sender.tail()))?;
    drop(sender);
    Ok(figures)
}

/// Chromium to Chromium, after a warm-up in which its estimator reaches the full picture.
///
/// # Errors
/// If the browser can't be started or gives no figures.
pub(crate) fn chromium(
    format: Format,
    texture: &Path,
    seconds: u32,
    warm_up: Duration,
    driver: &Path,
) -> Result<Figures> {
    let mut browser = Command::new("node");
    browser.arg(scripts().join("chromium.mjs")).arg(texture);
    browser.args([format.width, format.height, format.fps, seconds + 3].map(|n| n.to_string()));
    browser.env("FARWHEEL_BROWSER_DRIVER", driver).env("WARM_UP_S", warm_up.as_secs().to_string());
    let rows = browser.stderr(Stdio::inherit()).output().context("start node")?;
    if !rows.status.success() {
        bail!("chromium.mjs ended with {}", rows.status);
    }
    json(Command::new(PYTHON).arg("-B").arg(scripts().join("chromium_figures.py")), Some(&rows.stdout))
}

/// Runs a program to its end and reads the last line it printed.
///
/// # Errors
/// If it can't be started or prints something else.
pub(crate) fn json<T: DeserializeOwned>(command: &mut Command, input: Option<&[u8]>) -> Result<T> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().context("start a peer")?;
    if let (Some(mut stdin), Some(bytes)) = (child.stdin.take(), input) {
        std::io::Write::write_all(&mut stdin, bytes).context("hand over the rows")?;
    }
    let out = child.wait_with_output().context("wait for a peer")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.lines().last().context("the peer printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("figures of a peer: {line}"))
}
