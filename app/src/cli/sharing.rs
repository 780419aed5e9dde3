//! `farwheel call --share`.

use std::time::Duration;

use crate::model::call::{self as model, Command, Own, Shareable};

/// What the arguments ask to be shared, and what became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    wanted: Option<String>,
    shared: Option<String>,
    has_complained: bool,
}

/// A window may be opened a moment later.
const PATIENCE: Duration = Duration::from_secs(10);

impl Sharing {
    pub(super) fn new(wanted: Option<String>) -> Self {
        Self { wanted, shared: None, has_complained: false }
    }

    /// What is to be done, once, and what is to be told, so long after the start.
    pub(super) fn follow(&mut self, own: &Own, elapsed: Duration) -> (Option<Command>, Option<String>) {
        if own.shared != self.shared {
            self.shared.clone_from(&own.shared);
            let line = match &self.shared {
                Some(name) => format!("Everybody sees {name}"),
                None => "Nothing is shared any more".to_owned(),
            };
            return (None, Some(line));
        }
        let Some(wanted) = &self.wanted else { return (None, None) };
        if let Some(found) = own.screens.iter().find(|one| is_it(one, wanted)) {
            let command = Command::Share(found.key.clone());
            self.wanted = None;
            return (Some(command), None);
        }
        if elapsed < PATIENCE || std::mem::replace(&mut self.has_complained, true) {
            return (None, None);
        }
        let there: Vec<_> = own.screens.iter().map(|one| one.name.as_str()).collect();
        let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
        (None, Some(format!("There is no {wanted} to share. There is: {there}")))
    }
}

/// By its key, or a window by a part of its title.
fn is_it(one: &Shareable, wanted: &str) -> bool {
    let title = wanted.strip_prefix("window:").filter(|_| one.kind == model::Sharing::Window);
    let key = if wanted == "screen" { "screen:1" } else { wanted };
    one.key == key || title.is_some_and(|title| !title.is_empty() && one.name.contains(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        let one = |key: &str, name: &str, kind| Shareable { key: key.into(), name: name.into(), kind };
        Own {
            screens: vec![
                one("screen:1", "Screen 1", model::Sharing::Screen),
                one("screen:2", "Screen 2", model::Sharing::Screen),
                one("window:0x21", "My notes", model::Sharing::Window),
            ],
            ..Own::default()
        }
    }

    #[test]
    fn screens_are_found_by_number_and_windows_by_a_part_of_their_title_and_shared_once() {
        for (wanted, want) in [
            ("screen", "screen:1"),
            ("screen:2", "screen:2"),
            ("window:notes", "window:0x21"),
            ("window:0x21", "window:0x21"),
        ] {
            let mut sharing = Sharing::new(Some(wanted.into()));
            let command = Command::Share(want.into());
            assert_eq!(sharing.follow(&own(), Duration::ZERO), (Some(command), None), "{wanted}");
            assert_eq!(sharing.follow(&own(), Duration::ZERO), (None, None), "{wanted}");
        }
    }

    #[test]
    fn what_is_not_there_is_waited_for_and_then_told_once() {
        for wanted in ["screen:3", "window:Screen", "window:", "notes"] {
            let mut sharing = Sharing::new(Some(wanted.into()));
            assert_eq!(sharing.follow(&own(), PATIENCE - Duration::from_millis(1)), (None, None));
            let (command, line) = sharing.follow(&own(), PATIENCE);
            assert_eq!(command, None, "{wanted}");
            let line = line.unwrap();
            assert!(line.contains(wanted) && line.contains("Screen 2, My notes"), "{line}");
            assert_eq!(sharing.follow(&own(), PATIENCE * 2), (None, None));
        }
    }

    #[test]
    fn the_beginning_and_the_end_are_told() {
        let mut sharing = Sharing::new(None);
        let shared = Own { shared: Some("Screen 1".into()), ..own() };
        assert_eq!(sharing.follow(&shared, Duration::ZERO).1.unwrap(), "Everybody sees Screen 1");
        assert_eq!(sharing.follow(&shared, Duration::ZERO), (None, None));
        assert_eq!(sharing.follow(&own(), Duration::ZERO).1.unwrap(), "Nothing is shared any more");
    }
}
