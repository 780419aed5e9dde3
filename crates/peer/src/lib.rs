//! One WebRTC connection and the way to it.
//!
//! [`Connection`] carries sound, pictures (H.264) and messages between two peers, which of them its [`Media`] says;
//! [`signaling::Client`] joins a room and carries the offers and candidates. Both are plain handles for use from tokio tasks: every call returns
//! at once, work happens in a task of the connection's own, and all queues are bounded.
//!
//! No public type names the engine (`webrtc`, see docs/ENGINE.md): it can be replaced in this crate alone.
//!
//! ```text
//!            handle_signal, send_frame, send_sound, send                signals, state, messages
//!   owner  -------------------------------------------> Connection -------------------------------> Events
//!                                                            |       received pictures and sound
//!                                                            +-------------------------------------> Incoming
//! ```

mod addresses;
mod channels;
mod check_rate;
mod config;
mod connection;
mod detour;
mod engine;
mod event;
mod interfaces;
mod keyframe_requests;
mod meter;
mod outbox;
mod refusal;
mod relay_lead;
mod signal;
mod silence;
mod sound_in;
mod sound_out;
mod stats;
mod task;
mod turn_bridge;
mod turns;
mod uplink;
mod video_in;
mod video_out;
mod watchdog;

pub mod by_hand;
pub mod pair;
pub mod signaling;

/// Directives for a log filter: the engine says a lot at `WARN` that is usual for connections, such as candidates that
/// do not work; and at `ERROR` that a packet cannot leave on each interface, and that a relay may not send to a private
/// address. Programs put this before the user's own filter.
pub const LOG_DIRECTIVES: &str = "webrtc=error,rtc=error,rtc_ice=error,rtc_dtls=error,rtc_sctp=error,\
    rtc_srtp=error,rtc_stun=error,rtc_turn=error,rtc_interceptor=error,rtc_mdns=error,\
    webrtc::peer_connection::transport=off,webrtc::peer_connection::driver=off";

pub use config::{Bind, Call, Camera, CandidatePolicy, Config, IceServer, Initiative, Manners, Media, Sound};
pub use connection::{Connection, Events, Frames, Incoming, SendError, Sent, Sounds};
pub use event::{Channel, Event, Failure, LinkState};
pub use farwheel_proto::call::verify::Fingerprints;
pub use farwheel_proto::rate::Track;
pub use interfaces::{Interface, Medium, interface_towards, interfaces};
pub use signal::{Admission, Beside, ConnId, Signal, SignalKind};
pub use stats::{CandidateType, Link, RelayTransport, SelectedPair, SoundFigures, Stats};
