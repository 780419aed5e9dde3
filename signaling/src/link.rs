//! One WebSocket: frames in to the hub, the outbox out to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use farwheel_proto::signaling::rooms::LinkId;
use farwheel_proto::signaling::{ErrorCode, Limits};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::hub::{Event, Way};
use crate::stream::Stream;

/// What the hub has for a link.
pub(crate) enum Outgoing {
    Text(Utf8Bytes),
    Close { code: ErrorCode, reason: String },
}

/// The hub's end of a link.
pub(crate) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    is_too_slow: AtomicBool,
    /// Wakes a link that waits for its client to read.
    wake: Notify,
}

/// The outbox is full.
pub(crate) struct Full;

impl Outbox {
    pub(crate) fn push(&self, outgoing: Outgoing, bytes_max: usize) -> Result<(), Full> {
        if let Outgoing::Text(text) = &outgoing {
            let queued = self.shared.queued_bytes.fetch_add(text.len(), Ordering::Relaxed);
            if queued + text.len() > bytes_max {
                return Err(Full);
            }
        }
        match self.queue.try_send(outgoing) {
            // A link that has ended reports itself gone.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Full),
        }
    }

    /// Closes after what is queued.
    pub(crate) fn close(self, code: ErrorCode, reason: String) {
        if self.push(Outgoing::Close { code, reason }, usize::MAX).is_err() {
            self.give_up();
        }
    }

    /// Closes as `slow_consumer` at once, leaving out what is queued.
    pub(crate) fn give_up(self) {
        self.shared.is_too_slow.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

/// The library's defaults cost 137 KiB for each idle connection, these 12 (docs/MEASUREMENTS.md). Messages are small; a
/// large one takes some more reads.
pub(crate) fn websocket_config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(256 * 1024)
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes))
}

/// Longest that one message may take to leave; then the client is taken for gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest wait for a client to take a close frame and close its side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Drives a WebSocket until it ends.
pub(crate) async fn run(
    mut ws: WebSocketStream<Stream>,
    link: LinkId,
    way: Way,
    queue_messages: usize,
    hub: mpsc::Sender<Event>,
) {
    let (queue, mut outgoing) = mpsc::channel(queue_messages);
    let shared = Arc::new(Shared::default());
    let outbox = Outbox { queue, shared: Arc::clone(&shared) };
    if hub.send(Event::Connected { link, way, outbox }).await.is_err() {
        return;
    }
    let mut is_readable = true;
    let end = loop {
        if shared.is_too_slow.load(Ordering::Acquire) {
            break End::Close(ErrorCode::SlowConsumer, String::new());
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            next = outgoing.recv() => match next {
                Some(Outgoing::Text(text)) => {
                    shared.queued_bytes.fetch_sub(text.len(), Ordering::Relaxed);
                    tokio::select! {
                        sent = tokio::time::timeout(WRITE_TIMEOUT, ws.send(Message::Text(text))) => {
                            if !matches!(sent, Ok(Ok(()))) {
                                break End::Gone;
                            }
                        }
                        () = shared.wake.notified() => {}
                    }
                }
                Some(Outgoing::Close { code, reason }) => break End::Close(code, reason),
                None if shared.is_too_slow.load(Ordering::Acquire) => {}
                None => break End::Gone,
            },
            frame = ws.next(), if is_readable => {
                let event = match frame {
                    Some(Ok(Message::Text(text))) => Event::Text { link, text },
                    Some(Ok(Message::Binary(_))) => Event::Binary { link },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Event::Alive { link },
                    Some(Ok(Message::Close(_) | Message::Frame(_))) | None => break End::Gone,
                    Some(Err(Error::Capacity(_))) => {
                        // What follows is the rest of that message. The hub closes this link.
                        is_readable = false;
                        Event::Oversize { link }
                    }
                    Some(Err(_)) => break End::Gone,
                };
                if hub.send(event).await.is_err() {
                    break End::Gone;
                }
            }
        }
    };
    // The hub first: nobody waits for a slow close.
    hub.send(Event::Gone { link }).await.ok();
    drop((hub, outgoing));
    match end {
        End::Close(code, reason) => {
            // Bounded: a client that does not read keeps neither the task nor its memory.
            // Boxed: an idle link does not carry the room for it.
            tokio::time::timeout(CLOSE_TIMEOUT, Box::pin(close(ws, code, reason))).await.ok();
        }
        End::Gone => {
            // Answers a close frame, if that is how it ended.
            tokio::time::timeout(CLOSE_TIMEOUT, ws.flush()).await.ok();
        }
    }
}

enum End {
    /// The client, or the hub, went away.
    Gone,
    /// With a close frame.
    Close(ErrorCode, String),
}

async fn close(mut ws: WebSocketStream<Stream>, code: ErrorCode, reason: String) {
    let number = code.close_code().unwrap_or(1011);
    let reason = if reason.is_empty() { code.as_str().into() } else { reason };
    let frame = CloseFrame { code: CloseCode::from(number), reason: reason.into() };
    if ws.close(Some(frame)).await.is_err() {
        return;
    }
    // Until the client closes: closing first with unread bytes would reset the connection under the close frame.
    let mut scrap = [0; 1024];
    while matches!(ws.get_mut().read(&mut scrap).await, Ok(1..)) {}
}
