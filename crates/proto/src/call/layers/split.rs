//! Which receivers share an encoding.

use super::ENCODINGS_MAX;
use crate::signaling::ConnId;
use crate::video::Bitrate;

/// What one receiver could make use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) id: ConnId,
    /// The size that its tile is worth.
    pub(super) rung: usize,
    /// The lesser of its link's rate and of what that size is worth.
    pub(super) rate: Bitrate,
}

/// Receivers in groups.
#[derive(Clone, Debug)]
pub(super) struct Split {
    groups: Vec<Vec<Use>>,
    loss: f64,
}

impl Split {
    /// The one with the least loss. Receivers of like use go together, so the groups lie side by side in the order of use.
    pub(super) fn best(uses: &[Use]) -> Self {
        let mut sorted = uses.to_vec();
        sorted.sort_by_key(|one| (one.rate, one.rung, one.id));
        let count = sorted.len();
        let mut best = Self::new(if count == 0 { Vec::new() } else { vec![sorted.clone()] });
        for first in 1..count {
            let two = [&sorted[..first], &sorted[first..]];
            best.take_better(Self::new(two.map(<[Use]>::to_vec).to_vec()));
            for second in first + 1..count {
                let three = [&sorted[..first], &sorted[first..second], &sorted[second..]];
                best.take_better(Self::new(three.map(<[Use]>::to_vec).to_vec()));
            }
        }
        best
    }

    /// The split that there is, with the uses of now; who has none is left out.
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a [ConnId]>, uses: &[Use]) -> Self {
        let group = |ids: &[ConnId]| -> Vec<Use> {
            uses.iter().filter(|one| ids.contains(&one.id)).copied().collect()
        };
        Self::new(groups.map(group).filter(|group| !group.is_empty()).collect())
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &[Use]> {
        self.groups.iter().map(Vec::as_slice)
    }

    /// In octaves.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    fn new(groups: Vec<Vec<Use>>) -> Self {
        debug_assert!(groups.len() <= ENCODINGS_MAX, "three groups at most");
        let of_group = |group: &Vec<Use>| {
            let served = group.iter().map(|one| one.rate.0).min().unwrap_or(1).max(1);
            group.iter().map(|one| (f64::from(one.rate.0.max(1)) / f64::from(served)).log2()).sum::<f64>()
        };
        let loss = groups.iter().map(of_group).sum::<f64>() + groups.len() as f64 * ENCODING_COST;
        Self { groups, loss }
    }

    fn take_better(&mut self, other: Self) {
        if other.loss < self.loss {
            *self = other;
        }
    }
}

/// What an encoding is worth, in octaves: one more for a single receiver has to give it more than 1.4 times the rate.
const ENCODING_COST: f64 = 0.5;
