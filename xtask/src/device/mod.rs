//! `cargo xtask device-test`: the programs against real drivers, in a machine that has the devices.

mod guest;
mod kernel;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::build::{device_guest, target_dir};
use crate::packages::{self, BUILD, GUEST, WINDOW};
use crate::step::step;
use guest::Guest;
use kernel::Kernel;

/// Options of `cargo xtask device-test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenarios to run [default: all]; --list says which there are.
    scenarios: Vec<String>,
    /// Say which scenarios there are.
    #[arg(long)]
    list: bool,
}

/// For all scenarios together; software emulation is some ten times slower than the machine itself.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Installs, builds, boots, and tells what became of each scenario.
///
/// # Errors
/// If a part can't be had, a scenario fails, or the guest does not come to its end.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("system packages", || packages::ensure(&[&BUILD, &WINDOW, &GUEST]))?;
    let program = step("build", device_guest)?;
    if args.list {
        return crate::build::run(Command::new(&program).arg("--list"));
    }
    let folder = target_dir()?.join("device-test");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let kernel = step("kernel with modules", || Kernel::obtain(&folder.join("kernel")))?;
    println!("    Linux {}", kernel.version);
    let guest = Guest::prepare(kernel, &folder)?;
    step("scenarios in the guest", || {
        try_all(&guest, &script(&program.display().to_string(), &args.scenarios))
    })
}

/// gilrs and nokhwa ask udev, so that runs before anything is plugged in.
fn script(program: &str, scenarios: &[String]) -> String {
    let names: String = scenarios.iter().map(|name| format!(" '{}'", name.replace('\'', ""))).collect();
    format!(
        "/lib/systemd/systemd-udevd --daemon\nudevadm trigger --action=add\nudevadm settle\n'{program}'{names}"
    )
}

fn try_all(guest: &Guest, script: &str) -> Result<()> {
    let (mut passed, mut failed, mut is_over) = (0, Vec::new(), false);
    guest.run(script, PATIENCE, |line| {
        let Some(said) = line.split_once("device-test: ").map(|(_, said)| said) else { return };
        let (verdict, rest) = said.split_once(' ').unwrap_or((said, ""));
        match verdict {
            "ok" => passed += 1,
            "failed" => failed.push(rest.split(' ').next().unwrap_or_default().to_owned()),
            "end" => is_over = true,
            _ => {}
        }
        if !is_over {
            println!("    {said}");
        }
    })?;
    let log = guest.log().display();
    if !failed.is_empty() {
        bail!("{} failed; the guest's console is in {log}", failed.join(", "));
    }
    ensure!(is_over && passed > 0, "the guest ended before its scenarios did; its console is in {log}");
    println!("    {passed} scenarios passed");
    Ok(())
}
