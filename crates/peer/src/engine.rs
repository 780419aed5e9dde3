//! Sets up the engine (`webrtc` 0.21.1). docs/ENGINE.md gives the reasons and the measurements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{ReceiverReportBuilder, Registry, SenderReportBuilder, Slot, TwccReceiverBuilder};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_RTX, MediaEngine};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sdp::extmap;
use rtc::shared::ifaces::ifaces;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceConnectionState, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngine, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::RtpSender;

use crate::config::{Bind, CandidatePolicy, Config, Video};
use crate::detour::Inlet;
use crate::event::Channel;
use crate::keyframe_requests::KeyframeRequests;
use crate::turn_bridge::Plan;
use crate::turns::{TurningRuntime, Turns};
use crate::uplink::SharedUplink;

/// Constrained baseline, level 3.1, fragments allowed: what every browser and every encoder of ours speaks.
const H264_PARAMETERS: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const H264_PAYLOAD_TYPE: u8 = 102;
const RTX_PAYLOAD_TYPE: u8 = 103;

/// ICE connectivity checks: the default of 200 ms costs 200-400 ms at every connect (measured, docs/ENGINE.md).
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per pair: the whole time a connect may take, since the engine counts them, not their time.
const CHECKS_MAX: u16 = 200;
/// A direct path answers its check within one round trip and two check intervals, or never.
const RELAY_WAIT: Duration = Duration::from_millis(400);
/// Silence after which the link counts as disconnected.
const DISCONNECTED_AFTER: Duration = Duration::from_millis(1500);
/// Silence after that until the link has failed: 8 s in all.
const FAILED_AFTER: Duration = Duration::from_millis(6500);
const KEEP_ALIVE: Duration = Duration::from_millis(300);
/// Transport-wide feedback.
pub(crate) const FEEDBACK_INTERVAL: Duration = Duration::from_millis(25);

/// Bytes of a data channel in flight. Full: messages wait in the outbox, where newer datagrams replace older ones. At
/// 250 commands a second of 100 bytes this is one round trip of 160 ms.
const CHANNEL_BYTES_MAX: usize = 4096;

/// The id of the channel that carries nothing, beside those of [`Channel`].
const TRANSPORT_ID: u16 = 3;

/// What the engine tells a connection's task.
pub(crate) enum EngineEvent {
    Candidate(RTCIceCandidateInit),
    GatheringDone,
    Ice(RTCIceConnectionState),
    Link(RTCPeerConnectionState),
    Track(Arc<dyn TrackRemote>),
    /// The data channels are made; what is sent counts once `Open` was told.
    Channels(Channels),
    /// The channels could not be made.
    NoChannels(webrtc::error::Error),
    /// The transport of the channels stands at this end.
    Open,
    ChannelClosed(Channel),
    /// The owner left so many events unread that a reliable message could not be delivered.
    OwnerTooSlow,
}

/// The data channels.
pub(crate) type Channels = [(Channel, Arc<dyn DataChannel>); 3];

/// A connection's parts in the engine.
pub(crate) struct Engine {
    pub(crate) connection: Arc<dyn PeerConnection>,
    /// Carries nothing: it puts the channels' transport into the description, and its opening tells that this stands.
    pub(crate) transport: Arc<dyn DataChannel>,
    pub(crate) sender: Option<Sender>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) plan: Arc<Plan>,
}

/// The sending end of the video track.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    pub(crate) rtp: Arc<dyn RtpSender>,
    pub(crate) ssrc: u32,
}

/// Builds a connection with its channels and its track, ready to negotiate.
pub(crate) async fn build(
    config: &Config,
    uplink: Option<&SharedUplink>,
    inlet: Inlet,
    events: mpsc::Sender<EngineEvent>,
) -> Result<Engine, webrtc::error::Error> {
    let handler =
        Arc::new(Handler { events, connection: OnceLock::new(), has_channels: AtomicBool::new(false) });
    let turns = Turns::new();
    let interface = match &config.bind {
        Bind::Interface(name) => Some(name.clone()),
        Bind::Everywhere | Bind::Loopback | Bind::Addresses(_) => None,
    };
    let plan = Arc::new(Plan::new(&config.ice_servers, config.ca.clone()).with_interface(interface));
    let runtime = TurningRuntime::new(&turns, &plan);
    let runtime = match config.candidates {
        CandidatePolicy::All => runtime.with_lead(),
        CandidatePolicy::RelayOnly => runtime,
    };
    let mut media = media_engine()?;
    let registry = interceptors(&mut media, uplink, inlet)?;
    let builder = PeerConnectionBuilder::new()
        .with_configuration(
            RTCConfigurationBuilder::new()
                .with_ice_servers(ice_servers(config, &plan))
                .with_ice_transport_policy(match config.candidates {
                    CandidatePolicy::All => RTCIceTransportPolicy::All,
                    CandidatePolicy::RelayOnly => RTCIceTransportPolicy::Relay,
                })
                .build(),
        )
        .with_media_engine(media)
        .with_setting_engine(settings(config.candidates))
        .with_interceptor_registry(registry)
        .with_handler(Arc::clone(&handler) as Arc<dyn PeerConnectionEventHandler>)
        .with_runtime(Arc::new(runtime))
        .with_udp_addrs(addresses(&config.bind))
        .with_data_channel_send_buffer_limit(CHANNEL_BYTES_MAX);
    // The future holds the whole engine: kept out of the task's own, which lives as long as the connection.
    let connection: Arc<dyn PeerConnection> = Arc::new(Box::pin(builder.build()).await?);
    handler.connection.set(Arc::downgrade(&connection)).expect("nobody else sets it");
    let transport = channel(&*connection, "transport", negotiated(TRANSPORT_ID)).await?;
    let sender = match config.video {
        Video::Send(_) => Some(add_track(&*connection).await?),
        Video::Receive => {
            let receive = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..Default::default()
            };
            connection.add_transceiver_from_kind(RtpCodecKind::Video, Some(receive)).await?;
            None
        }
        Video::None => None,
    };
    Ok(Engine { connection, transport, sender, turns, plan })
}

fn settings(candidates: CandidatePolicy) -> SettingEngine {
    // With no wait at all a relay that answers first wins over a direct path for good, and takes the link down with
    // itself.
    let relay_wait = match candidates {
        CandidatePolicy::All => RELAY_WAIT,
        CandidatePolicy::RelayOnly => Duration::ZERO,
    };
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_ice_timeouts(Some(DISCONNECTED_AFTER), Some(FAILED_AFTER), Some(KEEP_ALIVE))
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_MAX))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(relay_wait))
        .with_include_loopback_candidate(true)
        .with_discard_local_candidates_during_ice_restart(true)
        .build()
}

fn media_engine() -> Result<MediaEngine, webrtc::error::Error> {
    let mut media = MediaEngine::default();
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: h264(), payload_type: H264_PAYLOAD_TYPE },
        RtpCodecKind::Video,
    )?;
    let rtx = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("apt={H264_PAYLOAD_TYPE}"),
        rtcp_feedback: Vec::new(),
    };
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: rtx, payload_type: RTX_PAYLOAD_TYPE },
        RtpCodecKind::Video,
    )?;
    Ok(media)
}

fn h264() -> RTCRtpCodec {
    let feedback =
        |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: H264_PARAMETERS.to_owned(),
        rtcp_feedback: vec![
            feedback("nack", ""),
            feedback("nack", "pli"),
            feedback("ccm", "fir"),
            feedback("transport-cc", ""),
        ],
    }
}

/// Our own choice of the engine's interceptors: its NACK generator repeats without end, its pacer and estimator are
/// not ours; the requests for repairs come from the frame assembler.
fn interceptors(
    media: &mut MediaEngine,
    uplink: Option<&SharedUplink>,
    inlet: Inlet,
) -> Result<Registry, webrtc::error::Error> {
    for uri in [extmap::SDES_MID_URI, extmap::TRANSPORT_CC_URI] {
        media.register_header_extension(
            RTCRtpHeaderExtensionCapability { uri: uri.to_owned() },
            RtpCodecKind::Video,
            None,
        )?;
    }
    let registry = Registry::new()
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().with_interval(FEEDBACK_INTERVAL).build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, SenderReportBuilder::new().build())
        .with(Slot::from(KeyframeRequests::SLOT), KeyframeRequests::new(inlet));
    Ok(match uplink {
        Some(uplink) => registry.with(Slot::from(SharedUplink::SLOT), uplink.interceptor()),
        None => registry,
    })
}

fn ice_servers(config: &Config, plan: &Plan) -> Vec<RTCIceServer> {
    config
        .ice_servers
        .iter()
        .map(|server| RTCIceServer {
            urls: server
                .urls
                .iter()
                .filter_map(|url| if is_usable(url) { Some(url.clone()) } else { plan.stand_in_for(url) })
                .collect(),
            username: server.username.clone().unwrap_or_default(),
            credential: server.credential.clone().unwrap_or_default(),
        })
        .filter(|server| !server.urls.is_empty())
        .collect()
}

/// Whether the engine itself can use it; it skips the others with a line in the log (docs/ENGINE.md).
fn is_usable(url: &str) -> bool {
    url.starts_with("stun:") || (url.starts_with("turn:") && !url.contains("transport=tcp"))
}

fn addresses(bind: &Bind) -> Vec<SocketAddr> {
    let any_port = |ip: IpAddr| SocketAddr::new(ip, 0);
    match bind {
        // The engine expands a wildcard into the interfaces there are, loopback and link-local ones not among them.
        Bind::Everywhere => {
            let mut addresses =
                vec![any_port(Ipv4Addr::LOCALHOST.into()), any_port(Ipv4Addr::UNSPECIFIED.into())];
            // Where no interface has one, it would bind the wildcard itself, or log an error for each connection.
            if ifaces()
                .is_ok_and(|all| all.iter().any(|one| one.addr.is_some_and(|at| is_global_v6(at.ip()))))
            {
                addresses.push(any_port(Ipv6Addr::UNSPECIFIED.into()));
            }
            addresses
        }
        Bind::Loopback => vec![any_port(Ipv4Addr::LOCALHOST.into())],
        Bind::Addresses(addresses) => addresses.iter().copied().map(any_port).collect(),
        Bind::Interface(name) => {
            let all = ifaces().unwrap_or_default();
            let own = all.iter().filter(|one| one.name == *name).filter_map(|one| Some(one.addr?.ip()));
            own.filter(|ip| ip.is_ipv4() || is_global_v6(*ip)).map(any_port).collect()
        }
    }
}

/// Makes the data channels. Called while the engine waits, between the end of the DTLS handshake and the first packet of
/// the channels' transport: the side that begins with that has its channels open then before the other side can say
/// anything (docs/ENGINE.md).
async fn channels(connection: &dyn PeerConnection) -> Result<Channels, webrtc::error::Error> {
    let init = |channel: Channel| RTCDataChannelInit {
        ordered: !channel.is_lossy(),
        max_retransmits: channel.is_lossy().then_some(0),
        ..negotiated(channel.id())
    };
    let make = |one: Channel| channel(connection, one.label(), init(one));
    Ok([
        (Channel::Control, make(Channel::Control).await?),
        (Channel::Telemetry, make(Channel::Telemetry).await?),
        (Channel::Event, make(Channel::Event).await?),
    ])
}

/// Announced in-band, the receiving end would ignore the reliability (docs/ENGINE.md).
fn negotiated(id: u16) -> RTCDataChannelInit {
    RTCDataChannelInit { negotiated: Some(id), ..Default::default() }
}

async fn channel(
    connection: &dyn PeerConnection,
    label: &str,
    init: RTCDataChannelInit,
) -> Result<Arc<dyn DataChannel>, webrtc::error::Error> {
    connection.create_data_channel(label, Some(init)).await
}

/// Whether a peer elsewhere may reach an address; a unique local one (RFC 4193) counts.
fn is_global_v6(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local()),
    }
}

async fn add_track(connection: &dyn PeerConnection) -> Result<Sender, webrtc::error::Error> {
    let ssrc: u32 = rand::random();
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            rtx: Some(RTCRtpRtxParameters { ssrc: ssrc.wrapping_add(1) }),
            ..Default::default()
        },
        codec: h264(),
        ..Default::default()
    };
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "camera".to_owned(),
        "video".to_owned(),
        "video".to_owned(),
        RtpCodecKind::Video,
        vec![encoding],
    )));
    let rtp = connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    Ok(Sender { track, rtp, ssrc })
}

/// Hands the engine's events on. It runs on the engine's own task, so it never waits.
struct Handler {
    events: mpsc::Sender<EngineEvent>,
    connection: OnceLock<Weak<dyn PeerConnection>>,
    has_channels: AtomicBool,
}

impl Handler {
    fn hand_on(&self, event: EngineEvent) {
        // Full: the connection's task has been stuck for 256 events, and its watchdog ends the connection.
        if self.events.try_send(event).is_err() {
            tracing::debug!("engine event dropped");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => self.hand_on(EngineEvent::Candidate(candidate)),
            Err(error) => tracing::debug!(%error, "candidate cannot be written"),
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        self.hand_on(EngineEvent::Ice(state));
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.hand_on(EngineEvent::GatheringDone);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected
            && let Some(connection) = self.connection.get().and_then(Weak::upgrade)
            && !self.has_channels.swap(true, Ordering::AcqRel)
        {
            self.hand_on(match channels(&*connection).await {
                Ok(channels) => EngineEvent::Channels(channels),
                Err(error) => EngineEvent::NoChannels(error),
            });
        }
        self.hand_on(EngineEvent::Link(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.hand_on(EngineEvent::Track(track));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_counts_unless_nobody_elsewhere_could_use_it() {
        let counts = |text: &str| is_global_v6(text.parse().expect("an address"));
        for text in ["2001:db8::1", "fd00::2"] {
            assert!(counts(text), "{text}");
        }
        for text in ["::1", "::", "fe80::1", "febf::1", "192.0.2.1"] {
            assert!(!counts(text), "{text}");
        }
    }
}
