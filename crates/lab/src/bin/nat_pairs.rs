//! Time to the first picture behind every pair of NATs, as a table: `nat_pairs --programs target/debug --rtt-ms 50`.
//! `cargo xtask bench nat` runs it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use farwheel_lab::nat::{Internet, Kind, Meeting, Programs, Stage, Way, obstacle};

/// Measures the time to the first picture behind every pair of NATs.
#[derive(Parser)]
struct Arguments {
    /// Folder with the three programs.
    #[arg(long)]
    programs: PathBuf,
    /// Round trip between any two places.
    #[arg(long, default_value_t = 50)]
    rtt_ms: u64,
    /// Meetings of each pair; the median counts.
    #[arg(long, default_value_t = 3)]
    times: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(obstacle) = obstacle() {
        bail!("{obstacle}");
    }
    let folder = std::env::temp_dir().join(format!("farwheel-nat-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let measured = measure(&arguments, &folder);
    std::fs::remove_dir_all(&folder).ok();
    print(&measured?);
    Ok(())
}

/// One pair after the other, so that none waits for the processor because of another.
fn measure(arguments: &Arguments, folder: &std::path::Path) -> Result<Vec<Meeting>> {
    let programs = Programs::within(&arguments.programs)?;
    let one_way = Duration::from_millis(arguments.rtt_ms) / 2;
    let mut internet = Internet::build(&format!("fwnb{}", std::process::id()), one_way)?;
    let mut stage = Stage::open(&internet, programs, folder)?;
    let mut meetings = Vec::new();
    let kinds = || Kind::MATRIX.into_iter().chain([Kind::TlsOnly]);
    for kind in kinds() {
        let site = internet.attach(kind)?;
        stage.add_robot(site)?;
    }
    for app in kinds() {
        let site = internet.attach(app)?;
        for robot in kinds() {
            let mut met = Vec::new();
            for _ in 0..arguments.times.max(1) {
                met.push(stage.meet(robot, &site)?);
            }
            met.sort_by_key(|meeting| meeting.first_picture);
            let median = met.swap_remove(met.len() / 2);
            eprintln!("{robot} {app}: {:.2?}, {}", median.first_picture, median.way);
            meetings.push(median);
        }
    }
    Ok(meetings)
}

fn print(meetings: &[Meeting]) {
    println!("| robot behind | app behind | first picture s | way |\n|---|---|---|---|");
    for meeting in meetings {
        let seconds = meeting.first_picture.as_secs_f64();
        println!("| {} | {} | {seconds:.2} | {} |", meeting.robot, meeting.app, meeting.way);
    }
    let uses = |meeting: &Meeting, wanted: &str| match &meeting.way {
        Way::Relayed(robot, app) => [robot, app].iter().any(|way| way.as_deref() == Some(wanted)),
        Way::Direct(_) => false,
    };
    let is_of_matrix =
        |meeting: &&Meeting| [meeting.robot, meeting.app].iter().all(|kind| Kind::MATRIX.contains(kind));
    println!();
    for (what, of) in [
        ("the 25 pairs", meetings.iter().filter(is_of_matrix).collect()),
        ("direct", meetings.iter().filter(|meeting| matches!(meeting.way, Way::Direct(_))).collect()),
        ("relayed over UDP", meetings.iter().filter(|meeting| uses(meeting, "UDP")).collect()),
        ("relayed over TCP", meetings.iter().filter(|meeting| uses(meeting, "TCP")).collect()),
        ("relayed over TLS", meetings.iter().filter(|meeting| uses(meeting, "TLS")).collect::<Vec<_>>()),
    ] {
        let mut times: Vec<_> = of.iter().map(|meeting| meeting.first_picture.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        if let (Some(median), Some(most)) = (times.get(times.len() / 2), times.last()) {
            println!("* {what} ({}): median {median:.2} s, most {most:.2} s", times.len());
        }
    }
}
