//! What a caller encodes, and who gets which: at most three encodings of one source, whatever the number of receivers.
//!
//! Each receiver tells the tile in which it shows the picture, and its link tells a rate. A picture larger than the tile is
//! of no use, and one above the rate does not arrive; so each receiver has a *use*: the lesser of its rate and of what
//! its tile is worth. Receivers of like use share an encoding, which has the size and the rate that all of them can take.
//! The split with the least loss is chosen, where loss is by how many octaves the rate that one gets is below its use,
//! and each encoding costs half an octave, because it costs everybody's computer time.
//!
//! | what changes | what follows |
//! |---|---|
//! | somebody comes, goes, or has another tile | split anew, at once |
//! | rates | the encodings' rates at once; their sizes down after 0.3 s, up after 1.5 s; another split after 1 s |
//! | nobody shows it | nothing is encoded |

mod rungs;
mod split;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use rungs::{Kind, Rung};

use crate::signaling::ConnId;
use crate::video::{Bitrate, Size};
use rungs::rungs;
use split::{Split, Use};

/// Most encodings of one source at a time.
pub const ENCODINGS_MAX: usize = 3;

/// What is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// What is to be seen.
    pub kind: Kind,
    /// Size of its pictures.
    pub size: Size,
    /// Pictures a second.
    pub fps: u32,
}

/// How much data may be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thrift {
    /// As much as is of use.
    #[default]
    Free,
    /// Little: small pictures, few of them.
    Low,
}

/// What a receiver can make use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Where it shows the picture, in pixels; none: it does not.
    pub tile: Option<Size>,
    /// What its link carries for this source.
    pub rate: Bitrate,
}

/// One encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Size of its pictures, of the source's shape.
    pub size: Size,
    /// Pictures a second.
    pub fps: u32,
    /// Its rate.
    pub bitrate: Bitrate,
}

/// Decides what is encoded.
#[derive(Debug)]
pub struct Layers {
    source: Source,
    thrift: Thrift,
    slots: [Option<Slot>; ENCODINGS_MAX],
    /// The rung that each receiver's tile is worth, when the split was made.
    wanted: BTreeMap<ConnId, usize>,
    better_since: Option<Instant>,
}

/// An encoding and who gets it; it keeps its number as long as somebody stays with it.
#[derive(Clone, Debug)]
struct Slot {
    members: Vec<ConnId>,
    rung: usize,
    change: Change,
    bitrate: Bitrate,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Falling { since: Instant },
    Rising { since: Instant, least: Bitrate },
}

impl Layers {
    /// Nothing encoded yet.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            thrift: Thrift::Free,
            slots: [const { None }; ENCODINGS_MAX],
            wanted: BTreeMap::new(),
            better_since: None,
        }
    }

    /// The source is another one, or gives other pictures.
    pub fn set_source(&mut self, source: Source) {
        if source != self.source {
            self.source = source;
            // The rungs are others.
            self.wanted.clear();
            self.slots = [const { None }; ENCODINGS_MAX];
        }
    }

    /// Spend so much.
    pub fn set_thrift(&mut self, thrift: Thrift) {
        if thrift != self.thrift {
            self.thrift = thrift;
            self.wanted.clear();
        }
    }

    /// Takes what all receivers can make use of; who is not named gets nothing.
    pub fn handle_demands(&mut self, demands: &BTreeMap<ConnId, Demand>, now: Instant) {
        let mut wanted = BTreeMap::new();
        let mut uses = Vec::new();
        for (id, demand) in demands {
            let Some(tile) = demand.tile.filter(|_| demand.rate >= RATE_MIN) else { continue };
            let rung = self.rung_for(tile);
            wanted.insert(*id, rung);
            uses.push(Use { id: *id, rung, rate: demand.rate.min(self.rungs()[rung].enough) });
        }
        let is_new = wanted != self.wanted;
        let split = Split::best(&uses);
        let is_better = {
            let present = Split::of(self.slots.iter().flatten().map(|slot| slot.members.as_slice()), &uses);
            split.loss() + GAIN_MIN < present.loss()
        };
        let since = is_better.then(|| *self.better_since.get_or_insert(now));
        self.better_since = since;
        if is_new || since.is_some_and(|since| since + SPLIT_AFTER <= now) {
            self.wanted = wanted;
            self.better_since = None;
            self.take_split(split);
        }
        self.follow_rates(&uses, now);
    }

    /// The encodings by number.
    pub fn encodings(&self) -> [Option<Encoding>; ENCODINGS_MAX] {
        std::array::from_fn(|number| {
            let slot = self.slots[number].as_ref()?;
            let rung = &self.rungs()[slot.rung];
            Some(Encoding { size: rung.size, fps: rung.fps, bitrate: slot.bitrate })
        })
    }

    /// Number of the encoding that a receiver gets.
    pub fn serving(&self, receiver: ConnId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.members.contains(&receiver)))
    }

    fn rungs(&self) -> Vec<Rung> {
        rungs(self.source, self.thrift)
    }

    /// The lowest rung that fills the tile but for a fifth, which scaling up does not show.
    fn rung_for(&self, tile: Size) -> usize {
        let rungs = self.rungs();
        let shown = self.source.size.within(tile);
        let fills = |rung: &Rung| rung.size.height * 10 >= shown.height * 8;
        rungs.iter().position(fills).unwrap_or(rungs.len() - 1)
    }

    /// Groups take the numbers of the encodings that most of them got before.
    fn take_split(&mut self, split: Split) {
        let mut before = std::mem::take(&mut self.slots);
        let mut groups: Vec<_> = split.groups().map(<[Use]>::to_vec).collect();
        let mut left = Vec::new();
        // The largest first: its members are most.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        for group in groups {
            let members: Vec<_> = group.iter().map(|one| one.id).collect();
            let shared = |slot: &Slot| slot.members.iter().filter(|id| members.contains(id)).count();
            let best = (0..ENCODINGS_MAX)
                .filter(|number| self.slots[*number].is_none())
                .max_by_key(|number| before[*number].as_ref().map_or(0, shared))
                .filter(|number| before[*number].as_ref().is_some_and(|slot| shared(slot) > 0));
            match best {
                Some(number) => {
                    let slot = before[number].take().expect("it shares members");
                    self.slots[number] = Some(Slot { members, ..slot });
                }
                None => left.push(members),
            }
        }
        for members in left {
            let free = (0..ENCODINGS_MAX)
                .find(|number| self.slots[*number].is_none())
                .expect("there are no more groups than numbers");
            self.slots[free] =
                Some(Slot { members, rung: usize::MAX, change: Change::None, bitrate: Bitrate(0) });
        }
    }

    fn follow_rates(&mut self, uses: &[Use], now: Instant) {
        let rungs = self.rungs();
        for slot in self.slots.iter_mut() {
            let Some(present) = slot else { continue };
            present.members.retain(|id| uses.iter().any(|one| one.id == *id));
            let members = uses.iter().filter(|one| present.members.contains(&one.id));
            let Some((rate, ceiling)) =
                members.map(|one| (one.rate, one.rung)).reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
            else {
                *slot = None;
                continue;
            };
            present.follow(rate, ceiling, &rungs, now);
        }
    }
}

impl Slot {
    fn follow(&mut self, rate: Bitrate, ceiling: usize, rungs: &[Rung], now: Instant) {
        let carried = |rate: Bitrate| rungs.iter().rposition(|rung| rung.least <= rate).unwrap_or(0);
        let worth = carried(rate).min(ceiling);
        if self.rung > ceiling {
            // No one shows it so large, or it is new.
            (self.rung, self.change) = (worth, Change::None);
        }
        self.change = match (worth.cmp(&self.rung), self.change) {
            (std::cmp::Ordering::Equal, _) => Change::None,
            (std::cmp::Ordering::Less, Change::Falling { since }) => Change::Falling { since },
            (std::cmp::Ordering::Less, Change::None | Change::Rising { .. }) => {
                Change::Falling { since: now }
            }
            (std::cmp::Ordering::Greater, Change::Rising { since, least }) => {
                Change::Rising { since, least: least.min(rate) }
            }
            (std::cmp::Ordering::Greater, Change::None | Change::Falling { .. }) => {
                Change::Rising { since: now, least: rate }
            }
        };
        match self.change {
            Change::Falling { since } if since + DOWN_AFTER <= now => {
                (self.rung, self.change) = (worth, Change::None);
            }
            Change::Rising { since, least } if since + UP_AFTER <= now => {
                (self.rung, self.change) = (carried(least).min(ceiling), Change::None);
            }
            Change::None | Change::Falling { .. } | Change::Rising { .. } => {}
        }
        self.bitrate = rate.min(rungs[self.rung].enough);
    }
}

/// Below this a picture is a smear, and sound needs the room.
const RATE_MIN: Bitrate = Bitrate::from_kbps(40);
/// Octaves by which another split must be better: rates differ by this much for no reason.
const GAIN_MIN: f64 = 0.25;
/// For so long: each change of encoding costs its receiver a key frame.
const SPLIT_AFTER: Duration = Duration::from_secs(1);
/// As in `rate::ladder`: too many pixels for the rate are a queue or a smear.
const DOWN_AFTER: Duration = Duration::from_millis(300);
/// As in `rate::ladder`: each change of size costs a key frame.
const UP_AFTER: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests;
