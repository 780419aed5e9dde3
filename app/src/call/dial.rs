//! A call to somebody else's line, until it is taken or over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_media::audio::Tone;
use farwheel_peer::signaling::{self, Client, PeerId, Place, Role};
use farwheel_proto::call::ring::{Address, Dial, Message, Outcome, Progress};
use farwheel_proto::call::verify::identity::Identity;
use tokio::sync::oneshot;

use super::line::{sleep_until, unknown};
use super::{Devices, Wake, identity, lock};
use crate::model::connect::{Field, Problem};
use crate::session::{Runtime, problem};

/// Where to ring, and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// The line.
    pub address: Address,
    /// Address of the server.
    pub server: String,
    /// The name that the other one sees.
    pub name: String,
    /// Token for the server.
    pub token: Option<String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Where this device's identity is kept; none: one for this call alone.
    pub home: Option<PathBuf>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// As the core has it.
    pub progress: Progress,
    /// Who is there, as the server calls it.
    pub name: Option<String>,
    /// The server is not reached and sought again, or it refused.
    pub problem: Option<Problem>,
}

/// A call under way; dropping it hangs up.
#[derive(Debug)]
pub struct Dialing {
    shared: Arc<Shared>,
    runtime: Runtime,
    devices: Arc<Devices>,
    // Dropped: hang up.
    hold: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

struct Shared {
    status: Mutex<Status>,
    wake: Mutex<Option<Wake>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Dialing {
    /// Rings there; the devices' speaker tells that it does.
    pub fn start(runtime: Runtime, config: Config, devices: Arc<Devices>) -> Self {
        let status = Status { progress: Progress::Reaching, name: None, problem: None };
        let shared = Arc::new(Shared { status: Mutex::new(status), wake: Mutex::default() });
        let (hold, released) = oneshot::channel();
        let mut dialing = Self { shared, runtime, devices, hold: Some(hold), task: None };
        let identity = match own(config.home.as_deref()) {
            Ok(identity) => identity,
            Err(error) => {
                lock(&dialing.shared.status).problem = Some(unknown(&error));
                return dialing;
            }
        };
        let signaling = signaling::Config {
            server: config.server,
            place: Place::room(config.address.room(), Role::Caller),
            name: config.name.clone(),
            token: config.token,
            ca: config.ca,
        };
        if let Err(error) = signaling.check() {
            lock(&dialing.shared.status).problem = Some(problem::unusable(&error));
            return dialing;
        }
        let dial = Dial::new(config.address, identity, &config.name, rand::random());
        let run = run(signaling, dial, Arc::clone(&dialing.shared), Arc::clone(&dialing.devices), released);
        dialing.task = Some(dialing.runtime.spawn(run));
        dialing
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        lock(&self.shared.status).clone()
    }

    /// Whether nothing more comes of it, other than [`Progress::Over`].
    pub fn is_refused(&self) -> bool {
        self.task.as_ref().is_none_or(tokio::task::JoinHandle::is_finished)
    }

    /// Sets what is called when something changes.
    pub fn on_change(&self, wake: Wake) {
        *lock(&self.shared.wake) = Some(wake);
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        self.hold = None;
        if let Some(mut task) = self.task.take() {
            self.runtime.block_on(async {
                if tokio::time::timeout(HANG_UP_MAX, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
        self.devices.set_tone(None);
    }
}

fn own(home: Option<&Path>) -> anyhow::Result<Identity> {
    match home {
        Some(home) => identity::load_or_create(home),
        None => Ok(Identity::from_seed(&rand::random())),
    }
}

async fn run(
    signaling: signaling::Config,
    mut dial: Dial,
    shared: Arc<Shared>,
    devices: Arc<Devices>,
    mut released: oneshot::Receiver<()>,
) {
    let server = signaling.server.clone();
    let (client, mut signals) = Client::connect(signaling);
    let mut names: Vec<(PeerId, Option<String>)> = Vec::new();
    while !matches!(dial.progress(), Progress::Over(_)) {
        let due = dial.poll_timeout();
        let mut problem = lock(&shared.status).problem.clone();
        let mut is_refused = false;
        tokio::select! {
            event = signals.recv() => {
                let now = Instant::now();
                match event {
                    Some(signaling::Event::Joined { peers, .. }) => {
                        problem = None;
                        names = peers.into_iter().map(|peer| (peer.id, peer.name)).collect();
                        dial.handle_joined(now);
                    }
                    Some(signaling::Event::Resumed) => problem = None,
                    Some(signaling::Event::PeerJoined(peer)) => {
                        // Full: a room of the server holds fewer.
                        if names.len() < NAMES_MAX {
                            names.push((peer.id, peer.name));
                        }
                    }
                    Some(signaling::Event::PeerLeft { id, .. }) => {
                        names.retain(|(known, _)| *known != id);
                        dial.handle_peer_left(id, now);
                    }
                    Some(signaling::Event::Data { from, data }) => match serde_json::from_value::<Message>(data) {
                        Ok(message) => dial.handle_message(from, &message, now),
                        Err(error) => tracing::debug!(%error, "data not understood"),
                    },
                    Some(signaling::Event::Lost { reason, .. }) => {
                        problem = Some(problem::unreachable(&server, &reason));
                    }
                    Some(signaling::Event::Fatal(refusal)) => {
                        problem = Some(problem::refused(&refusal, "of this line"));
                        is_refused = true;
                    }
                    Some(signaling::Event::Denied | signaling::Event::Waiting) => {
                        problem = Some(problem::denied("of this line"));
                        is_refused = true;
                    }
                    Some(_) => {}
                    None => is_refused = true,
                }
            }
            () = sleep_until(due) => dial.handle_timeout(Instant::now()),
            _ = &mut released => break,
        }
        while let Some((to, message)) = dial.poll_message() {
            let data = serde_json::to_value(&message).expect("a message has string keys only");
            if let Err(error) = client.send_data(Some(to), data) {
                // It is given up after its time.
                tracing::warn!(%error, "not rung");
            }
        }
        tell(&dial, problem, &names, &shared, &devices);
        if is_refused {
            break;
        }
    }
    client.leave();
    while signals.recv().await.is_some() {}
}

fn tell(
    dial: &Dial,
    problem: Option<Problem>,
    names: &[(PeerId, Option<String>)],
    shared: &Shared,
    devices: &Devices,
) {
    let progress = dial.progress();
    let found = names.iter().find(|(id, _)| Some(*id) == dial.line()).and_then(|(_, name)| name.clone());
    let is_news = {
        let mut status = lock(&shared.status);
        // Who declines has a name too.
        let name = found.or_else(|| status.name.clone());
        let status_now = Status { progress: progress.clone(), name, problem };
        let before = std::mem::replace(&mut *status, status_now.clone());
        if (before.progress == Progress::Ringing) != (progress == Progress::Ringing) {
            devices.set_tone((progress == Progress::Ringing).then_some(Tone::Ringback));
        }
        before != status_now
    };
    if is_news {
        let wake = lock(&shared.wake).clone();
        if let Some(wake) = wake {
            wake();
        }
    }
}

/// What it means to the user that the call was not taken; none: it was.
pub fn failure(outcome: &Outcome, name: Option<&str>) -> Option<Problem> {
    let who = name.unwrap_or("Whoever this line belongs to");
    let (what, remedy, code) = match outcome {
        Outcome::Accepted(_) => return None,
        Outcome::Declined => {
            (format!("{who} has declined the call."), "Try again later, or write.", "declined")
        }
        Outcome::Busy => (
            format!("{who} is busy with another call."),
            "They see that you have called. Try again later.",
            "busy",
        ),
        Outcome::Unanswered => (
            format!("{who} does not answer."),
            "They see that you have called. Try again later.",
            "no_answer",
        ),
        Outcome::Absent => (
            "Nobody can be rung there now.".to_owned(),
            "Their app is closed, or at another server. Ask them to open it, or for a link to a room.",
            "absent",
        ),
    };
    Some(Problem { what, remedy: remedy.into(), code: Some(code.into()), field: Field::Form })
}

const NAMES_MAX: usize = 16;
/// Time to tell the server.
const HANG_UP_MAX: Duration = Duration::from_millis(400);
