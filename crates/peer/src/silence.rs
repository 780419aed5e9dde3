//! What to do when nothing is heard of the peer any more: wait, look for another path, or give up.
//!
//! A search for another path leaves the present one for good, its checks fill whatever queue stands before a link that
//! is only dead for a while, and its offer and answer need the signalling server both ways. So the peer is asked by
//! way of the server first. If it answers, the network works and the path does not: time to search. If it does not,
//! the link as a whole is down, and the path works again the moment it is back.

use std::time::{Duration, Instant};

use crate::config::Initiative;

/// From the notice of silence to the search: consent (RFC 7675) is lost after 2.5 s, and the engine notices at 1.5 s.
const SEARCH_AFTER: Duration = Duration::from_secs(1);
/// Between two searches. The side that did not make the first offer waits for half of it longer: the other one will.
const SEARCH_AGAIN: Duration = Duration::from_millis(2500);
/// From the peer's answer to the search: so long the path has to bring something, as the server did. The engine looks
/// every 300 ms.
const GRACE: Duration = Duration::from_millis(400);
/// Between two questions: the server may have been restarted in between.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// From the notice to the search without any answer, for peers that do not know the question.
const UNASKED_AFTER: Duration = Duration::from_millis(4500);
/// From the notice to the end of the connection: its owner makes a fresh one.
const GIVE_UP_AFTER: Duration = Duration::from_millis(6500);
/// The same where people carried the signals: nobody makes a fresh one, so the path has the time that a router needs to
/// start again.
const CARRIED_GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The silence of a connected peer.
#[derive(Debug)]
pub(crate) struct Silence {
    search: Search,
    since: Option<Since>,
}

/// Whether other paths can be looked for.
#[derive(Clone, Copy, Debug)]
enum Search {
    /// They can, so long after the notice.
    After(Duration),
    /// They cannot: nobody carries the signals.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    give_up_at: Instant,
    asking: Option<Asking>,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    ask_at: Instant,
    /// The soonest moment of the next search.
    search_from: Instant,
    /// What makes that search due: an answer and its grace, or too long without any.
    search_due: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask the peer by way of the server whether it is there.
    Ask,
    /// Look for another path.
    Search,
    /// Nothing helps.
    GiveUp,
}

impl Silence {
    /// Of a connection of which this side has made the first offer or not.
    pub(crate) fn new(initiative: Initiative) -> Self {
        let patience = match initiative {
            Initiative::Offer => SEARCH_AFTER,
            Initiative::Answer => SEARCH_AFTER + SEARCH_AGAIN / 2,
        };
        Self { search: Search::After(patience), since: None }
    }

    /// Of a connection whose signals people have carried.
    pub(crate) const fn carried() -> Self {
        Self { search: Search::Never, since: None }
    }

    /// The engine has heard nothing for 1.5 s.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(match self.search {
            Search::After(patience) => Since {
                give_up_at: now + GIVE_UP_AFTER,
                asking: Some(Asking {
                    ask_at: now,
                    search_from: now + patience,
                    search_due: now + UNASKED_AFTER,
                }),
            },
            Search::Never => Since { give_up_at: now + CARRIED_GIVE_UP_AFTER, asking: None },
        });
    }

    /// Something is heard again.
    pub(crate) fn end(&mut self) {
        self.since = None;
    }

    pub(crate) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The peer says by way of the server that it is there.
    pub(crate) fn handle_answer(&mut self, now: Instant) {
        if let Some(Since { asking: Some(asking), .. }) = &mut self.since {
            asking.search_due = asking.search_due.min(asking.search_from.max(now + GRACE));
        }
    }

    /// When to look at [`poll`](Self::poll) again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let Since { give_up_at, asking } = self.since?;
        Some(asking.map_or(give_up_at, |asking| asking.ask_at.min(asking.search_due).min(give_up_at)))
    }

    /// What is due; each thing once.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Due> {
        let since = self.since.as_mut()?;
        if since.give_up_at <= now {
            return Some(Due::GiveUp);
        }
        let asking = since.asking.as_mut()?;
        if asking.search_due <= now {
            asking.search_from = now + SEARCH_AGAIN;
            asking.search_due = now + UNASKED_AFTER;
            return Some(Due::Search);
        }
        (asking.ask_at <= now).then(|| {
            asking.ask_at = now + ASK_AGAIN;
            Due::Ask
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes due in 7 s of silence, when in ms; the peer answers each question that comes at `heard` or later,
    /// after 100 ms.
    fn course(initiative: Initiative, heard: Option<u64>) -> Vec<(u64, Due)> {
        let start = Instant::now();
        let mut silence = Silence::new(initiative);
        silence.begin(start);
        let (mut found, mut answer) = (Vec::new(), None);
        for ms in 0..7000 {
            let now = start + Duration::from_millis(ms);
            if answer == Some(ms) {
                silence.handle_answer(now);
            }
            while silence.poll_timeout().is_some_and(|at| at <= now) {
                let due = silence.poll(now).expect("something is due at the time it says");
                found.push((ms, due));
                match due {
                    Due::Ask if heard.is_some_and(|heard| heard <= ms) => answer = Some(ms + 100),
                    Due::Ask | Due::Search => {}
                    Due::GiveUp => return found,
                }
            }
        }
        found
    }

    fn searches(course: &[(u64, Due)]) -> Vec<u64> {
        course.iter().filter(|(_, due)| *due == Due::Search).map(|&(ms, _)| ms).collect()
    }

    #[test]
    fn a_peer_that_answers_by_the_server_is_sought_on_other_paths_one_second_after_the_notice() {
        assert_eq!(searches(&course(Initiative::Offer, Some(0))), [1000, 3500, 6000]);
        assert_eq!(searches(&course(Initiative::Answer, Some(0))), [2250, 4750]);
    }

    #[test]
    fn a_peer_that_answers_late_has_a_moment_to_be_heard_by_the_old_path() {
        assert_eq!(searches(&course(Initiative::Offer, Some(2500))), [3500, 6000]);
    }

    #[test]
    fn without_an_answer_the_path_is_kept_for_as_long_as_a_link_may_be_gone() {
        let course = course(Initiative::Offer, None);
        assert_eq!(searches(&course), [4500]);
        let asked: Vec<u64> = course.iter().filter(|(_, due)| *due == Due::Ask).map(|&(ms, _)| ms).collect();
        assert_eq!(asked, [0, 1000, 2000, 3000, 4000, 5000, 6000]);
    }

    #[test]
    fn whatever_is_answered_the_connection_ends_after_six_and_a_half_seconds() {
        for heard in [None, Some(0), Some(2500)] {
            assert_eq!(course(Initiative::Offer, heard).last(), Some(&(6500, Due::GiveUp)), "{heard:?}");
        }
    }

    #[test]
    fn where_nobody_carries_signals_the_path_is_waited_for_and_none_is_sought() {
        let start = Instant::now();
        let mut silence = Silence::carried();
        silence.begin(start);
        silence.handle_answer(start);
        let end = start + CARRIED_GIVE_UP_AFTER;
        assert_eq!(silence.poll_timeout(), Some(end));
        assert_eq!(silence.poll(end - Duration::from_millis(1)), None);
        assert_eq!(silence.poll(end), Some(Due::GiveUp));
    }

    #[test]
    fn a_peer_that_is_heard_again_is_left_alone_and_the_next_silence_begins_anew() {
        let start = Instant::now();
        let mut silence = Silence::new(Initiative::Offer);
        silence.handle_answer(start);
        assert_eq!((silence.poll_timeout(), silence.poll(start)), (None, None));
        silence.begin(start);
        silence.handle_answer(start);
        silence.end();
        assert!(!silence.is_on());
        let later = start + Duration::from_secs(10);
        assert_eq!(silence.poll(later), None);
        silence.begin(later);
        assert_eq!(silence.poll(later), Some(Due::Ask));
        assert_eq!(silence.poll(later + SEARCH_AFTER), Some(Due::Ask), "an answer of the silence before");
    }
}
