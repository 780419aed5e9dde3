//! Which pictures the encoder and the receiver both keep.

use farwheel_proto::anchor::Anchor;

/// Long-term references that OpenH264 keeps of a camera's pictures (`LONG_TERM_REF_NUM`).
const KEPT_MAX: usize = 2;
/// Pictures after which an anchor that the receiver has not said to hold is given up: a second at 30 a second.
const PENDING_MAX: u32 = 30;

/// The anchors of one stream; begins anew with each key frame.
///
/// The library predicts a recovery from the anchor it trusts: the key frame, until it is told that the receiver holds
/// a newer one. It makes no other anchor while one is pending.
///
/// | | the receiver holds it | it does not say so |
/// |---|---|---|
/// | trusted | a recovery is possible | a key frame is needed |
/// | pending | tell the library: it is trusted after the next picture | after 30 pictures, or with a recovery: give it up |
#[derive(Clone, Debug, Default)]
pub(super) struct Anchors {
    /// Number of the key frame that the library counts by.
    key: u32,
    kept: [Option<Kept>; KEPT_MAX],
    trusted: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    anchor: Anchor,
    /// The picture's number, by which the library knows it.
    number: u32,
    is_held: bool,
    /// Pictures since.
    age: u32,
}

/// What the library is to be told of its pending anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) key: u32,
    pub(super) number: u32,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Held,
    Missed,
}

impl Anchors {
    /// A key frame, which is the first anchor.
    pub(super) fn handle_key(&mut self, key: u32, number: u32, anchor: Anchor) {
        let first = Kept { anchor, number, is_held: false, age: 0 };
        *self = Self { key, kept: [Some(first), None], trusted: Some(0) };
    }

    /// Another picture, not a key frame.
    pub(super) fn handle_picture(&mut self) {
        for kept in self.kept.iter_mut().flatten() {
            kept.age = kept.age.saturating_add(1);
        }
    }

    /// A picture became the reference with this index; one that had it is gone.
    pub(super) fn handle_kept(&mut self, index: u32, number: u32, anchor: Anchor) {
        let index = index as usize % KEPT_MAX;
        self.kept[index] = Some(Kept { anchor, number, is_held: false, age: 0 });
        self.trusted = self.trusted.filter(|trusted| *trusted != index);
    }

    /// What the receiver says that it holds now.
    pub(super) fn handle_held(&mut self, held: &[Anchor]) {
        for kept in self.kept.iter_mut().flatten() {
            kept.is_held = held.contains(&kept.anchor);
        }
    }

    /// The anchor that a recovery would be predicted from; `None`: the receiver has none.
    pub(super) fn usable(&self) -> Option<(usize, Anchor)> {
        let trusted = self.trusted?;
        self.kept[trusted].filter(|kept| kept.is_held).map(|kept| (trusted, kept.anchor))
    }

    /// What to tell the library before the next picture; by then it is done.
    pub(super) fn take_verdict(&mut self, next: Next) -> Option<Verdict> {
        let (index, pending) = (0..KEPT_MAX)
            .filter(|index| Some(*index) != self.trusted)
            .find_map(|index| self.kept[index].map(|kept| (index, kept)))?;
        let outcome = match next {
            _ if pending.is_held => Outcome::Held,
            Next::Recovery => Outcome::Missed,
            Next::Any if pending.age >= PENDING_MAX => Outcome::Missed,
            Next::Any | Next::Key => return None,
        };
        match outcome {
            Outcome::Held => {
                self.kept = [None; KEPT_MAX];
                self.kept[index] = Some(pending);
                self.trusted = Some(index);
            }
            Outcome::Missed => self.kept[index] = None,
        }
        Some(Verdict { key: self.key, number: pending.number, outcome })
    }

    /// Number of the key frame that the library counts by.
    pub(super) fn key(&self) -> u32 {
        self.key
    }
}

/// What the next picture is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Any,
    Recovery,
    Key,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Anchor = Anchor(1);
    const FIRST: Anchor = Anchor(2);
    const SECOND: Anchor = Anchor(3);

    /// After a key frame that the receiver holds, and another picture that is kept.
    fn started() -> Anchors {
        let mut anchors = Anchors::default();
        anchors.handle_key(5, 0, KEY);
        anchors.handle_held(&[KEY]);
        anchors.handle_picture();
        anchors.handle_kept(1, 3, FIRST);
        anchors
    }

    fn usable(anchors: &Anchors) -> Option<Anchor> {
        anchors.usable().map(|(_, anchor)| anchor)
    }

    #[test]
    fn a_key_frame_is_an_anchor_once_the_receiver_says_that_it_holds_it() {
        let mut anchors = Anchors::default();
        assert_eq!(usable(&anchors), None);
        anchors.handle_key(5, 0, KEY);
        assert_eq!(usable(&anchors), None);
        anchors.handle_held(&[FIRST, KEY]);
        assert_eq!((usable(&anchors), anchors.key()), (Some(KEY), 5));
        anchors.handle_held(&[]);
        assert_eq!(usable(&anchors), None);
    }

    #[test]
    fn a_newer_anchor_is_trusted_once_it_is_held_and_the_library_knows() {
        let mut anchors = started();
        assert_eq!(anchors.take_verdict(Next::Any), None);
        anchors.handle_held(&[KEY, FIRST]);
        assert_eq!(usable(&anchors), Some(KEY));
        let want = Verdict { key: 5, number: 3, outcome: Outcome::Held };
        assert_eq!((anchors.take_verdict(Next::Any), anchors.take_verdict(Next::Any)), (Some(want), None));
        assert_eq!(usable(&anchors), Some(FIRST));
        // The next one takes the other place.
        anchors.handle_kept(0, 9, SECOND);
        anchors.handle_held(&[FIRST, SECOND]);
        assert_eq!(anchors.take_verdict(Next::Any).map(|verdict| verdict.number), Some(9));
        assert_eq!(usable(&anchors), Some(SECOND));
    }

    #[test]
    fn an_anchor_that_is_never_held_is_given_up_after_a_second_or_with_a_recovery() {
        let mut anchors = started();
        let want = Some(Verdict { key: 5, number: 3, outcome: Outcome::Missed });
        assert_eq!(anchors.clone().take_verdict(Next::Recovery), want);
        (0..PENDING_MAX - 1).for_each(|_| anchors.handle_picture());
        assert_eq!(anchors.take_verdict(Next::Any), None);
        anchors.handle_picture();
        assert_eq!(anchors.take_verdict(Next::Any), want);
        assert_eq!(usable(&anchors), Some(KEY));
    }

    #[test]
    fn a_key_frame_ends_all_that_was_before() {
        let mut anchors = started();
        anchors.handle_key(6, 0, SECOND);
        anchors.handle_held(&[KEY, FIRST]);
        assert_eq!((usable(&anchors), anchors.take_verdict(Next::Recovery)), (None, None));
    }
}
