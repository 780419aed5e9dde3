//! Frames on their way through the server: several in one message, and no more messages than it takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use farwheel_proto::signaling::Throttle;
use serde_json::Value;

/// Frames that wait. Full: the newest is dropped, and sent again for want of an acknowledgement.
const FRAMES_MAX: usize = 2048;
/// A server takes 50 messages a second and 200 at once; signals go the same way.
const EVERY: Duration = Duration::from_millis(25);
const AT_ONCE: u32 = 100;
/// Characters of base64 in a message; a server takes 16 KiB as JSON.
const CHARACTERS_MAX: usize = 15_000;
/// Frames in a message that a peer sent; more are none of ours.
const FRAMES_IN_MAX: usize = 1024;

/// What waits for the server.
#[derive(Debug)]
pub(super) struct Relay {
    frames: VecDeque<Bytes>,
    throttle: Throttle,
    closed_until: Option<Instant>,
}

impl Relay {
    pub(super) fn new(now: Instant) -> Self {
        Self { frames: VecDeque::new(), throttle: Throttle::new(AT_ONCE, EVERY, now), closed_until: None }
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        if self.frames.len() < FRAMES_MAX {
            self.frames.push_back(frame);
        }
    }

    /// Forgets what waits: it is sent again by whatever carrier comes.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }

    /// The next message, if there is one and the server takes it.
    pub(super) fn poll_message(&mut self, now: Instant) -> Option<Value> {
        let first = self.frames.front()?;
        if self.closed_until.is_some_and(|until| now < until) {
            return None;
        }
        if let Err(wait) = self.throttle.take(now) {
            self.closed_until = Some(now + wait);
            return None;
        }
        self.closed_until = None;
        let mut left = CHARACTERS_MAX.max(BASE64.encode_len(first.len()));
        let mut texts = Vec::new();
        while let Some(frame) = self.frames.front() {
            let length = BASE64.encode_len(frame.len()) + ",\"\"".len();
            if !texts.is_empty() && length > left {
                break;
            }
            left = left.saturating_sub(length);
            texts.push(Value::String(BASE64.encode(frame)));
            self.frames.pop_front();
        }
        Some(Value::Array(texts))
    }

    /// When [`poll_message`](Self::poll_message) has more to give.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.closed_until.filter(|_| !self.frames.is_empty())
    }
}

/// A message with one frame.
pub(super) fn message(frame: &Bytes) -> Value {
    Value::Array(vec![Value::String(BASE64.encode(frame))])
}

/// The frames in a message; what is none is left out.
pub(super) fn frames(data: &Value) -> impl Iterator<Item = Bytes> {
    let texts = data.as_array().map(Vec::as_slice).unwrap_or_default();
    texts
        .iter()
        .take(FRAMES_IN_MAX)
        .filter_map(|text| BASE64.decode(text.as_str()?.as_bytes()).ok().map(Bytes::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_travel_in_order_in_messages_that_a_server_takes() {
        let start = Instant::now();
        let mut relay = Relay::new(start);
        let sent: Vec<Bytes> = (0..300usize).map(|n| Bytes::from(vec![n as u8; 1 + n * 37 % 8200])).collect();
        sent.iter().cloned().for_each(|frame| relay.push(frame));
        let mut got = Vec::new();
        while let Some(message) = relay.poll_message(start) {
            assert!(message.to_string().len() <= 16 * 1024);
            got.extend(frames(&message));
        }
        assert!(got.len() < sent.len(), "no more than {AT_ONCE} at once");
        let mut now = start;
        while let Some(at) = relay.poll_timeout() {
            assert!(at > now, "it waits for something");
            now = at;
            while let Some(message) = relay.poll_message(now) {
                got.extend(frames(&message));
            }
        }
        assert!(got == sent, "{} of {} frames, in order", got.len(), sent.len());
        assert_eq!(relay.poll_message(now), None);
    }

    #[test]
    fn a_single_frame_leaves_at_once_and_many_small_ones_together() {
        let start = Instant::now();
        let mut relay = Relay::new(start);
        relay.push(Bytes::from_static(b"one"));
        assert_eq!(relay.poll_message(start), Some(json!(["b25l"])));
        (0..200).for_each(|_| relay.push(Bytes::from_static(&[1; 30])));
        assert_eq!(relay.poll_message(start).as_ref().map(|message| frames(message).count()), Some(200));
    }

    #[test]
    fn what_is_no_frame_is_left_out() {
        let data = json!(["b25l", 5, null, "%", "dHdv", ["b25l"]]);
        assert_eq!(frames(&data).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        for data in [json!(null), json!({"a": ["b25l"]}), json!("b25l")] {
            assert_eq!(frames(&data).count(), 0);
        }
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let mut relay = Relay::new(Instant::now());
        (0..FRAMES_MAX + 5).for_each(|_| relay.push(Bytes::from_static(b"x")));
        assert_eq!(relay.frames.len(), FRAMES_MAX);
        relay.clear();
        assert_eq!(relay.poll_timeout(), None);
    }
}
