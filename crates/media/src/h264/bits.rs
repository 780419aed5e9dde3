//! The bits of a NAL unit.

/// Reads bits, most significant first, and leaves out emulation prevention bytes (section 7.4.1.1).
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u32,
    bit: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, zeros: 0, bit: 0 }
    }

    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.one()?))
    }

    fn one(&mut self) -> Option<u32> {
        if self.bit == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let value = u32::from(byte) >> (7 - self.bit) & 1;
        self.bit = (self.bit + 1) % 8;
        if self.bit == 0 {
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        Some(value)
    }

    /// A signed Exp-Golomb number (section 9.1.1).
    pub(super) fn signed_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.golomb()?);
        i32::try_from(if code % 2 == 0 { -code / 2 } else { code / 2 + 1 }).ok()
    }

    /// An unsigned Exp-Golomb number (section 9.1).
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.one()? == 0 {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        ((1u64 << zeros) - 1 + u64::from(self.take(zeros)?)).try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_bytes_are_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0x80]);
        assert_eq!(bits.take(32), Some(0x0000_0180));
        assert_eq!(bits.take(1), None);
    }

    #[test]
    fn signed_numbers_alternate() {
        // 1, 010, 011, 00100, 00101.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([0, 1, 2, 3, 4].map(|_| bits.signed_golomb()), [0, 1, -1, 2, -2].map(Some));
    }
}
