//! TURN over a stream (RFC 8656 section 12.5, RFC 8489 section 6.2.2): where one message ends and the next begins.

/// Cuts a stream into STUN messages and ChannelData.
///
/// A stream that once was something else stays so: there is no way to find the next message in it.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that have been handed out.
    taken: usize,
    message_max: usize,
    is_garbage: bool,
}

/// The stream carries something else than TURN, or a message that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not TURN, or a message over the limit")]
pub struct Garbage;

/// Bytes of the part of a message that tells its length.
const LENGTH_KNOWN: usize = 4;

/// Bytes of a STUN header (RFC 8489 section 5).
const STUN_HEADER: usize = 20;

impl Deframer {
    /// For messages of at most `message_max` bytes, padding not counted.
    pub fn new(message_max: usize) -> Self {
        Self { buffer: Vec::new(), taken: 0, message_max, is_garbage: false }
    }

    /// Takes bytes as they came. What is held is at most one message and these bytes, if [`next`](Self::next) is called
    /// until it gives none.
    pub fn extend(&mut self, bytes: &[u8]) {
        if !self.is_garbage {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole message, without padding.
    ///
    /// # Errors
    /// From the first byte on that cannot be TURN.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, Garbage> {
        if self.is_garbage {
            return Err(Garbage);
        }
        let waiting = &self.buffer[self.taken..];
        let Some(head) = waiting.first_chunk::<LENGTH_KNOWN>() else {
            return match waiting.first() {
                Some(first) if first & 0x80 != 0 => Err(self.condemn()),
                _ => Ok(None),
            };
        };
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (message, whole) = match head[0] >> 6 {
            // The attributes of a STUN message are padded within it (RFC 8489 section 14).
            0 if length.is_multiple_of(4) => (STUN_HEADER + length, STUN_HEADER + length),
            // ChannelData is padded behind its length.
            1 => (LENGTH_KNOWN + length, LENGTH_KNOWN + length.next_multiple_of(4)),
            _ => return Err(self.condemn()),
        };
        if message > self.message_max {
            return Err(self.condemn());
        }
        if waiting.len() < whole {
            return Ok(None);
        }
        let start = self.taken;
        self.taken += whole;
        Ok(Some(&self.buffer[start..start + message]))
    }

    /// Whether part of a message is there and waits for its rest.
    pub fn is_within_message(&self) -> bool {
        self.taken < self.buffer.len()
    }

    fn condemn(&mut self) -> Garbage {
        self.is_garbage = true;
        self.buffer = Vec::new();
        self.taken = 0;
        Garbage
    }
}

/// The zeros that follow a message of this many bytes on a stream.
pub fn padding(message_bytes: usize) -> &'static [u8] {
    &[0; 3][..message_bytes.next_multiple_of(4) - message_bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stun(attributes: usize) -> Vec<u8> {
        let mut message = vec![0, 3, (attributes >> 8) as u8, attributes as u8, 0x21, 0x12, 0xa4, 0x42];
        message.resize(STUN_HEADER + attributes, 7);
        message
    }

    fn channel_data(bytes: usize) -> Vec<u8> {
        let mut message = vec![0x40, 1, (bytes >> 8) as u8, bytes as u8];
        message.resize(LENGTH_KNOWN + bytes, 9);
        message
    }

    fn all(deframer: &mut Deframer) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some(message) = deframer.next().expect("it is TURN") {
            messages.push(message.to_vec());
        }
        messages
    }

    #[test]
    fn messages_come_out_whole_however_the_stream_was_cut() {
        let messages = [
            stun(0),
            channel_data(1),
            channel_data(2),
            channel_data(3),
            channel_data(4),
            stun(8),
            channel_data(0),
        ];
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend(message);
            stream.extend(padding(message.len()));
        }
        for step in 1..=stream.len() {
            let mut deframer = Deframer::new(100);
            let mut got = Vec::new();
            for part in stream.chunks(step) {
                deframer.extend(part);
                got.extend(all(&mut deframer));
            }
            assert_eq!(got, messages, "cut every {step} bytes");
            assert!(!deframer.is_within_message());
        }
    }

    #[test]
    fn a_message_at_the_limit_passes_and_a_longer_one_ends_the_stream() {
        let mut deframer = Deframer::new(1600);
        deframer.extend(&channel_data(1596));
        assert_eq!(all(&mut deframer), [channel_data(1596)]);
        // Its head is enough to refuse it: no more is held.
        deframer.extend(&channel_data(1597)[..LENGTH_KNOWN]);
        assert_eq!(deframer.next(), Err(Garbage));
        let mut deframer = Deframer::new(1600);
        deframer.extend(&stun(1580));
        assert_eq!(all(&mut deframer), [stun(1580)]);
        deframer.extend(&stun(1584));
        assert_eq!(deframer.next(), Err(Garbage));
    }

    #[test]
    fn what_is_not_turn_ends_the_stream_for_good() {
        for bytes in [&b"\x80"[..], b"\xffabc", b"\x80\x01\x00\x00", &[0, 1, 0, 3], &[0xc0, 0, 0, 0]] {
            let mut deframer = Deframer::new(1600);
            deframer.extend(bytes);
            assert_eq!(deframer.next(), Err(Garbage), "{bytes:?}");
            deframer.extend(&stun(0));
            assert_eq!(deframer.next(), Err(Garbage), "after {bytes:?}");
            assert!(!deframer.is_within_message());
        }
    }

    #[test]
    fn part_of_a_message_is_told_from_none() {
        let mut deframer = Deframer::new(1600);
        assert!(!deframer.is_within_message());
        // Its data is all there, its padding is not.
        deframer.extend(&channel_data(1));
        assert_eq!(deframer.next(), Ok(None));
        assert!(deframer.is_within_message());
        deframer.extend(&[0, 0, 0]);
        assert_eq!(all(&mut deframer), [channel_data(1)]);
        assert!(!deframer.is_within_message());
    }
}
