//! Sets up the engine (`webrtc` 0.21.1). docs/ENGINE.md gives the reasons and the measurements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use farwheel_proto::rate::Track;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{ReceiverReportBuilder, Registry, SenderReportBuilder, Slot, TwccReceiverBuilder};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MediaEngine,
};
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
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, SettingEngine,
    SettingEngineBuilder,
};
use webrtc::rtp_transceiver::{RtpSender, RtpTransceiver};

use crate::config::{Bind, CandidatePolicy, Config, Media};
use crate::detour::Inlet;
use crate::event::Channel;
use crate::keyframe_requests::KeyframeRequests;
use crate::refusal::taken;
use crate::turn_bridge::Plan;
use crate::turns::{TurningRuntime, Turns};
use crate::uplink::{SharedUplink, Stream};

/// Constrained baseline, level 3.1, fragments allowed: what every browser and every encoder of ours speaks.
const H264_PARAMETERS: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const H264_PAYLOAD_TYPE: u8 = 102;
const RTX_PAYLOAD_TYPE: u8 = 103;
/// What browsers call it, too. With forward error correction in-band, and nothing sent while nobody speaks (RFC 7587 section
/// 6.1).
const OPUS_PARAMETERS: &str = "minptime=10;useinbandfec=1;usedtx=1";
const OPUS_PAYLOAD_TYPE: u8 = 111;

/// ICE connectivity checks: the default of 200 ms costs 200-400 ms at every connect (measured, docs/ENGINE.md).
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per pair: the whole time a connect may take, since the engine counts them, not their time.
const CHECKS_MAX: u16 = 200;
/// Between two checks where people carry the descriptions: minutes of them, which also keep a router's way in open.
const CARRIED_CHECK_INTERVAL: Duration = Duration::from_millis(200);
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

/// The same on a call, whose files would crawl otherwise: at a round trip of 100 ms this is 10 Mbit/s.
const CALL_BYTES_MAX: usize = 128 * 1024;

/// The id of the channel that carries nothing, beside those of [`Channel`].
const TRANSPORT_ID: u16 = 15;

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
pub(crate) type Channels = Vec<(Channel, Arc<dyn DataChannel>)>;

/// A connection's parts in the engine.
pub(crate) struct Engine {
    pub(crate) connection: Arc<dyn PeerConnection>,
    /// Carries nothing: it puts the channels' transport into the description, and its opening tells that this stands.
    pub(crate) transport: Arc<dyn DataChannel>,
    pub(crate) senders: Vec<(Stream, Sender)>,
    /// Tells the screen's section from the camera's.
    screen: Option<Arc<dyn RtpTransceiver>>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) plan: Arc<Plan>,
}

impl Engine {
    /// An answer. Where the offer has nothing to take of some kind, its tracks are given up: the engine makes no description while
    /// there is a track that it has no codec for.
    pub(crate) async fn answer(
        &mut self,
        offer: &str,
    ) -> Result<RTCSessionDescription, webrtc::error::Error> {
        match self.connection.create_answer(None).await {
            Err(webrtc::error::Error::ErrSenderWithNoCodecs) => {}
            made => return made,
        }
        let is_refused = |stream: Stream| match stream {
            Stream::Sound => taken(offer, "audio", "opus") == 0,
            Stream::Pictures(_) => taken(offer, "video", "H264") == 0,
        };
        for (_, sender) in self.senders.extract_if(.., |(stream, _)| is_refused(*stream)) {
            self.connection.remove_track(&sender.rtp).await?;
        }
        self.connection.create_answer(None).await
    }

    /// What a received track carries, by the section of the description that it belongs to.
    pub(crate) async fn stream_of(&self, track: &Arc<dyn TrackRemote>) -> Stream {
        if track.kind().await == RtpCodecKind::Audio {
            return Stream::Sound;
        }
        let receiver = match &self.screen {
            Some(screen) => screen.receiver().await.ok().flatten(),
            None => None,
        };
        let is_screen = receiver.is_some_and(|receiver| Arc::ptr_eq(receiver.track(), track));
        Stream::Pictures(if is_screen { Track::Screen } else { Track::Camera })
    }
}

/// The sending end of a track.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    pub(crate) rtp: Arc<dyn RtpSender>,
    pub(crate) ssrc: u32,
}

impl Sender {
    /// The payload type that was negotiated for a codec; a wrong one would only be logged by the engine.
    pub(crate) async fn payload_type(&self, codec: &str) -> Result<u8, webrtc::error::Error> {
        let parameters = self.rtp.get_parameters().await?;
        let codecs = parameters.rtp_parameters.codecs;
        let found = codecs.iter().find(|one| one.rtp_codec.mime_type.eq_ignore_ascii_case(codec));
        let none = || webrtc::error::Error::Other(format!("the peer takes no {codec}"));
        found.map(|one| one.payload_type).ok_or_else(none)
    }
}

/// Builds a connection with its channels and its tracks, ready to negotiate.
pub(crate) async fn build(
    config: &Config,
    uplink: Option<&SharedUplink>,
    inlet: Inlet,
    events: mpsc::Sender<EngineEvent>,
) -> Result<Engine, webrtc::error::Error> {
    let channels: &[Channel] = match config.media {
        Media::Call(_) => &Channel::ALL,
        Media::Send(_) | Media::Receive | Media::None => {
            &[Channel::Control, Channel::Telemetry, Channel::Event]
        }
    };
    let handler = Arc::new(Handler {
        events,
        connection: OnceLock::new(),
        channels,
        has_channels: AtomicBool::new(false),
    });
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
    let mut media = media_engine(config)?;
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
        .with_setting_engine(settings(config))
        .with_interceptor_registry(registry)
        .with_handler(Arc::clone(&handler) as Arc<dyn PeerConnectionEventHandler>)
        .with_runtime(Arc::new(runtime))
        .with_udp_addrs(addresses(&config.bind))
        .with_data_channel_send_buffer_limit(match config.media {
            Media::Call(_) => CALL_BYTES_MAX,
            Media::Send(_) | Media::Receive | Media::None => CHANNEL_BYTES_MAX,
        });
    // The future holds the whole engine: kept out of the task's own, which lives as long as the connection.
    let connection: Arc<dyn PeerConnection> = Arc::new(Box::pin(builder.build()).await?);
    handler.connection.set(Arc::downgrade(&connection)).expect("nobody else sets it");
    let transport = channel(&*connection, "transport", negotiated(TRANSPORT_ID)).await?;
    let (mut senders, mut screen) = (Vec::new(), None);
    match config.media {
        Media::Send(_) => {
            let camera = Stream::Pictures(Track::Camera);
            senders.push((camera, add_track(&*connection, camera).await?.0));
        }
        Media::Receive => {
            let receive = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..Default::default()
            };
            connection.add_transceiver_from_kind(RtpCodecKind::Video, Some(receive)).await?;
        }
        Media::None => {}
        Media::Call(_) => {
            // The order decides which section of an offer becomes whose, since the two of video look alike.
            for stream in [Stream::Sound, Stream::Pictures(Track::Camera), Stream::Pictures(Track::Screen)] {
                let (sender, transceiver) = add_track(&*connection, stream).await?;
                senders.push((stream, sender));
                screen = Some(transceiver);
            }
        }
    }
    if config.has_sound() && !matches!(config.media, Media::Call(_)) {
        senders.push((Stream::Sound, add_track(&*connection, Stream::Sound).await?.0));
    }
    if let Some(uplink) = uplink {
        let mut uplink = uplink.lock();
        senders.iter().for_each(|(stream, sender)| uplink.expect(*stream, sender.ssrc));
    }
    Ok(Engine { connection, transport, senders, screen, turns, plan })
}

fn settings(config: &Config) -> SettingEngine {
    let (failed_after, check_interval, checks_max) = match config.patience {
        None => (FAILED_AFTER, CHECK_INTERVAL, CHECKS_MAX),
        // The answering side looks for an offering one that has not read its answer yet.
        Some(patience) => {
            let checks = patience.as_millis() / CARRIED_CHECK_INTERVAL.as_millis();
            (patience, CARRIED_CHECK_INTERVAL, u16::try_from(checks).unwrap_or(u16::MAX))
        }
    };
    // With no wait at all a relay that answers first wins over a direct path for good, and takes the link down with
    // itself.
    let relay_wait = match config.candidates {
        CandidatePolicy::All => RELAY_WAIT,
        CandidatePolicy::RelayOnly => Duration::ZERO,
    };
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_ice_timeouts(Some(DISCONNECTED_AFTER), Some(failed_after), Some(KEEP_ALIVE))
        .with_ice_connection_attempts(Some(check_interval), Some(checks_max))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(relay_wait))
        .with_include_loopback_candidate(true)
        .with_discard_local_candidates_during_ice_restart(true)
        .build()
}

fn media_engine(config: &Config) -> Result<MediaEngine, webrtc::error::Error> {
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
    // Where it is not known, a browser's offer of sound is refused.
    if config.has_sound() {
        media.register_codec(
            RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE },
            RtpCodecKind::Audio,
        )?;
    }
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

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        // Always two in a description, whatever is sent (RFC 7587 section 7).
        channels: 2,
        sdp_fmtp_line: OPUS_PARAMETERS.to_owned(),
        rtcp_feedback: vec![RTCPFeedback { typ: "transport-cc".to_owned(), parameter: String::new() }],
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
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let capability = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
            media.register_header_extension(capability, kind, None)?;
        }
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
async fn channels(
    connection: &dyn PeerConnection,
    wanted: &[Channel],
) -> Result<Channels, webrtc::error::Error> {
    let mut made = Vec::with_capacity(wanted.len());
    for one in wanted {
        let init = RTCDataChannelInit {
            ordered: !one.is_lossy(),
            max_retransmits: one.is_lossy().then_some(0),
            ..negotiated(one.id())
        };
        made.push((*one, channel(connection, one.label(), init).await?));
    }
    Ok(made)
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

async fn add_track(
    connection: &dyn PeerConnection,
    stream: Stream,
) -> Result<(Sender, Arc<dyn RtpTransceiver>), webrtc::error::Error> {
    let ssrc: u32 = rand::random();
    let (kind, codec, name) = match stream {
        Stream::Sound => (RtpCodecKind::Audio, opus(), "sound"),
        Stream::Pictures(Track::Camera) => (RtpCodecKind::Video, h264(), "camera"),
        Stream::Pictures(Track::Screen) => (RtpCodecKind::Video, h264(), "screen"),
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            rtx: Some(RTCRtpRtxParameters { ssrc: ssrc.wrapping_add(1) })
                .filter(|_| kind == RtpCodecKind::Video),
            ..Default::default()
        },
        codec,
        ..Default::default()
    };
    // A camera and its sound are one stream to a browser, which plays them in step; a screen is another. The track's own name
    // must differ from the other side's, or what that says of it gets lost (docs/ENGINE.md).
    let group = if name == "screen" { "screen" } else { "camera" };
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        group.to_owned(),
        format!("{name}-{ssrc:08x}"),
        name.to_owned(),
        kind,
        vec![encoding],
    )));
    let local = Arc::clone(&track) as Arc<dyn TrackLocal>;
    let transceiver = connection.add_transceiver_from_track(local, None).await?;
    let rtp = transceiver.sender().await?.ok_or(webrtc::error::Error::ErrRTPSenderNotExisted)?;
    Ok((Sender { track, rtp, ssrc }, transceiver))
}

/// Hands the engine's events on. It runs on the engine's own task, so it never waits.
struct Handler {
    events: mpsc::Sender<EngineEvent>,
    connection: OnceLock<Weak<dyn PeerConnection>>,
    channels: &'static [Channel],
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
            self.hand_on(match channels(&*connection, self.channels).await {
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
