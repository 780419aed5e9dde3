//! From where on a sender's packets are still of use.

/// A packet this far back is not sent again; long before its number means another packet it is forgotten.
const REMEMBERED: u16 = 0x4000;

/// The packet from which on the packets of one stream are of use: a picture begins there that leans on none before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsefulFrom(Option<u16>);

impl UsefulFrom {
    /// A picture begins with this packet that leans on none before it.
    pub const fn begin(&mut self, sequence: u16) {
        self.0 = Some(sequence);
    }

    /// A packet leaves for the first time.
    pub fn handle_sent(&mut self, sequence: u16) {
        if self.0.is_some_and(|from| (REMEMBERED..0x8000).contains(&sequence.wrapping_sub(from))) {
            self.0 = None;
        }
    }

    /// Whether this packet is of use: it does not come before the beginning by less than half the range of numbers (RFC
    /// 3550 appendix A.1).
    pub fn covers(&self, sequence: u16) -> bool {
        self.0.is_none_or(|from| sequence == from || from.wrapping_sub(sequence) >= 0x8000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_the_beginning_is_of_no_use() {
        let mut useful = UsefulFrom::default();
        assert!(useful.covers(7));
        useful.begin(2);
        let got = [65_535, 1, 2, 3, 30_000].map(|sequence| useful.covers(sequence));
        assert_eq!(got, [false, false, true, true, true]);
    }

    #[test]
    fn whatever_is_sent_afterwards_is_of_use_however_long_nothing_begins_anew() {
        let mut useful = UsefulFrom::default();
        useful.begin(60_000);
        for sent in 1..200_000_u32 {
            let sequence = (60_000 + sent) as u16;
            useful.handle_sent(sequence);
            assert!(useful.covers(sequence), "{sent} packets later");
        }
    }
}
