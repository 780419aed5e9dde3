//! Which long-term references the library holds, by the names that sender and receiver call them.

use farwheel_proto::anchor::Anchor;

use crate::h264::slice::Change;

/// References that H.264 allows; our own sender uses two.
const INDEXES: usize = 16;

/// The anchors held, by their index in the decoder. It follows the marks of each picture that was decoded
/// (ITU-T H.264 section 8.2.5.4), as the library does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held([Option<Anchor>; INDEXES]);

impl Held {
    /// A picture was decoded that is called `anchor` where it is kept.
    pub(super) fn handle_picture(&mut self, changes: &[Change], anchor: Anchor) {
        for change in changes {
            match *change {
                Change::Keep { index, .. } => {
                    if let Some(place) = self.0.get_mut(index as usize) {
                        *place = Some(anchor);
                    }
                }
                Change::Drop { index } => {
                    if let Some(place) = self.0.get_mut(index as usize) {
                        *place = None;
                    }
                }
                Change::DropFrom { index } => {
                    let from = (index as usize).min(INDEXES);
                    self.0[from..].fill(None);
                }
            }
        }
    }

    /// Whether the reference with this index is this anchor.
    pub(super) fn has(&self, index: Option<u32>, anchor: Anchor) -> bool {
        index.and_then(|index| self.0.get(index as usize)).is_some_and(|held| *held == Some(anchor))
    }

    /// All of them.
    pub(super) fn anchors(&self) -> impl Iterator<Item = Anchor> {
        self.0.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(held: &Held) -> Vec<u32> {
        held.anchors().map(|anchor| anchor.0).collect()
    }

    #[test]
    fn anchors_come_and_go_with_the_marks_of_pictures() {
        let mut all = Held::default();
        all.handle_picture(&[Change::DropFrom { index: 0 }, Change::Keep { index: 0, back: 0 }], Anchor(1));
        assert_eq!(held(&all), [1]);
        all.handle_picture(&[Change::DropFrom { index: 2 }, Change::Keep { index: 1, back: 1 }], Anchor(2));
        assert_eq!(held(&all), [1, 2]);
        all.handle_picture(&[Change::Keep { index: 0, back: 0 }], Anchor(3));
        assert!(all.has(Some(0), Anchor(3)) && all.has(Some(1), Anchor(2)));
        assert!(!all.has(Some(0), Anchor(1)) && !all.has(Some(1), Anchor(3)) && !all.has(None, Anchor(3)));
        all.handle_picture(&[Change::Drop { index: 0 }], Anchor(4));
        assert_eq!(held(&all), [2]);
        all.handle_picture(&[Change::DropFrom { index: 1 }], Anchor(5));
        assert!(held(&all).is_empty());
    }

    #[test]
    fn indexes_beyond_what_a_decoder_has_change_nothing() {
        let mut all = Held::default();
        all.handle_picture(
            &[Change::Keep { index: u32::MAX, back: 0 }, Change::DropFrom { index: 99 }],
            Anchor(1),
        );
        all.handle_picture(&[Change::Drop { index: 16 }, Change::Keep { index: 15, back: 0 }], Anchor(2));
        assert_eq!(held(&all), [2]);
        assert!(!all.has(Some(u32::MAX), Anchor(1)));
    }
}
