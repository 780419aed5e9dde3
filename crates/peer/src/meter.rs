//! Figures from the engine's report.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use webrtc::peer_connection::{RTCIceCandidateType, RTCStatsReport, RTCStatsReportEntry};

use crate::stats::{CandidateType, SelectedPair, Stats};
use crate::turn_bridge::{Plan, transport_of};

/// Turns the engine's counters into rates.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    bytes_out: u64,
    bytes_in: u64,
    round_trips: RoundTrips,
}

/// Rates over less than this would be noise.
const SPAN_MIN: Duration = Duration::from_millis(100);

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self { at: now, bytes_out: 0, bytes_in: 0, round_trips: RoundTrips::default() }
    }

    pub(crate) fn update(&mut self, report: &RTCStatsReport, plan: &Plan, now: Instant, stats: &mut Stats) {
        let Some(transport) = report.transport() else { return };
        stats.bytes_sent = transport.bytes_sent;
        stats.bytes_received = transport.bytes_received;
        let span = now.saturating_duration_since(self.at);
        if span >= SPAN_MIN {
            let rate =
                |bytes: u64, before: u64| bytes.saturating_sub(before) as f64 * 8.0 / span.as_secs_f64();
            stats.bitrate_out = rate(transport.bytes_sent, self.bytes_out);
            stats.bitrate_in = rate(transport.bytes_received, self.bytes_in);
            (self.at, self.bytes_out, self.bytes_in) = (now, transport.bytes_sent, transport.bytes_received);
        }
        let selected = &transport.selected_candidate_pair_id;
        let Some(pair) = report.candidate_pairs().find(|pair| &pair.stats.id == selected) else { return };
        if pair.current_round_trip_time > 0.0 {
            let found = Duration::try_from_secs_f64(pair.current_round_trip_time).ok();
            stats.rtt = found.map(|found| self.round_trips.handle(selected, found));
        }
        // A pair names its candidates without the prefix that their own entries carry (docs/ENGINE.md). A candidate
        // without an entry was learned from the checks.
        let candidate = |id: &str| {
            report.iter().find_map(|entry| match entry {
                RTCStatsReportEntry::LocalCandidate(candidate)
                | RTCStatsReportEntry::RemoteCandidate(candidate)
                    if candidate.stats.id.ends_with(id) =>
                {
                    Some((candidate_type(candidate.candidate_type)?, candidate))
                }
                _ => None,
            })
        };
        let local = candidate(&pair.local_candidate_id);
        let remote = candidate(&pair.remote_candidate_id);
        let kind =
            |found: Option<(CandidateType, _)>| found.map_or(CandidateType::PeerReflexive, |(kind, _)| kind);
        stats.remote_address = remote.and_then(|(_, candidate)| candidate.address.as_deref()?.parse().ok());
        stats.local_address = local.and_then(|(kind, candidate)| match kind {
            CandidateType::Host => candidate.address.as_deref()?.parse().ok(),
            // The engine has the socket's own address there, for relayed ones too.
            CandidateType::ServerReflexive | CandidateType::PeerReflexive | CandidateType::Relayed => {
                candidate.related_address.parse().ok()
            }
        });
        let relayed = local.filter(|(kind, _)| *kind == CandidateType::Relayed);
        stats.relay_host = relayed.and_then(|(_, candidate)| plan.host_of(&candidate.url));
        let relay = relayed.map(|(_, candidate)| transport_of(&candidate.url));
        let (local, remote) = (kind(local), kind(remote));
        stats.pair = Some(SelectedPair { local, remote, relay });
    }
}

fn candidate_type(engine: RTCIceCandidateType) -> Option<CandidateType> {
    match engine {
        RTCIceCandidateType::Host => Some(CandidateType::Host),
        RTCIceCandidateType::Srflx => Some(CandidateType::ServerReflexive),
        RTCIceCandidateType::Prflx => Some(CandidateType::PeerReflexive),
        RTCIceCandidateType::Relay => Some(CandidateType::Relayed),
        _ => None,
    }
}

/// The median of the newest round trips of one pair of addresses: one check that waited behind a picture, or for a busy
/// machine, says nothing of how long a repair takes.
#[derive(Debug, Default)]
struct RoundTrips {
    pair: String,
    newest: VecDeque<Duration>,
}

impl RoundTrips {
    /// More than a second's worth: one is taken every 250 ms, and a check is made every 300.
    const MAX: usize = 5;

    fn handle(&mut self, pair: &str, found: Duration) -> Duration {
        if self.pair != pair {
            (self.pair, self.newest) = (pair.to_owned(), VecDeque::new());
        }
        if self.newest.len() == Self::MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(found);
        let mut sorted: Vec<Duration> = self.newest.iter().copied().collect();
        sorted.sort();
        // Of two the smaller one: whatever waits makes them longer.
        sorted[(sorted.len() - 1) / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_check_does_not_make_the_path_long_and_another_pair_begins_anew() {
        let mut round_trips = RoundTrips::default();
        let mut said = |pair: &str, ms: &[u64]| -> Vec<u128> {
            ms.iter().map(|&ms| round_trips.handle(pair, Duration::from_millis(ms)).as_millis()).collect()
        };
        assert_eq!(said("a", &[118, 61, 60, 62, 60]), [118, 61, 61, 61, 61]);
        assert_eq!(said("a", &[61, 400, 61, 61]), [61, 61, 61, 61]);
        assert_eq!(said("a", &[200, 200, 200]), [61, 200, 200], "a path that has become longer");
        assert_eq!(said("b", &[20, 30]), [20, 20]);
    }
}
