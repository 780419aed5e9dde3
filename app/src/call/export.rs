//! Figures of a call in files, for a spreadsheet (CSV) and for programs (JSON).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use farwheel_peer::signaling::PeerId;
use serde_json::{Value, json};

use crate::model::call::{Figures, LinkFigures};

/// Writes the figures into `folder` as CSV and as JSON; gives the first file's path. `name` gives the name of a member.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write(folder: &Path, figures: &[Figures], name: impl Fn(PeerId) -> String) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    let stem = format!("farwheel call {}", time_for_name(SystemTime::now()));
    let table = folder.join(format!("{stem}.csv"));
    fs::write(&table, csv(figures, &name)).with_context(|| format!("write {}", table.display()))?;
    let text = serde_json::to_string_pretty(&json(figures, &name)).context("write figures as JSON")?;
    let path = folder.join(format!("{stem}.json"));
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(table)
}

/// A time that can stand in a file's name everywhere: `2026-01-31 12-59-59`, UTC.
pub fn time_for_name(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace(':', "-").trim_end_matches('Z').to_owned()
}

/// One line for each member and second; empty where there is no figure.
pub fn csv(figures: &[Figures], name: impl Fn(PeerId) -> String) -> String {
    let mut text = String::from(
        "second,member,round_trip_ms,sent_kbps,received_kbps,lost_percent,sound_delay_ms,picture_age_ms,picture_width,\
         picture_height\n",
    );
    for (second, sample) in figures.iter().enumerate() {
        for (member, link) in &sample.links {
            let LinkFigures { rtt, sent_kbps, received_kbps, loss, playout, picture_age, picture } = link;
            let number = |value: Option<u16>| value.map_or(String::new(), |value| value.to_string());
            let fields = [
                second.to_string(),
                quoted(&name(*member)),
                ms(*rtt),
                format!("{sent_kbps:.1}"),
                format!("{received_kbps:.1}"),
                format!("{:.2}", loss * 100.0),
                ms(*playout),
                ms(*picture_age),
                number(picture.map(|tile| tile.width)),
                number(picture.map(|tile| tile.height)),
            ];
            text.push_str(&fields.join(","));
            text.push('\n');
        }
    }
    text
}

/// A list of seconds, each with its members.
pub fn json(figures: &[Figures], name: impl Fn(PeerId) -> String) -> Value {
    let as_ms = |time: Option<Duration>| time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0);
    let seconds = figures.iter().enumerate().map(|(second, sample)| {
        let links = sample.links.iter().map(|(member, link)| {
            json!({
                "member": name(*member),
                "round_trip_ms": as_ms(link.rtt),
                "sent_kbps": link.sent_kbps,
                "received_kbps": link.received_kbps,
                "lost_percent": link.loss * 100.0,
                "sound_delay_ms": as_ms(link.playout),
                "picture_age_ms": as_ms(link.picture_age),
                "picture": link.picture,
            })
        });
        json!({ "second": second, "links": links.collect::<Vec<_>>() })
    });
    json!({ "version": env!("CARGO_PKG_VERSION"), "seconds": seconds.collect::<Vec<_>>() })
}

fn ms(time: Option<Duration>) -> String {
    time.map_or(String::new(), |time| format!("{:.1}", time.as_secs_f64() * 1000.0))
}

/// Text that a spreadsheet takes as text: quoted, and never as a formula.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use farwheel_proto::call::Tile;

    use super::*;

    fn figures() -> Vec<Figures> {
        let full = LinkFigures {
            rtt: Some(Duration::from_micros(20_450)),
            sent_kbps: 1000.0,
            received_kbps: 512.25,
            loss: 0.05,
            playout: Some(Duration::from_millis(60)),
            picture_age: Some(Duration::from_millis(110)),
            picture: Some(Tile { width: 640, height: 360 }),
        };
        let (ada, bob) = (PeerId::new(1), PeerId::new(2));
        vec![
            Figures { links: vec![(ada, full)] },
            Figures { links: vec![(ada, full), (bob, LinkFigures::default())] },
        ]
    }

    fn name(peer: PeerId) -> String {
        if peer == PeerId::new(1) { "Ada \"A\", L".into() } else { "=1+1".into() }
    }

    #[test]
    fn a_table_has_a_line_for_each_member_and_second() {
        let text = csv(&figures(), name);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], "0,\"Ada \"\"A\"\", L\",20.4,1000.0,512.2,5.00,60.0,110.0,640,360");
        assert_eq!(lines[3], "1,\"'=1+1\",,0.0,0.0,0.00,,,,", "no formula, no figure where there is none");
    }

    #[test]
    fn both_files_are_written_and_the_json_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let table = write(&folder.path().join("figures"), &figures(), name).unwrap();
        assert_eq!(fs::read_to_string(&table).unwrap(), csv(&figures(), name));
        let text = fs::read_to_string(table.with_extension("json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["seconds"][1]["links"][0]["picture"]["width"], 640);
        assert_eq!(value["seconds"][1]["links"][1]["round_trip_ms"], Value::Null);
    }

    #[test]
    fn a_time_can_stand_in_a_name() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_599);
        assert_eq!(time_for_name(time), "2025-12-31 23-59-59");
    }
}
