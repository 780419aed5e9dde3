//! What is said on the reliable channel: who we are, the lease, cameras, emergency stop.
//!
//! | lease | input | next |
//! |---|---|---|
//! | any | connected, driver | `Asking`: request |
//! | `Asking` | granted | `Mine` |
//! | `Asking` | denied | `Other`; asks again by itself once nobody drives |
//! | `Mine` | revoked: expired, gone | `Asking`: request |
//! | `Mine` | revoked: owner, handed over, released | `Free` or `Other`; the user asks again |
//! | any | holder changed to none, lease wanted | `Asking`: request |
//! | `Asking` | 2 s without an answer | `Asking`: request again |

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use farwheel_proto::control::event::{
    Body, Camera, Event, FaultChange, PeerEntry, Revocation, Role, Stamp, Welcome,
};
use farwheel_proto::control::{Fault, Refusal};

use crate::model::Notice;
use crate::model::drive::Lease;

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Driver or viewer.
    pub role: Role,
    /// Name to show.
    pub name: String,
    /// Proves the owner, who may take the lease from anyone.
    pub owner_code: Option<String>,
}

/// The app's side of the conversation with one robot.
#[derive(Debug)]
pub struct Dialogue {
    config: Config,
    wants_lease: bool,
    lease: Lease,
    epoch: u32,
    welcome: Option<Welcome>,
    cameras: Vec<Camera>,
    camera: Option<u8>,
    peers: Vec<PeerEntry>,
    next_id: u32,
    asking_since: Option<Instant>,
    stop: Stop,
    video_limit: Option<u32>,
    // Full: a robot answers long before; 32 unanswered requests are forgotten oldest first.
    asked: BTreeMap<u32, &'static str>,
    // Full: without a connection nothing leaves, and a new one begins anew; the oldest of 32 goes.
    outgoing: VecDeque<Event>,
    // Full: the oldest of 32 goes.
    notices: VecDeque<Notice>,
}

/// Whether the emergency stop was said beside the flag in the commands, on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Said,
}

impl Dialogue {
    /// Before the first connection.
    pub fn new(config: Config) -> Self {
        let wants_lease = config.role == Role::Driver;
        Self {
            config,
            wants_lease,
            lease: Lease::Unknown,
            epoch: 0,
            welcome: None,
            cameras: Vec::new(),
            camera: None,
            peers: Vec::new(),
            next_id: 0,
            asking_since: None,
            stop: Stop::No,
            video_limit: None,
            asked: BTreeMap::new(),
            outgoing: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// The lease as the window shows it.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// To be put in every command; zero without the lease.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What the robot is, once it said so.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// The robot's cameras and the one that is sent.
    pub fn cameras(&self) -> (&[Camera], Option<u8>) {
        (&self.cameras, self.camera)
    }

    /// How many others are there.
    pub fn others(&self) -> usize {
        self.peers.len().saturating_sub(1)
    }

    /// A connection to a robot stands: everything begins anew.
    pub fn handle_connected(&mut self) {
        self.outgoing.clear();
        self.asked.clear();
        self.epoch = 0;
        self.welcome = None;
        self.lease = Lease::Unknown;
        self.stop = Stop::No;
        let hello = Body::Hello {
            name: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            role: self.config.role,
            owner_code: self.config.owner_code.clone(),
        };
        self.ask(hello, HELLO);
        if self.wants_lease {
            self.ask_lease();
        }
    }

    /// The connection is gone; nothing of it counts any more.
    pub fn handle_disconnected(&mut self) {
        self.epoch = 0;
        self.lease = Lease::Unknown;
        self.outgoing.clear();
        self.asked.clear();
    }

    /// Takes what the robot said.
    pub fn handle_event(&mut self, event: Event) {
        let asked = event.re.and_then(|id| self.asked.remove(&id));
        match event.body {
            Body::Welcome(welcome) => {
                self.cameras = welcome.cameras.clone();
                self.camera = welcome.camera;
                if self.lease == Lease::Unknown {
                    self.lease = self.holder(welcome.holder.as_deref(), &welcome.you);
                }
                self.welcome = Some(*welcome);
            }
            Body::LeaseGranted { epoch, .. } => {
                if self.epoch != epoch {
                    self.notice(Notice::good("You have the wheel. Hold to arm."));
                }
                // A limit ends with the lease that it was said under.
                let is_new = self.epoch != epoch;
                self.epoch = epoch;
                self.lease = Lease::Mine;
                if is_new && self.video_limit.is_some() {
                    self.say_video_limit();
                }
            }
            Body::LeaseDenied { holder } => {
                let name = self.name_of(&holder);
                self.notice(Notice::warning(format!(
                    "{name} is driving. You can watch, and ask for the wheel."
                )));
                self.lease = Lease::Other { name };
            }
            Body::LeaseAsked { by } => {
                let name = self.name_of(&by);
                self.notice(Notice::warning(format!("{name} asks for the wheel.")));
            }
            Body::LeaseRevoked { why } => self.handle_revoked(why),
            Body::LeaseChanged { holder } => {
                let you = self.welcome.as_ref().map(|w| w.you.clone()).unwrap_or_default();
                // Said before or after the grant itself, which carries the epoch.
                let mine = !you.is_empty() && holder.as_deref() == Some(&you);
                // A request under way is answered by itself.
                let is_answered = holder.is_none() && self.lease == Lease::Asking;
                if !mine && !is_answered {
                    self.epoch = 0;
                    self.lease = self.holder(holder.as_deref(), &you);
                    if self.lease == Lease::Free && self.wants_lease {
                        self.ask_lease();
                    }
                }
            }
            Body::Fault { fault, change } => {
                let what = fault_in_words(fault);
                self.notice(match change {
                    FaultChange::Raised => Notice::bad(format!("The robot has a fault: {what}.")),
                    FaultChange::Cleared => Notice::good(format!("The robot's fault is gone: {what}.")),
                });
            }
            Body::Cameras { cameras, selected } => {
                self.cameras = cameras;
                self.camera = selected;
            }
            Body::Peers { peers } => self.peers = peers,
            Body::Chat { from, text } => self.notice(Notice::good(format!("{from}: {text}"))),
            Body::Done => tracing::debug!(asked, "done"),
            Body::Refused { reason, message } => self.handle_refused(asked, reason, &message),
            // The state is in telemetry 20 times a second.
            Body::StatusChanged { .. } => {}
            // Only a robot's peers say these.
            Body::Hello { .. }
            | Body::Arm(_)
            | Body::Disarm
            | Body::EmergencyStop
            | Body::ResetStop(_)
            | Body::LeaseRequest
            | Body::LeaseTake
            | Body::LeaseRelease
            | Body::LeaseHandOver { .. }
            | Body::SelectCamera { .. }
            | Body::LimitVideo { .. } => tracing::debug!("robot said what only its peers say"),
            // For whoever has the connections.
            Body::SecondPath { .. } => {}
        }
    }

    /// The user wants the wheel; the owner gets it whoever has it.
    pub fn take_lease(&mut self) {
        self.wants_lease = true;
        if self.config.owner_code.is_some() && matches!(self.lease, Lease::Other { .. }) {
            self.ask(Body::LeaseTake, TAKE);
            self.lease = Lease::Asking;
        } else if self.lease != Lease::Mine {
            self.ask_lease();
        }
    }

    /// The user gives the wheel back.
    pub fn release_lease(&mut self) {
        self.wants_lease = false;
        if self.lease == Lease::Mine {
            self.ask(Body::LeaseRelease, "give the wheel back");
        }
    }

    /// The user wants another camera.
    pub fn select_camera(&mut self, camera: u8) {
        self.ask(Body::SelectCamera { camera }, "another camera");
    }

    /// The user wants video to use no more than this, in kbit/s; said to each robot that is driven.
    pub fn limit_video(&mut self, kbps: Option<u32>) {
        if self.video_limit != kbps {
            self.video_limit = kbps;
            if self.lease == Lease::Mine {
                self.say_video_limit();
            }
        }
    }

    /// A second connection is offered, with this certificate; the robot takes no other for this driver's.
    pub fn announce_second_path(&mut self, fingerprint: String) {
        self.say(Event::notice(Body::SecondPath { fingerprint }));
    }

    fn say_video_limit(&mut self) {
        self.ask(Body::LimitVideo { kbps: self.video_limit }, "economy mode");
    }

    /// Emergency stop, beside the flag in every command; each push is said, as the robot may have been reset since.
    pub fn emergency_stop(&mut self) {
        self.stop = Stop::Said;
        self.ask(Body::EmergencyStop, "emergency stop");
    }

    /// Takes whether the commands carry the stop flag: a stop that this robot was not told of is said.
    pub fn handle_stop_flag(&mut self, is_set: bool) {
        match (self.stop, is_set) {
            (Stop::No, true) => self.emergency_stop(),
            (Stop::Said, false) => self.stop = Stop::No,
            (Stop::No, false) | (Stop::Said, true) => {}
        }
    }

    /// Asks again for a lease when no answer comes.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.lease != Lease::Asking {
            self.asking_since = None;
        } else if now.saturating_duration_since(*self.asking_since.get_or_insert(now)) >= ASK_AGAIN {
            self.asking_since = Some(now);
            self.ask(Body::LeaseRequest, WHEEL);
        }
    }

    /// End of the emergency stop; the commands carry no stop flag any more.
    pub fn reset_stop(&mut self, stamp: Stamp) {
        self.ask(Body::ResetStop(stamp), "end the emergency stop");
    }

    /// Disarm, beside the flag in every command.
    pub fn disarm(&mut self) {
        self.ask(Body::Disarm, "disarm");
    }

    /// The next thing to say.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outgoing.pop_front()
    }

    /// The next thing to show.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn handle_revoked(&mut self, why: Revocation) {
        self.epoch = 0;
        self.lease = Lease::Free;
        let (text, asks_again) = match why {
            Revocation::Expired => {
                ("The wheel was given up: no command reached the robot for too long.", true)
            }
            Revocation::Gone => ("The wheel was given up: the connection was gone.", true),
            Revocation::Owner => ("The owner has taken the wheel.", false),
            Revocation::HandedOver => ("You have handed the wheel over.", false),
            Revocation::Released => ("You have given the wheel back.", false),
        };
        self.notice(Notice::warning(text));
        self.wants_lease &= asks_again;
        if self.wants_lease {
            self.ask_lease();
        }
    }

    fn handle_refused(&mut self, asked: Option<&'static str>, reason: Refusal, message: &str) {
        let message = if message.is_empty() { reason.to_string() } else { message.to_owned() };
        let what = asked.unwrap_or("a request");
        self.notice(Notice::warning(format!(
            "The robot refused ({what}): {}.",
            message.trim_end_matches('.')
        )));
        if self.lease == Lease::Asking && matches!(asked, Some(HELLO | WHEEL | TAKE)) {
            // The user may ask again.
            self.lease = Lease::Free;
        }
    }

    fn holder(&self, holder: Option<&str>, you: &str) -> Lease {
        match holder {
            None => Lease::Free,
            // Ours without an epoch is one of a connection that has ended.
            Some(holder) if holder == you => Lease::Free,
            Some(holder) => Lease::Other { name: self.name_of(holder) },
        }
    }

    fn name_of(&self, peer: &str) -> String {
        let known = self.peers.iter().find(|entry| entry.peer == peer).map(|entry| entry.name.as_str());
        known.filter(|name| !name.is_empty()).unwrap_or(peer).to_owned()
    }

    fn ask_lease(&mut self) {
        if self.lease != Lease::Asking {
            self.lease = Lease::Asking;
            self.ask(Body::LeaseRequest, WHEEL);
        }
    }

    fn ask(&mut self, body: Body, what: &'static str) {
        self.next_id = self.next_id.wrapping_add(1);
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_first();
        }
        self.asked.insert(self.next_id, what);
        self.say(Event::request(self.next_id, body));
    }

    fn say(&mut self, event: Event) {
        if self.outgoing.len() >= ASKED_MAX {
            self.outgoing.pop_front();
        }
        self.outgoing.push_back(event);
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() >= ASKED_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}

/// A fault in words.
pub fn fault_in_words(fault: Fault) -> &'static str {
    match fault {
        Fault::ActuatorSilent => "the process that drives the motor does not answer",
        Fault::ActuatorStarting => "the process that drives the motor is starting",
        Fault::Output => "the motor's outputs cannot be written",
        Fault::EventsLost => "messages came faster than they could be taken",
    }
}

/// Requests in the words that a refusal of them is shown with.
const HELLO: &str = "hello";
const WHEEL: &str = "the wheel";
const TAKE: &str = "take the wheel";
/// Requests and notices remembered.
const ASKED_MAX: usize = 32;
/// Longer than any round trip on which one may drive.
const ASK_AGAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn driver() -> Dialogue {
        let mut dialogue = Dialogue::new(Config { role: Role::Driver, name: "Ada".into(), owner_code: None });
        dialogue.handle_connected();
        dialogue
    }

    fn said(dialogue: &mut Dialogue) -> Vec<Body> {
        std::iter::from_fn(|| dialogue.poll_event()).map(|event| event.body).collect()
    }

    fn hears(dialogue: &mut Dialogue, body: Body) -> Vec<Body> {
        dialogue.handle_event(Event::notice(body));
        said(dialogue)
    }

    #[test]
    fn a_driver_says_hello_and_asks_for_the_wheel() {
        let mut dialogue = driver();
        let bodies = said(&mut dialogue);
        assert!(
            matches!(&bodies[..], [Body::Hello { role: Role::Driver, .. }, Body::LeaseRequest]),
            "{bodies:?}"
        );
        assert_eq!(*dialogue.lease(), Lease::Asking);
        hears(&mut dialogue, Body::LeaseGranted { epoch: 7, lasts_ms: 5000 });
        assert_eq!((dialogue.lease(), dialogue.epoch()), (&Lease::Mine, 7));
    }

    #[test]
    fn a_viewer_only_says_hello() {
        let mut dialogue =
            Dialogue::new(Config { role: Role::Viewer, name: String::new(), owner_code: None });
        dialogue.handle_connected();
        assert_eq!(said(&mut dialogue).len(), 1);
    }

    #[test]
    fn a_denied_driver_asks_again_once_nobody_drives() {
        let mut dialogue = driver();
        said(&mut dialogue);
        assert_eq!(hears(&mut dialogue, Body::LeaseDenied { holder: "p2".into() }), []);
        assert_eq!(*dialogue.lease(), Lease::Other { name: "p2".into() });
        assert_eq!(hears(&mut dialogue, Body::LeaseChanged { holder: Some("p3".into()) }), []);
        assert_eq!(hears(&mut dialogue, Body::LeaseChanged { holder: None }), [Body::LeaseRequest]);
    }

    #[test]
    fn a_lost_lease_is_asked_for_again_only_if_nobody_took_it() {
        for (why, want) in [
            (Revocation::Expired, vec![Body::LeaseRequest]),
            (Revocation::Gone, vec![Body::LeaseRequest]),
            (Revocation::Owner, vec![]),
            (Revocation::HandedOver, vec![]),
            (Revocation::Released, vec![]),
        ] {
            let mut dialogue = driver();
            said(&mut dialogue);
            hears(&mut dialogue, Body::LeaseGranted { epoch: 7, lasts_ms: 5000 });
            assert_eq!(hears(&mut dialogue, Body::LeaseRevoked { why }), want, "{why:?}");
            assert_eq!(dialogue.epoch(), 0, "{why:?}");
        }
    }

    #[test]
    fn a_new_connection_forgets_the_old_lease() {
        let mut dialogue = driver();
        hears(&mut dialogue, Body::LeaseGranted { epoch: 7, lasts_ms: 5000 });
        dialogue.handle_disconnected();
        assert_eq!((dialogue.lease(), dialogue.epoch()), (&Lease::Unknown, 0));
        dialogue.handle_connected();
        assert_eq!(said(&mut dialogue).len(), 2);
    }

    #[test]
    fn a_given_back_wheel_is_not_asked_for_again() {
        let mut dialogue = driver();
        hears(&mut dialogue, Body::LeaseGranted { epoch: 7, lasts_ms: 5000 });
        dialogue.release_lease();
        assert_eq!(said(&mut dialogue), [Body::LeaseRelease]);
        assert_eq!(hears(&mut dialogue, Body::LeaseRevoked { why: Revocation::Released }), []);
        assert_eq!(hears(&mut dialogue, Body::LeaseChanged { holder: None }), []);
        dialogue.take_lease();
        assert_eq!(said(&mut dialogue), [Body::LeaseRequest]);
    }

    #[test]
    fn the_owner_takes_the_wheel_from_another_driver() {
        let config = Config { role: Role::Driver, name: "Ada".into(), owner_code: Some("code".into()) };
        let mut dialogue = Dialogue::new(config);
        dialogue.handle_connected();
        said(&mut dialogue);
        hears(&mut dialogue, Body::LeaseDenied { holder: "p2".into() });
        dialogue.take_lease();
        assert_eq!(said(&mut dialogue), [Body::LeaseTake]);
    }

    #[test]
    fn every_push_of_the_stop_is_said_and_a_held_one_again_on_a_new_connection() {
        let mut dialogue = driver();
        said(&mut dialogue);
        for _ in 0..2 {
            dialogue.emergency_stop();
            dialogue.handle_stop_flag(true);
            dialogue.handle_stop_flag(true);
            assert_eq!(said(&mut dialogue), [Body::EmergencyStop], "once for each push");
        }
        dialogue.handle_disconnected();
        dialogue.handle_connected();
        said(&mut dialogue);
        dialogue.handle_stop_flag(true);
        assert_eq!(said(&mut dialogue), [Body::EmergencyStop], "this robot was not told yet");
        dialogue.handle_stop_flag(false);
        dialogue.handle_stop_flag(true);
        assert_eq!(said(&mut dialogue), [Body::EmergencyStop], "by a key, after a reset");
    }

    #[test]
    fn a_lost_answer_about_the_wheel_is_asked_for_again() {
        let start = Instant::now();
        let mut dialogue = driver();
        said(&mut dialogue);
        let mut asked = Vec::new();
        for ms in (0..5000).step_by(100) {
            dialogue.handle_timeout(start + Duration::from_millis(ms));
            asked.extend(said(&mut dialogue).into_iter().map(|body| (ms, body)));
        }
        assert_eq!(asked, [(2000, Body::LeaseRequest), (4000, Body::LeaseRequest)]);
        hears(&mut dialogue, Body::LeaseGranted { epoch: 7, lasts_ms: 5000 });
        dialogue.handle_timeout(start + Duration::from_secs(9));
        assert_eq!(said(&mut dialogue), []);
    }

    #[test]
    fn what_is_said_without_a_connection_is_bounded() {
        let mut dialogue = driver();
        dialogue.handle_disconnected();
        for _ in 0..1000 {
            dialogue.select_camera(1);
        }
        assert_eq!(said(&mut dialogue).len(), ASKED_MAX);
    }

    #[test]
    fn a_limit_is_said_when_it_changes_and_under_each_new_lease() {
        let limits = |dialogue: &mut Dialogue| -> Vec<Option<u32>> {
            let limit = |event: Event| match event.body {
                Body::LimitVideo { kbps } => Some(kbps),
                _ => None,
            };
            std::iter::from_fn(|| dialogue.poll_event()).filter_map(limit).collect()
        };
        let mut dialogue = driver();
        dialogue.limit_video(Some(600));
        assert_eq!(limits(&mut dialogue), [], "nothing is driven yet");
        let granted = |epoch| Event::notice(Body::LeaseGranted { epoch, lasts_ms: 3000 });
        dialogue.handle_event(granted(5));
        assert_eq!(limits(&mut dialogue), [Some(600)]);
        dialogue.handle_event(granted(5));
        dialogue.limit_video(Some(600));
        assert_eq!(limits(&mut dialogue), [], "it is known");
        dialogue.handle_event(granted(6));
        assert_eq!(limits(&mut dialogue), [Some(600)]);
        dialogue.limit_video(None);
        assert_eq!(limits(&mut dialogue), [None]);
        dialogue.handle_event(granted(7));
        assert_eq!(limits(&mut dialogue), [], "no limit needs no word");
    }

    #[test]
    fn a_refusal_names_what_was_asked() {
        let mut dialogue = driver();
        said(&mut dialogue);
        dialogue.select_camera(3);
        let id = dialogue.poll_event().and_then(|event| event.id);
        let body = Body::Refused { reason: Refusal::Role, message: String::new() };
        dialogue.handle_event(Event { id: None, re: id, body });
        let notice = dialogue.poll_notice().expect("it is shown");
        assert_eq!(notice.text, "The robot refused (another camera): this role is not allowed to.");
    }
}
