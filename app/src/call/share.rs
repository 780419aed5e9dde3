//! Sharing a screen or a window: what there is, what is chosen, and what became of it.
//!
//! An X11 desktop gives a list to choose from. A Wayland desktop asks the user itself, by its portal; what it allowed is
//! remembered by a token, so that the same can be shared again without a question.

mod memory;
#[cfg(all(target_os = "linux", feature = "portal"))]
mod portal;

use std::path::Path;
use std::sync::Mutex;

use farwheel_media::capture::{self, Overlay, Spec, screen};
use farwheel_peer::Track;
use farwheel_proto::video::Size;

use super::outgoing::{Choice, Encoded, Health, Outgoing, Receiver, Setup};
use super::{epoch, lock};
use crate::model::call::{Own, Shareable, Sharing};
use crate::render::slot::Slot;
use memory::Memory;
#[cfg(all(target_os = "linux", feature = "portal"))]
use portal::Portals;

/// The screen that is shared, or nothing.
#[derive(Debug)]
pub(super) struct Share {
    outgoing: Outgoing,
    own: Slot,
    desktop: Desktop,
    memory: Memory,
    #[cfg(all(target_os = "linux", feature = "portal"))]
    portals: Portals,
    state: Mutex<Inner>,
}

/// What draws the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Desktop {
    X11,
    Wayland,
}

#[derive(Debug, Default)]
struct Inner {
    items: Vec<Item>,
    chosen: Option<Chosen>,
}

/// Something that can be shared.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    shown: Shareable,
    spec: Spec,
    size: Size,
}

/// What the user wants to be seen.
#[derive(Clone, Debug, PartialEq)]
struct Chosen {
    name: String,
    was_live: bool,
}

impl Desktop {
    /// By the variables of a login: `XDG_SESSION_TYPE` and `WAYLAND_DISPLAY`.
    fn of(session: Option<&str>, display: Option<&str>) -> Self {
        let is_wayland = session == Some("wayland") || display.is_some_and(|display| !display.is_empty());
        if is_wayland { Self::Wayland } else { Self::X11 }
    }
}

impl Share {
    /// Shares nothing yet. What a Wayland desktop allowed is remembered in `home`, if there is one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(home: Option<&Path>) -> std::io::Result<Self> {
        let own = Slot::new();
        let variable = |name| std::env::var(name).ok();
        let (session, display) = (variable("XDG_SESSION_TYPE"), variable("WAYLAND_DISPLAY"));
        Ok(Self {
            outgoing: Outgoing::start(Setup { track: Track::Screen, epoch: epoch(), preview: own.clone() })?,
            own,
            desktop: Desktop::of(session.as_deref(), display.as_deref()),
            memory: Memory::open(home),
            #[cfg(all(target_os = "linux", feature = "portal"))]
            portals: Portals::default(),
            state: Mutex::default(),
        })
    }

    /// Whether others see something.
    pub(super) fn is_live(&self) -> bool {
        lock(&self.state).chosen.is_some() && matches!(self.outgoing.health(), Health::Live(_))
    }

    /// Where the own screen's pictures arrive.
    pub(super) fn own(&self) -> &Slot {
        &self.own
    }

    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Looks at what could be shared; asks the desktop, which takes some milliseconds.
    pub(super) fn look(&self) {
        let token = self.memory.token();
        let mut items = match self.desktop {
            Desktop::Wayland => asked_for(token),
            Desktop::X11 => Vec::new(),
        };
        // Without an X11 desktop it has nothing to share. On Wayland it has the windows of X11 programs.
        items.extend(screen::list().unwrap_or_default().into_iter().map(Item::from));
        lock(&self.state).items = items;
    }

    /// Learns what became of it; says why it has ended.
    pub(super) fn look_after(&self) -> Option<String> {
        let health = self.outgoing.health();
        let mut state = lock(&self.state);
        let chosen = state.chosen.as_mut()?;
        #[cfg(all(target_os = "linux", feature = "portal"))]
        if let Some((name, token)) = self.portals.granted() {
            name.clone_into(&mut chosen.name);
            self.memory.keep(token);
        }
        match health {
            Health::Off | Health::Opening => None,
            Health::Live(_) => {
                chosen.was_live = true;
                None
            }
            Health::Failed(reason) => {
                let chosen = state.chosen.take()?;
                self.outgoing.capture(Choice::Nothing);
                Some(match chosen.was_live {
                    true => format!("You share {} no more: {reason}.", chosen.name),
                    false => format!("Nothing is shared: {reason}."),
                })
            }
        }
    }

    /// Shares what has this key in the list.
    pub(super) fn begin(&self, key: &str) {
        let mut state = lock(&self.state);
        let Some(item) = state.items.iter().find(|item| item.shown.key == key).cloned() else {
            return tracing::info!(key, "is not there any more");
        };
        let name = match item.shown.kind {
            Sharing::Ask | Sharing::Again => "what the desktop asks you for".to_owned(),
            Sharing::Screen | Sharing::Window => item.shown.name,
        };
        state.chosen = Some(Chosen { name, was_live: false });
        let size = item.size.within(MOST);
        let config = capture::Config { spec: item.spec, size, fps: FPS, overlay: Overlay::None };
        self.outgoing.capture(self.choice(config));
    }

    #[cfg(all(target_os = "linux", feature = "portal"))]
    fn choice(&self, config: capture::Config) -> Choice {
        match &config.spec {
            Spec::Portal(token) => {
                let source = self.portals.source(token.clone(), config.fps);
                Choice::Brought(config, source)
            }
            _ => Choice::This(config),
        }
    }

    #[cfg(not(all(target_os = "linux", feature = "portal")))]
    fn choice(&self, config: capture::Config) -> Choice {
        Choice::This(config)
    }

    pub(super) fn end(&self) {
        lock(&self.state).chosen = None;
        self.outgoing.capture(Choice::Nothing);
    }

    /// Fills in what the screens show of it.
    pub(super) fn fill(&self, own: &mut Own) {
        let is_live = self.is_live();
        let state = lock(&self.state);
        let name = state.chosen.as_ref().map(|chosen| chosen.name.clone());
        (own.shared, own.opens) = if is_live { (name, None) } else { (None, name) };
        own.screens = state.items.iter().map(|item| item.shown.clone()).collect();
    }

    /// What is encoded.
    pub(super) fn encoded(&self) -> Encoded {
        self.outgoing.encoded()
    }

    pub(super) fn set_receivers(&self, receivers: Vec<Receiver>) {
        self.outgoing.set_receivers(receivers);
    }
}

/// What a Wayland desktop is asked for.
#[cfg(all(target_os = "linux", feature = "portal"))]
fn asked_for(token: Option<String>) -> Vec<Item> {
    let item = |key: &str, name: &str, kind, token| Item {
        shown: Shareable { key: key.into(), name: name.into(), kind },
        spec: Spec::Portal(token),
        size: MOST,
    };
    let again = token.map(|token| item("portal:again", "The same as last time", Sharing::Again, Some(token)));
    again
        .into_iter()
        .chain([item("portal", "Choose a screen or window\u{2026}", Sharing::Ask, None)])
        .collect()
}

#[cfg(not(all(target_os = "linux", feature = "portal")))]
fn asked_for(_: Option<String>) -> Vec<Item> {
    Vec::new()
}

impl From<screen::Item> for Item {
    fn from(item: screen::Item) -> Self {
        let kind = match item.spec {
            Spec::Screen(capture::Target::Window(_)) => Sharing::Window,
            _ => Sharing::Screen,
        };
        let shown = Shareable { key: item.spec.to_string(), name: item.name, kind };
        Self { shown, spec: item.spec, size: item.size }
    }
}

/// Larger screens are scaled.
pub(super) const MOST: Size = Size::new(1920, 1080);
pub(super) const FPS: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_is_known_by_its_login() {
        let cases = [
            (None, None, Desktop::X11),
            (Some("x11"), None, Desktop::X11),
            (Some("tty"), Some(""), Desktop::X11),
            (Some("wayland"), None, Desktop::Wayland),
            (None, Some("wayland-1"), Desktop::Wayland),
            // A Wayland desktop in a window of an X11 one.
            (Some("x11"), Some("wayland-1"), Desktop::Wayland),
        ];
        for (session, display, want) in cases {
            assert_eq!(Desktop::of(session, display), want, "{session:?} {display:?}");
        }
    }

    #[cfg(all(target_os = "linux", feature = "portal"))]
    #[test]
    fn what_was_allowed_before_can_be_had_again_without_a_question() {
        let names =
            |token| asked_for(token).into_iter().map(|item| (item.shown.kind, item.spec)).collect::<Vec<_>>();
        assert_eq!(names(None), [(Sharing::Ask, Spec::Portal(None))]);
        let again = (Sharing::Again, Spec::Portal(Some("t".into())));
        assert_eq!(names(Some("t".into())), [again, (Sharing::Ask, Spec::Portal(None))]);
    }

    #[test]
    fn what_is_not_in_the_list_is_not_shared() {
        let share = Share::start(None).unwrap();
        share.begin("window:0x123");
        let mut own = Own::default();
        share.fill(&mut own);
        assert_eq!((own.shared, own.opens), (None, None));
    }
}
