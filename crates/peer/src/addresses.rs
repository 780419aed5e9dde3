//! This machine's addresses, and word of each change the moment it happens (netlink on Linux; nothing is polled).
//!
//! One thread of the process listens; connections and signalling clients hear of it through [`watch()`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::StreamExt;
use if_watch::IfEvent;
use if_watch::tokio::IfWatcher;
use tokio::sync::watch;

use crate::config::Bind;

/// Addresses that a peer elsewhere may reach this machine by, or it a peer.
pub(crate) type Addresses = BTreeSet<IpAddr>;

/// An interface that goes up gets its addresses and routes one after the other; this long after the last of them
/// all are there.
const QUIET: Duration = Duration::from_millis(100);

/// Follows the addresses, from those that are there now.
pub(crate) fn watch() -> watch::Receiver<Addresses> {
    static TOLD: OnceLock<watch::Sender<Addresses>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let told = watch::Sender::new(present());
        let listener = told.clone();
        let thread = std::thread::Builder::new().name("addresses".to_owned());
        if let Err(error) = thread.spawn(move || listen(&listener)) {
            tracing::warn!(%error, "no thread to watch the network's addresses");
        }
        told
    })
    .subscribe()
}

fn listen(told: &watch::Sender<Addresses>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let mut watcher = IfWatcher::new()?;
            let mut addresses = Addresses::new();
            loop {
                let Some(event) = watcher.next().await else { return Ok(()) };
                apply(&mut addresses, &event?);
                while let Ok(Some(event)) = tokio::time::timeout(QUIET, watcher.next()).await {
                    apply(&mut addresses, &event?);
                }
                told.send_if_modified(|before| {
                    let is_other = *before != addresses;
                    before.clone_from(&addresses);
                    is_other
                });
            }
        })
    });
    if let Err(error) = outcome {
        // Connections then notice by the silence, 2.5 s later.
        tracing::warn!(%error, "the network's addresses cannot be watched");
    }
}

fn present() -> Addresses {
    let all = rtc::shared::ifaces::ifaces().unwrap_or_default();
    all.iter().filter_map(|one| one.addr.map(|at| at.ip())).filter(|ip| is_of_use(*ip)).collect()
}

fn apply(addresses: &mut Addresses, event: &IfEvent) {
    match event {
        IfEvent::Up(net) if is_of_use(net.addr()) => {
            addresses.insert(net.addr());
        }
        IfEvent::Down(net) => {
            addresses.remove(&net.addr());
        }
        IfEvent::Up(_) => {}
    }
}

/// Loopback stays whatever happens, and link-local addresses lead nowhere.
pub(crate) fn is_of_use(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

/// Those of the machine's addresses that a connection with this binding may rest on.
pub(crate) fn own(all: &Addresses, bind: &Bind) -> Addresses {
    narrowed(all, bind, |name| {
        let there = rtc::shared::ifaces::ifaces().unwrap_or_default();
        there.iter().filter(|one| one.name == name).filter_map(|one| Some(one.addr?.ip())).collect()
    })
}

fn narrowed(all: &Addresses, bind: &Bind, on_interface: impl Fn(&str) -> Addresses) -> Addresses {
    match bind {
        Bind::Everywhere => all.clone(),
        // It stays whatever happens.
        Bind::Loopback => Addresses::new(),
        Bind::Addresses(own) => all.iter().filter(|ip| own.contains(ip)).copied().collect(),
        Bind::Interface(name) => &on_interface(name) & all,
    }
}

/// Tells whether what was set up with earlier addresses has to be set up again.
///
/// | the path | the address it rests on is gone | another one is gone | only new ones |
/// |---|---|---|---|
/// | works, from a known address | again, once there is an address | leave it alone | leave it alone |
/// | works, from one of them | again, once there is an address | the same | leave it alone |
/// | is silent | again, once there is an address | again | again |
#[derive(Debug, Default)]
pub(crate) struct Footing {
    used: Addresses,
}

/// What is known of the path that was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// It works, from this address; `None`: from one of them.
    Works(Option<IpAddr>),
    /// Nothing is heard on it.
    Silent,
}

impl Footing {
    /// Notes what a fresh start finds.
    pub(crate) fn set(&mut self, addresses: &Addresses) {
        self.used.clone_from(addresses);
    }

    /// Whether to start again with the addresses there are now; if so, they are noted.
    pub(crate) fn has_to_move(&mut self, addresses: &Addresses, path: Path) -> bool {
        let is_due = match path {
            Path::Works(Some(at)) => is_of_use(at) && !addresses.contains(&at),
            Path::Works(None) => !self.used.is_subset(addresses),
            Path::Silent => true,
        };
        let moves = is_due && !addresses.is_empty();
        if moves {
            self.set(addresses);
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(last: &[u8]) -> Addresses {
        last.iter().map(|n| IpAddr::from([192, 0, 2, *n])).collect()
    }

    const ANY: Path = Path::Works(None);

    fn at(last: u8) -> Path {
        Path::Works(Some([192, 0, 2, last].into()))
    }

    #[test]
    fn a_path_moves_when_its_ground_is_gone_and_there_is_other_ground() {
        let mut footing = Footing::default();
        footing.set(&set(&[1]));
        for (what, now, path, want) in [
            ("nothing new", set(&[1]), ANY, false),
            ("one more", set(&[1, 2]), ANY, false),
            ("the new one goes again", set(&[1]), ANY, false),
            ("the used one goes, none is left", set(&[]), ANY, false),
            ("another comes", set(&[3]), ANY, true),
            ("it stays", set(&[3]), ANY, false),
            ("silence and a new one", set(&[3, 4]), Path::Silent, true),
            ("exchanged at once", set(&[5]), ANY, true),
        ] {
            assert_eq!(footing.has_to_move(&now, path), want, "{what}");
        }
    }

    #[test]
    fn a_path_that_works_is_left_alone_while_its_own_address_is_there() {
        for (what, now, path, want) in [
            ("the other address goes", set(&[1]), at(1), false),
            ("its own goes", set(&[2]), at(1), true),
            ("its own goes and a new one comes", set(&[2, 3]), at(1), true),
            ("all go", set(&[]), at(1), false),
            ("another goes while nothing is heard", set(&[1]), Path::Silent, true),
            ("another goes while its own is not known", set(&[1]), ANY, true),
            ("both ends are on this machine", set(&[1]), Path::Works(Some([127, 0, 0, 1].into())), false),
        ] {
            let mut footing = Footing::default();
            footing.set(&set(&[1, 2]));
            assert_eq!(footing.has_to_move(&now, path), want, "{what}");
        }
    }

    #[test]
    fn only_what_a_connection_is_bound_to_is_its_ground() {
        let all = set(&[1, 2]);
        for (bind, want) in [
            (Bind::Everywhere, set(&[1, 2])),
            (Bind::Addresses(vec![[192, 0, 2, 2].into(), [192, 0, 2, 9].into()]), set(&[2])),
            (Bind::Interface("one".to_owned()), set(&[1])),
            (Bind::Interface("none".to_owned()), set(&[])),
            (Bind::Loopback, set(&[])),
        ] {
            let on_interface = |name: &str| if name == "one" { set(&[1, 3]) } else { set(&[]) };
            assert_eq!(narrowed(&all, &bind, on_interface), want, "{bind:?}");
        }
    }

    #[test]
    fn loopback_and_link_local_addresses_do_not_count() {
        let of_use = |text: &str| is_of_use(text.parse().unwrap());
        for (text, want) in [
            ("127.0.0.1", false),
            ("169.254.3.4", false),
            ("192.168.1.5", true),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(of_use(text), want, "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_of_this_machine_is_told() {
        // The listener's own news are the same: nothing changes meanwhile.
        let (watch, told) = (watch(), watch::Sender::new(Addresses::from([IpAddr::from([192, 0, 2, 9])])));
        let mut heard = told.subscribe();
        std::thread::spawn(move || listen(&told));
        tokio::time::timeout(Duration::from_secs(20), heard.changed()).await.expect("in time").expect("told");
        assert_eq!(*watch.borrow(), *heard.borrow());
    }
}
