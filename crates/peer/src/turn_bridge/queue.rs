//! Messages on their way from the engine into a stream.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Media of 0.1 s at 5 Mbit/s. Full: the newest is dropped, as a router would; what waits longer in front of a stream is
/// too old when it arrives.
const MEDIA_MAX: usize = 64;

/// Everything else: requests to the server, handshakes, and the data channels. Full: the newest is dropped, and whoever
/// wants it tries again.
const URGENT_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Leaves first: a command never waits for pictures.
    urgent: VecDeque<Bytes>,
    media: VecDeque<Bytes>,
    is_closed: bool,
}

/// The stream has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Queue {
    pub(super) fn push(&self, datagram: &[u8]) -> Result<(), Closed> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Closed);
        }
        let is_media = is_media(datagram);
        let (queue, max) =
            if is_media { (&mut state.media, MEDIA_MAX) } else { (&mut state.urgent, URGENT_MAX) };
        // The engine takes the stream for UDP and asks again; what still waits here is not lost.
        let is_repeated = !is_media
            && is_request(datagram)
            && queue.iter().any(|waiting| waiting.starts_with(&datagram[..20]));
        if queue.len() < max && !is_repeated {
            queue.push_back(Bytes::copy_from_slice(datagram));
            drop(state);
            self.added.notify_one();
        }
        Ok(())
    }

    /// Waits for the next message to leave.
    pub(super) async fn pop(&self) -> Bytes {
        loop {
            let added = self.added.notified();
            {
                let mut state = self.state();
                let urgent = state.urgent.pop_front();
                if let Some(message) = urgent.or_else(|| state.media.pop_front()) {
                    return message;
                }
            }
            added.await;
        }
    }

    /// Takes nothing from here on; gives the requests that have not left.
    pub(super) fn close(&self) -> Vec<Bytes> {
        let mut state = self.state();
        state.is_closed = true;
        state.media.clear();
        state.urgent.drain(..).filter(|message| is_request(message)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A STUN request has a header of 20 bytes and neither bit of the class (RFC 8489 section 5).
fn is_request(message: &[u8]) -> bool {
    message.len() >= 20 && message[0] & 0xc1 == 0 && message[1] & 0x10 == 0
}

/// Whether a message to the server carries RTP or RTCP to the peer (RFC 7983 section 7).
fn is_media(message: &[u8]) -> bool {
    payload(message).and_then(<[u8]>::first).is_some_and(|first| (128..192).contains(first))
}

/// What a message to the server carries to the peer: ChannelData, or the DATA attribute of a Send indication (RFC 8656
/// sections 12.4 and 11).
fn payload(message: &[u8]) -> Option<&[u8]> {
    const SEND: [u8; 2] = [0x00, 0x16];
    const DATA: [u8; 2] = [0x00, 0x13];
    match message {
        [0x40..=0x7f, _, _, _, data @ ..] => Some(data),
        _ if message.starts_with(&SEND) => {
            let mut rest = message.get(20..)?;
            loop {
                let [t0, t1, l0, l1, tail @ ..] = rest else { return None };
                let length = usize::from(u16::from_be_bytes([*l0, *l1]));
                if [*t0, *t1] == DATA {
                    return tail.get(..length);
                }
                rest = tail.get(length.next_multiple_of(4)..)?;
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const RTP: u8 = 0x80;
    const DTLS: u8 = 23;

    fn channel_data(first: u8, n: u8) -> Vec<u8> {
        vec![0x40, 0, 0, 2, first, n]
    }

    fn send_indication(first: u8) -> Vec<u8> {
        let mut message = vec![0x00, 0x16, 0, 24];
        message.extend([7; 16]);
        // XOR-PEER-ADDRESS, then DATA.
        message.extend([0, 0x12, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7]);
        message.extend([0, 0x13, 0, 5, first, 0, 0, 0, 0, 0, 0, 0]);
        message
    }

    fn request(transaction: u8) -> Vec<u8> {
        let mut message = vec![0x00, 0x03, 0, 0];
        message.extend([transaction; 16]);
        message
    }

    fn all(queue: &Queue) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.pop().now_or_never()).collect()
    }

    #[test]
    fn media_is_told_from_everything_else() {
        for media in [channel_data(RTP, 0), send_indication(RTP)] {
            assert!(is_media(&media), "{media:?}");
        }
        for urgent in [channel_data(DTLS, 0), send_indication(DTLS), send_indication(0), request(1)] {
            assert!(!is_media(&urgent), "{urgent:?}");
            for end in 0..urgent.len() {
                assert!(!is_media(&urgent[..end]));
            }
        }
    }

    #[test]
    fn the_newest_media_is_lost_and_commands_leave_first() {
        let queue = Queue::default();
        for n in 0..100 {
            queue.push(&channel_data(RTP, n)).expect("open");
        }
        queue.push(&channel_data(DTLS, 200)).expect("open");
        let left: Vec<u8> = all(&queue).iter().map(|message| message[5]).collect();
        let want: Vec<u8> = std::iter::once(200).chain(0..64).collect();
        assert_eq!(left, want);
    }

    #[test]
    fn a_request_that_waits_is_not_taken_twice() {
        let queue = Queue::default();
        for transaction in [1, 1, 2, 1] {
            queue.push(&request(transaction)).expect("open");
        }
        assert_eq!(all(&queue), [request(1), request(2)]);
        queue.push(&request(1)).expect("open");
        assert_eq!(all(&queue), [request(1)], "it has left, so it may have been lost");
    }

    #[test]
    fn a_closed_queue_gives_back_requests_and_takes_nothing() {
        let queue = Queue::default();
        for message in [channel_data(RTP, 0), request(1), channel_data(DTLS, 0), request(2)] {
            queue.push(&message).expect("open");
        }
        assert_eq!(queue.close(), [request(1), request(2)]);
        assert_eq!(queue.push(&request(3)), Err(Closed));
        assert_eq!(all(&queue).len(), 0);
    }
}
