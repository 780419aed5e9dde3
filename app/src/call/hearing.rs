//! How somebody was heard, whichever connection it came by: for the report.

use std::time::{Duration, Instant};

use farwheel_media::audio::VoiceStatus;
use farwheel_peer::ConnId;
use farwheel_proto::sound::{Counts, RATE};
use serde_json::{Value, json};

/// The account of a member's sound.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    /// Of the connections before.
    before: Counts,
    present: Option<(ConnId, Counts)>,
    // Once a second, in ms. Full: 7200, two hours; what comes later is left out.
    waits: Vec<f64>,
    sampled_at: Option<Instant>,
    came_at: Option<Instant>,
    longest_pause: Duration,
}

impl Hearing {
    /// Takes how it stands, some times a second. `is_sent`: the other side's microphone is on.
    pub(super) fn handle(&mut self, conn: ConnId, status: &VoiceStatus, is_sent: bool, now: Instant) {
        let packets = self.counts().packets;
        match &mut self.present {
            Some((known, counts)) if *known == conn => *counts = status.counts,
            present => {
                if let Some((_, counts)) = present.replace((conn, status.counts)) {
                    self.before = sum(self.before, counts);
                }
            }
        }
        if !is_sent {
            self.came_at = None;
            return;
        }
        let has_come = self.counts().packets > packets;
        if let Some(came_at) = self.came_at {
            self.longest_pause = self.longest_pause.max(now.saturating_duration_since(came_at));
        }
        if has_come {
            self.came_at = Some(now);
        }
        let is_due = self.sampled_at.is_none_or(|at| now.saturating_duration_since(at) >= SAMPLE);
        if is_due && status.heard.is_some() && self.waits.len() < WAITS_MAX {
            self.sampled_at = Some(now);
            self.waits.push(status.waits.as_secs_f64() * 1e3);
        }
    }

    fn counts(&self) -> Counts {
        self.present.map_or(self.before, |(_, counts)| sum(self.before, counts))
    }

    /// Null if nothing came.
    pub(super) fn report(&self) -> Value {
        let counts = self.counts();
        if counts.packets == 0 {
            return Value::Null;
        }
        let ms = |samples: u64| samples as f64 * 1e3 / f64::from(RATE);
        let mut waits = self.waits.clone();
        waits.sort_by(f64::total_cmp);
        let point =
            |share: f64| waits.get(((waits.len() as f64 * share) as usize).min(waits.len().max(1) - 1));
        json!({
            "playout_ms": { "p50": point(0.5), "p95": point(0.95), "max": waits.last() },
            "packets": counts.packets,
            "late": counts.late,
            "made_up_ms": ms(counts.concealed),
            "longest_gap_ms": ms(counts.longest_gap),
            "repaired_ms": ms(counts.recovered),
            "skipped": counts.skipped,
            "longest_pause_ms": self.longest_pause.as_secs_f64() * 1e3,
        })
    }
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        packets: a.packets + b.packets,
        late: a.late + b.late,
        concealed: a.concealed + b.concealed,
        recovered: a.recovered + b.recovered,
        inserted: a.inserted + b.inserted,
        removed: a.removed + b.removed,
        longest_gap: a.longest_gap.max(b.longest_gap),
        skipped: a.skipped + b.skipped,
    }
}

const SAMPLE: Duration = Duration::from_secs(1);
const WAITS_MAX: usize = 7200;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(packets: u64, longest_gap: u64) -> VoiceStatus {
        let counts = Counts { packets, longest_gap, concealed: longest_gap, ..Counts::default() };
        VoiceStatus { counts, waits: Duration::from_millis(40), ..VoiceStatus::default() }
    }

    #[test]
    fn gaps_and_pauses_go_on_over_connections_and_a_muted_microphone_is_no_pause() {
        let (start, mut hearing) = (Instant::now(), Hearing::default());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(hearing.report(), Value::Null);
        for (conn, packets, gap, is_sent, ms) in [
            (1, 1, 0, true, 0),
            (1, 2, 4800, true, 50),
            (1, 2, 4800, true, 1000),
            // Another connection counts from zero.
            (2, 0, 0, true, 1500),
            (2, 1, 0, true, 2050),
            (2, 1, 0, false, 3000),
            (2, 1, 0, false, 60_000),
            (2, 2, 480, true, 60_050),
            (2, 3, 480, true, 60_100),
        ] {
            hearing.handle(ConnId::new(conn), &status(packets, gap), is_sent, at(ms));
        }
        let report = hearing.report();
        assert_eq!(report["packets"], 5);
        assert_eq!(report["longest_gap_ms"], 100.0);
        assert_eq!(report["made_up_ms"], 110.0);
        assert_eq!(report["longest_pause_ms"], 2000.0);
    }
}
