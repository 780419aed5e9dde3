//! Messages to and from the data channels.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::connection::Shared;
use crate::engine::EngineEvent;
use crate::event::{Channel, Event};

/// Places in the owner's event queue that lossy messages leave to everything else.
const EVENTS_RESERVED: usize = 64;

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
/// datagrams replace older ones.
pub(crate) async fn send(channel: Channel, data_channel: Arc<dyn DataChannel>, shared: Arc<Shared>) {
    loop {
        shared.message_added(channel).notified().await;
        loop {
            if data_channel.writable().await.is_err() {
                return;
            }
            let Some(data) = shared.pop_message(channel) else { break };
            if let Err(error) = data_channel.send(BytesMut::from(data)).await {
                tracing::debug!(channel = channel.label(), %error, "message not sent");
                return;
            }
        }
    }
}
