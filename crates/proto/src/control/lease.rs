//! One driver: a time-limited lease whose epoch is in every command.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::event::Revocation;

/// How long a lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time after the last accepted command at which it ends; at least 2 s, so that the car is disarmed by then.
    pub lasts: Duration,
}

/// What a peer may do about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// May ask for a free one.
    Driver,
    /// May take it from anyone.
    Owner,
}

/// Who drives.
///
/// | state | request | take (owner) | hand over | release | renew | time is up |
/// |---|---|---|---|---|---|---|
/// | free | granted | granted | - | - | - | - |
/// | held by the asking peer | granted anew, if used | granted anew | granted to the other | free | lasts longer | free |
/// | held by another | denied | granted, the holder loses it | refused | refused | - | free |
///
/// Every grant has an epoch that no earlier one had, so a command of an earlier driver, or of the same one before,
/// is inert however late it comes.
#[derive(Debug)]
pub struct Lease {
    config: Config,
    /// Epoch of the newest grant.
    epoch: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Held { holder: String, until: Instant, used: Use },
}

/// Whether a command has counted under a grant: until then, asking again gives the same one, so that a driver who
/// asks twice on a slow link does not take it from himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    NotYet,
    Used,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The asking peer drives.
    Granted(Grant),
    /// Someone else does.
    Denied {
        /// Who.
        holder: String,
    },
}

/// A lease just granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its epoch, never zero.
    pub epoch: u32,
    /// Who has it.
    pub holder: String,
    /// Who lost it for this, and why.
    pub lost: Option<(String, Revocation)>,
}

impl Lease {
    /// A free lease. `first_epoch` differs from run to run (random), so that epochs of an earlier run are inert.
    pub fn new(config: Config, first_epoch: u32) -> Self {
        let config = Config { lasts: config.lasts.max(LASTS_MIN) };
        Self { config, epoch: first_epoch, state: State::Free }
    }

    /// Epoch of the lease in force; zero is none.
    pub const fn epoch(&self) -> u32 {
        match self.state {
            State::Free => 0,
            State::Held { .. } => self.epoch,
        }
    }

    /// Who drives.
    pub fn holder(&self) -> Option<&str> {
        match &self.state {
            State::Free => None,
            State::Held { holder, .. } => Some(holder),
        }
    }

    /// Whether `peer` drives.
    pub fn is_held_by(&self, peer: &str) -> bool {
        self.holder() == Some(peer)
    }

    /// How long a lease lasts after the last accepted command.
    pub const fn lasts(&self) -> Duration {
        self.config.lasts
    }

    /// `peer` asks for the lease.
    pub fn handle_request(&mut self, peer: &str, now: Instant) -> Answer {
        match self.holder() {
            Some(holder) if holder != peer => Answer::Denied { holder: holder.to_owned() },
            Some(_) | None => Answer::Granted(match &mut self.state {
                State::Held { until, used: Use::NotYet, .. } => {
                    *until = now + self.config.lasts;
                    Grant { epoch: self.epoch, holder: peer.to_owned(), lost: None }
                }
                State::Held { used: Use::Used, .. } | State::Free => self.grant(peer, None, now),
            }),
        }
    }

    /// `peer`, who is the owner, takes the lease.
    pub fn handle_take(&mut self, peer: &str, now: Instant) -> Grant {
        let lost = self
            .holder()
            .filter(|holder| *holder != peer)
            .map(|holder| (holder.to_owned(), Revocation::Owner));
        self.grant(peer, lost, now)
    }

    /// `from` gives the lease to `to`; none if `from` does not have it.
    pub fn handle_hand_over(&mut self, from: &str, to: &str, now: Instant) -> Option<Grant> {
        self.is_held_by(from).then(|| {
            let lost = (from != to).then(|| (from.to_owned(), Revocation::HandedOver));
            self.grant(to, lost, now)
        })
    }

    /// `peer` gives the lease back or is gone; true if it had it.
    #[must_use]
    pub fn handle_release(&mut self, peer: &str) -> bool {
        let held = self.is_held_by(peer);
        if held {
            self.state = State::Free;
        }
        held
    }

    /// A command was accepted under the lease: it lasts longer.
    pub fn renew(&mut self, now: Instant) {
        match &mut self.state {
            State::Free => {}
            State::Held { until, used, .. } => (*until, *used) = (now + self.config.lasts, Use::Used),
        }
    }

    /// When the lease ends unless it is renewed.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Free => None,
            State::Held { until, .. } => Some(until),
        }
    }

    /// Ends the lease if its time is up; gives who lost it.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<String> {
        match &mut self.state {
            State::Held { holder, until, .. } if now >= *until => {
                let holder = std::mem::take(holder);
                self.state = State::Free;
                Some(holder)
            }
            State::Held { .. } | State::Free => None,
        }
    }

    fn grant(&mut self, peer: &str, lost: Option<(String, Revocation)>, now: Instant) -> Grant {
        // Zero means "no lease".
        self.epoch = self.epoch.wrapping_add(1).max(1);
        let until = now + self.config.lasts;
        self.state = State::Held { holder: peer.to_owned(), until, used: Use::NotYet };
        Grant { epoch: self.epoch, holder: peer.to_owned(), lost }
    }
}

/// Shortest lease: longer than the 1500 ms after which silence disarms, so a lease never ends under an armed car.
pub const LASTS_MIN: Duration = Duration::from_secs(2);
