//! Whether the microphone is let through: switch, talk key, and the hint to who speaks in vain.

use std::time::{Duration, Instant};

/// How long the talk key lets through after it was let go: the end of the last word.
const TAIL: Duration = Duration::from_millis(200);
/// So long somebody must speak into the muted microphone before that is said.
const IN_VAIN: Duration = Duration::from_millis(600);
/// So long it is said after the last word.
const HINT: Duration = Duration::from_secs(3);

/// How the microphone is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Microphone {
    /// Everything is sent; the key held keeps it back (push-to-mute).
    #[default]
    On,
    /// Nothing is sent; the key held lets it through (push-to-talk).
    Muted,
}

/// The talk key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// Held down.
    Down,
    /// Let go.
    #[default]
    Up,
}

/// What becomes of the microphone's sound.
///
/// | microphone | key | sent |
/// |---|---|---|
/// | on | up | yes |
/// | on | down | no, at once |
/// | muted | up | no; for 200 ms after the key was let go, yes |
/// | muted | down | yes, at once |
#[derive(Debug, Default)]
pub struct Talk {
    microphone: Microphone,
    key: Key,
    tail_until: Option<Instant>,
    speaks_since: Option<Instant>,
    hint_until: Option<Instant>,
}

impl Talk {
    /// The switch was changed; what the key did before it is over.
    pub fn handle_microphone(&mut self, microphone: Microphone) {
        *self = Self { microphone, key: self.key, ..Self::default() };
    }

    /// The key went down or up.
    pub fn handle_key(&mut self, key: Key, now: Instant) {
        let was_let_go = self.key == Key::Down && key == Key::Up;
        self.tail_until = (self.microphone == Microphone::Muted && was_let_go).then_some(now + TAIL);
        self.key = key;
    }

    /// Whether somebody speaks into the microphone at this moment.
    pub fn handle_speech(&mut self, speaks: bool, now: Instant) {
        if !speaks || self.is_open(now) {
            self.speaks_since = None;
            if self.is_open(now) {
                self.hint_until = None;
            }
            return;
        }
        let since = *self.speaks_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= IN_VAIN {
            self.hint_until = Some(now + HINT);
        }
    }

    /// Whether sound is sent.
    pub fn is_open(&self, now: Instant) -> bool {
        match (self.microphone, self.key) {
            (Microphone::On, Key::Up) | (Microphone::Muted, Key::Down) => true,
            (Microphone::On, Key::Down) => false,
            (Microphone::Muted, Key::Up) => self.tail_until.is_some_and(|until| now < until),
        }
    }

    /// Whether somebody speaks, or just spoke, and nobody hears it.
    pub fn speaks_while_muted(&self, now: Instant) -> bool {
        self.hint_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn switch_and_key_open_and_close_as_the_table_says() {
        let start = start();
        let mut talk = Talk::default();
        assert!(talk.is_open(start));
        talk.handle_key(Key::Down, start);
        assert!(!talk.is_open(start));
        talk.handle_key(Key::Up, start);
        assert!(talk.is_open(start));
        talk.handle_microphone(Microphone::Muted);
        assert!(!talk.is_open(start));
        talk.handle_key(Key::Down, start);
        assert!(talk.is_open(start + ms(60_000)));
        talk.handle_key(Key::Up, start + ms(60_000));
        assert!(talk.is_open(start + ms(60_199)) && !talk.is_open(start + ms(60_200)));
    }

    #[test]
    fn muting_closes_at_once_even_with_a_tail_left() {
        let start = start();
        let mut talk = Talk::default();
        talk.handle_microphone(Microphone::Muted);
        talk.handle_key(Key::Down, start);
        talk.handle_key(Key::Up, start);
        talk.handle_microphone(Microphone::Muted);
        assert!(!talk.is_open(start));
        // A key that repeats while up is no second tail.
        talk.handle_key(Key::Up, start);
        assert!(!talk.is_open(start));
    }

    #[test]
    fn who_speaks_in_vain_is_told_after_a_moment_and_for_a_while() {
        let start = start();
        let mut talk = Talk::default();
        talk.handle_microphone(Microphone::Muted);
        talk.handle_speech(true, start);
        talk.handle_speech(true, start + ms(599));
        assert!(!talk.speaks_while_muted(start + ms(599)));
        talk.handle_speech(true, start + ms(600));
        assert!(talk.speaks_while_muted(start + ms(600)));
        talk.handle_speech(false, start + ms(700));
        assert!(talk.speaks_while_muted(start + ms(3599)) && !talk.speaks_while_muted(start + ms(3600)));
        talk.handle_speech(true, start + ms(5000));
        talk.handle_speech(true, start + ms(6000));
        talk.handle_microphone(Microphone::On);
        assert!(!talk.speaks_while_muted(start + ms(6000)));
    }

    #[test]
    fn a_cough_is_not_speaking_in_vain() {
        let start = start();
        let mut talk = Talk::default();
        talk.handle_microphone(Microphone::Muted);
        for n in 0..20 {
            talk.handle_speech(true, start + ms(n * 1000));
            talk.handle_speech(true, start + ms(n * 1000 + 400));
            talk.handle_speech(false, start + ms(n * 1000 + 500));
            assert!(!talk.speaks_while_muted(start + ms(n * 1000 + 500)));
        }
    }
}
