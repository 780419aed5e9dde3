//! Messages to and from the data channels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::connection::Shared;
use crate::detour;
use crate::engine::EngineEvent;
use crate::event::{Channel, Event};
use crate::turns::Turns;

/// Places in the owner's event queue that lossy messages leave to everything else.
pub(crate) const EVENTS_RESERVED: usize = 64;

/// How soon it is looked again whether the owner has made room for a piece of a file.
const OWNER_WAIT: Duration = Duration::from_millis(2);

/// Tells when the channels' transport stands.
pub(crate) async fn await_open(transport: Arc<dyn DataChannel>, engine_events: mpsc::Sender<EngineEvent>) {
    while let Some(event) = transport.poll().await {
        if let DataChannelEvent::OnOpen = event {
            // An error means that the connection's task is gone.
            engine_events.send(EngineEvent::Open).await.ok();
        }
    }
}

/// Carries what arrives on a channel to the owner, without a detour over the connection's task, but not before the
/// owner was told that the link stands.
pub(crate) async fn receive(
    channel: Channel,
    data_channel: Arc<dyn DataChannel>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    engine_events: mpsc::Sender<EngineEvent>,
) {
    while let Some(event) = data_channel.poll().await {
        let told = match event {
            DataChannelEvent::OnClose => engine_events.send(EngineEvent::ChannelClosed(channel)).await,
            DataChannelEvent::OnMessage(message) => {
                shared.announced().await;
                // Full: a file is not read on, and the other side's transport waits. The places left are for the others.
                while channel == Channel::File && events.capacity() <= EVENTS_RESERVED && !events.is_closed()
                {
                    tokio::time::sleep(OWNER_WAIT).await;
                }
                let event = Event::Message { channel, data: message.data.freeze() };
                if channel.is_lossy() {
                    // Full: this datagram is dropped, as the network might have.
                    if events.capacity() > EVENTS_RESERVED {
                        events.try_send(event).ok();
                    }
                    Ok(())
                } else if events.try_send(event).is_err() {
                    // Full: a reliable message must not be lost silently, so the connection ends.
                    engine_events.send(EngineEvent::OwnerTooSlow).await
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// Carries what waits in the outbox to a channel. While the channel is stuck, messages stay in the outbox, where newer
/// datagrams replace older ones. Where there is a detour, commands take that instead, and so do all datagrams while
/// nothing is heard of the peer; without one they leave by [`spacing`] then.
pub(crate) async fn send(
    channel: Channel,
    data_channel: Arc<dyn DataChannel>,
    shared: Arc<Shared>,
    turns: Arc<Turns>,
) {
    let mut sent_at = Instant::now();
    loop {
        shared.message_added(channel).notified().await;
        loop {
            let spacing = match channel.is_lossy() {
                true => spacing(turns.silence(Instant::now())),
                false => Duration::ZERO,
            };
            let detour = shared.detour().filter(|_| channel.is_lossy());
            let is_silent = !spacing.is_zero();
            let detour = match (detour, channel) {
                (Some(detour), _) if is_silent => Some(detour),
                (Some(detour), Channel::Control) if detour::is_stuck(&*data_channel).await => Some(detour),
                _ => None,
            };
            if detour.is_none() && data_channel.writable().await.is_err() {
                return;
            }
            // A command leaves at once wherever it can.
            let data = if is_silent && (channel != Channel::Control || detour.is_none()) {
                tokio::time::sleep_until((sent_at + spacing).into()).await;
                shared.pop_newest_message(channel)
            } else {
                shared.pop_message(channel)
            };
            let Some(data) = data else { break };
            sent_at = Instant::now();
            if let Some(detour) = detour {
                if detour.send(channel, &data).await {
                    shared.stats().datagrams_detoured += 1;
                }
            } else if let Err(error) = data_channel.send(BytesMut::from(data)).await {
                tracing::debug!(channel = channel.label(), %error, "message not sent");
                return;
            }
        }
    }
}

/// How far apart datagrams leave after so long a silence.
///
/// The engine's SCTP waits 1 s for an acknowledgement, then 2 s, then 4 s, and sends one packet's worth of bytes meanwhile,
/// 1.2 kB. At the usual pace they are spent within half a second, and a link that comes back is not used until the wait
/// is over. So they are spread over it: then the next datagram tells that the link is back. Nothing is missed by that, since
/// after a second of silence no command counts (docs/SAFETY.md).
fn spacing(silence: Duration) -> Duration {
    match silence.as_millis() {
        0..1000 => Duration::ZERO,
        1000..3000 => Duration::from_millis(100),
        3000.. => Duration::from_millis(200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_during_a_silence_lasts_for_the_wait_that_it_falls_into() {
        let ms = Duration::from_millis;
        for (from, until) in [(1000, 3000), (3000, 7000)] {
            let (mut at, mut bytes) = (from, 0);
            while at < until {
                at += spacing(ms(at)).as_millis() as u64;
                // A command, and the larger of the datagrams of telemetry.
                bytes += 52;
            }
            assert!((900..1200).contains(&bytes), "{bytes} bytes from {from} to {until} ms");
        }
        assert_eq!(spacing(ms(999)), Duration::ZERO);
    }
}
