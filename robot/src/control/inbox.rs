//! What the network hands to the control thread: state in slots, events in a queue.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use farwheel_proto::control::DriveCommand;
use farwheel_proto::control::event::Camera;
use farwheel_proto::video::{Bitrate, CarTime};

use super::copies::{Copies, Copy};

/// A peer and the connection it is heard on, `{peer}.{conn}`; cheap to clone.
pub type PeerId = Arc<str>;

/// A datagram of the channel `control`, decoded once at the border.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who sent it.
    pub peer: PeerId,
    /// The datagram as it came.
    pub datagram: [u8; DriveCommand::LEN],
    /// What it says.
    pub command: DriveCommand,
    /// When it arrived.
    pub arrived: Instant,
    /// By which of the sender's connections.
    pub path: Path,
}

/// The ways that one peer's commands come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The connection that also carries the video and the events.
    Main,
    /// The one beside it.
    Beside,
}

impl Command {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is no command.
    pub fn read(
        peer: &PeerId,
        path: Path,
        bytes: &[u8],
        arrived: Instant,
    ) -> Result<Self, farwheel_proto::control::DatagramError> {
        let command = DriveCommand::decode(bytes)?;
        let mut datagram = [0; DriveCommand::LEN];
        // A later version may append fields; what is known is at the front.
        datagram.copy_from_slice(&bytes[..DriveCommand::LEN]);
        Ok(Self { peer: Arc::clone(peer), datagram, command, arrived, path })
    }
}

/// Everything that has come since the last look.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// The driver's newest command.
    pub command: Option<Command>,
    /// Messages of the channel `event`, oldest first.
    pub events: VecDeque<(PeerId, Bytes)>,
    /// Peers whose connection ended.
    pub gone: Vec<PeerId>,
    /// Capture times of the pictures sent.
    pub pictures: VecDeque<CarTime>,
    /// What cameras there are and which one is sent, if that changed.
    pub cameras: Option<(Vec<Camera>, Option<u8>)>,
    /// The driver's events came faster than they could be taken.
    pub lost: Lost,
    /// The car shall stop for good.
    pub end: End,
}

/// Whether events of the driver were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// None.
    #[default]
    Nothing,
    /// At least one.
    Events,
}

/// Whether the control thread shall end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    #[default]
    No,
    /// It brings the car to neutral and ends.
    Asked,
}

/// The control thread's inbox. The lock guards moves of a few words; nobody holds it over work.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    arrivals: Arrivals,
    wake: bool,
    driver: Option<PeerId>,
    /// Of the driver's lease.
    epoch: u32,
    copies: Copies,
    video_limit: Option<Bitrate>,
}

impl Inbox {
    /// Puts a command. One of another peer than the driver, or of another lease than the one in force, is dropped: it does
    /// not count, and would only hide one that does. An older one than that in the slot is dropped as well, and so is the copy of one that came by the other path.
    pub fn put_command(&self, command: Command) {
        let mut state = self.lock();
        if state.driver.as_ref() != Some(&command.peer) || state.epoch != command.command.lease {
            return;
        }
        if state.copies.handle(command.command.lease, command.command.sequence) == Copy::Again {
            return;
        }
        if let Some(waiting) = &state.arrivals.command {
            let (old, new) = (&waiting.command, &command.command);
            if new.sequence.wrapping_sub(old.sequence) as i32 <= 0 {
                return;
            }
        }
        state.arrivals.command = Some(command);
        self.wake(state);
    }

    /// Puts an event.
    ///
    /// Each peer has room of its own, so that none can shut out another's stop; there are at most as many as
    /// connections. Full: the driver's is lost, which is a fault and disarms; another's is dropped, as it would be
    /// for its rate.
    pub fn put_event(&self, peer: &PeerId, message: Bytes) {
        let mut state = self.lock();
        let drives = state.driver.as_ref() == Some(peer);
        let room = if drives { EVENTS_MAX } else { EVENTS_MAX / 2 };
        if state.arrivals.events.iter().filter(|(from, _)| from == peer).count() < room {
            state.arrivals.events.push_back((Arc::clone(peer), message));
        } else if drives {
            state.arrivals.lost = Lost::Events;
        } else {
            tracing::debug!(%peer, "event dropped: too many at once");
        }
        // Others are heard at the next tick: they do not set the pace of the control thread.
        if drives {
            self.wake(state);
        }
    }

    /// Notes that a peer's connection ended; there are at most as many as connections.
    pub fn put_gone(&self, peer: &PeerId) {
        let mut state = self.lock();
        state.arrivals.gone.push(Arc::clone(peer));
        self.wake(state);
    }

    /// Notes that a picture was sent. Full: the oldest goes; the thread looks in a hundred times a second.
    pub fn put_picture(&self, captured: CarTime) {
        let mut state = self.lock();
        let pictures = &mut state.arrivals.pictures;
        if pictures.len() == PICTURES_MAX {
            pictures.pop_front();
        }
        pictures.push_back(captured);
    }

    /// Notes what cameras there are and which one is sent.
    pub fn put_cameras(&self, cameras: Vec<Camera>, selected: Option<u8>) {
        let mut state = self.lock();
        state.arrivals.cameras = Some((cameras, selected));
        self.wake(state);
    }

    /// Asks the control thread to stop the car and end.
    pub fn end(&self) {
        let mut state = self.lock();
        state.arrivals.end = End::Asked;
        self.wake(state);
    }

    /// Says whose commands count, and under the lease with which epoch; the control thread does so whenever that changes.
    pub fn set_driver(&self, driver: Option<&str>, epoch: u32) {
        let mut state = self.lock();
        if state.driver.as_deref() != driver {
            state.driver = driver.map(Arc::from);
        }
        if state.epoch != epoch {
            state.epoch = epoch;
            state.arrivals.command = None;
        }
    }

    /// Says how much the driver lets video use; the control thread does so whenever that changes.
    pub fn set_video_limit(&self, limit: Option<Bitrate>) {
        self.lock().video_limit = limit;
    }

    /// The most that video may use for the driver; none: as much as the robot is set up for.
    pub fn video_limit(&self) -> Option<Bitrate> {
        self.lock().video_limit
    }

    /// Whose commands count.
    pub fn driver(&self) -> Option<PeerId> {
        self.lock().driver.clone()
    }

    /// Waits until something urgent comes, at most until `deadline`, and takes all that is there into `arrivals`,
    /// which must be empty; its buffers are used again.
    pub fn take_until(&self, deadline: Instant, arrivals: &mut Arrivals) {
        let mut state = self.lock();
        while !state.wake {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wake = false;
        std::mem::swap(&mut state.arrivals, arrivals);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.wake = true;
        drop(state);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends the process; in tests a poisoned lock still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events of the driver waiting at once (of others, half of that): as many as a person can cause within a tick, and some more.
const EVENTS_MAX: usize = 16;
/// Ten ticks' worth at 120 pictures a second, rounded up.
const PICTURES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farwheel_proto::control::command::Controls;

    use super::*;

    fn command(peer: &str, lease: u32, sequence: u32) -> Command {
        let command = DriveCommand {
            lease,
            sequence,
            echo: None,
            displayed: None,
            controls: Controls::default(),
            earlier: [None, None],
        };
        Command::read(&Arc::from(peer), Path::Main, &command.encode(), Instant::now()).unwrap()
    }

    fn check((driver, epoch): (&str, u32), commands: &[(&str, u32, u32)], want: Option<(u32, u32)>) {
        let inbox = Inbox::default();
        inbox.set_driver(Some(driver), epoch);
        for (peer, lease, sequence) in commands {
            inbox.put_command(command(peer, *lease, *sequence));
        }
        let mut arrivals = Arrivals::default();
        inbox.take_until(Instant::now(), &mut arrivals);
        let got = arrivals.command.map(|c| (c.command.lease, c.command.sequence));
        assert_eq!(got, want, "{commands:?}");
    }

    #[test]
    fn newest_command_of_the_driver_wins() {
        let driver = ("a", 1);
        check(driver, &[("a", 1, 5), ("a", 1, 6)], Some((1, 6)));
        check(driver, &[("a", 1, 6), ("a", 1, 5)], Some((1, 6)));
        check(driver, &[("a", 1, u32::MAX), ("a", 1, 0)], Some((1, 0)));
        check(driver, &[("a", 1, 6), ("b", 1, 7)], Some((1, 6)));
        check(driver, &[("b", 1, 7)], None);
    }

    #[test]
    fn a_late_command_of_an_earlier_lease_hides_none_of_the_lease_in_force() {
        let driver = ("a", 2);
        check(driver, &[("a", 2, 1), ("a", 1, 7)], Some((2, 1)));
        check(driver, &[("a", 1, 6), ("a", 2, 1), ("a", 1, 7), ("a", 2, 2), ("a", 3, 9)], Some((2, 2)));
        check(driver, &[("a", 1, 6), ("a", 0, 7)], None);
        let inbox = Inbox::default();
        inbox.set_driver(Some("a"), 2);
        let mut taken = Vec::new();
        // By two paths, with what was still on its way when the lease was granted anew.
        for (lease, sequence) in [(2, 5), (1, 90), (2, 5), (2, 6), (1, 91), (2, 6), (2, 5), (1, 92), (2, 7)] {
            inbox.put_command(command("a", lease, sequence));
            let mut arrivals = Arrivals::default();
            inbox.take_until(Instant::now(), &mut arrivals);
            taken.extend(arrivals.command.map(|command| (command.command.lease, command.command.sequence)));
        }
        assert_eq!(taken, [(2, 5), (2, 6), (2, 7)], "each once");
        // One that waits while the lease changes is of no use either.
        inbox.put_command(command("a", 2, 8));
        inbox.set_driver(Some("a"), 3);
        inbox.put_command(command("a", 2, 9));
        let mut arrivals = Arrivals::default();
        inbox.take_until(Instant::now(), &mut arrivals);
        assert!(arrivals.command.is_none());
    }

    #[test]
    fn a_copy_that_comes_later_by_the_other_path_does_not_wake_the_control_thread() {
        let inbox = Inbox::default();
        inbox.set_driver(Some("a"), 1);
        let mut taken = Vec::new();
        for sequence in [5, 5, 6, 5, 4, 6, 4, 7, 7] {
            inbox.put_command(command("a", 1, sequence));
            let mut arrivals = Arrivals::default();
            inbox.take_until(Instant::now(), &mut arrivals);
            taken.extend(arrivals.command.map(|command| command.command.sequence));
        }
        // One that was overtaken still gets there: its stop flag counts at any age.
        assert_eq!(taken, [5, 6, 4, 7]);
    }

    #[test]
    fn full_queue_is_a_fault_for_the_driver_alone() {
        let inbox = Inbox::default();
        let (driver, viewer): (PeerId, PeerId) = (Arc::from("d"), Arc::from("v"));
        inbox.set_driver(Some("d"), 1);
        let mut arrivals = Arrivals::default();
        for _ in 0..100 {
            inbox.put_event(&viewer, Bytes::from_static(b"{}"));
        }
        for _ in 0..EVENTS_MAX / 2 {
            inbox.put_event(&driver, Bytes::from_static(b"{}"));
        }
        inbox.take_until(Instant::now(), &mut arrivals);
        assert_eq!((arrivals.events.len(), arrivals.lost), (EVENTS_MAX, Lost::Nothing));
        let mut arrivals = Arrivals::default();
        for _ in 0..EVENTS_MAX {
            inbox.put_event(&driver, Bytes::from_static(b"{}"));
        }
        inbox.take_until(Instant::now(), &mut arrivals);
        assert_eq!((arrivals.events.len(), arrivals.lost), (EVENTS_MAX, Lost::Nothing));
        let mut arrivals = Arrivals::default();
        for _ in 0..=EVENTS_MAX {
            inbox.put_event(&driver, Bytes::from_static(b"{}"));
        }
        inbox.take_until(Instant::now(), &mut arrivals);
        assert_eq!((arrivals.events.len(), arrivals.lost), (EVENTS_MAX, Lost::Events));
    }

    #[test]
    fn a_flood_of_one_peer_does_not_shut_out_the_stop_of_another() {
        let inbox = Inbox::default();
        let (owner, viewer): (PeerId, PeerId) = (Arc::from("o"), Arc::from("v"));
        inbox.set_driver(Some("d"), 1);
        for _ in 0..100 {
            inbox.put_event(&viewer, Bytes::from_static(b"{}"));
        }
        inbox.put_event(&owner, Bytes::from_static(b"stop"));
        let mut arrivals = Arrivals::default();
        inbox.take_until(Instant::now(), &mut arrivals);
        assert_eq!(arrivals.events.len(), EVENTS_MAX / 2 + 1, "the flood is bounded");
        assert!(arrivals.events.iter().any(|(from, _)| *from == owner));
    }

    #[test]
    fn only_the_driver_sets_the_pace_of_the_control_thread() {
        let inbox = Inbox::default();
        inbox.set_driver(Some("d"), 1);
        let mut arrivals = Arrivals::default();
        let soon = || Instant::now() + Duration::from_millis(20);
        let far = Instant::now() + Duration::from_secs(60);
        inbox.put_event(&Arc::from("v"), Bytes::from_static(b"{}"));
        let until = soon();
        inbox.take_until(until, &mut arrivals);
        assert!(Instant::now() >= until && arrivals.events.len() == 1, "a viewer's event waits for the tick");
        inbox.put_event(&Arc::from("d"), Bytes::from_static(b"{}"));
        let mut arrivals = Arrivals::default();
        inbox.take_until(far, &mut arrivals);
        assert!(Instant::now() < far && arrivals.events.len() == 1);
    }

    #[test]
    fn command_wakes_the_waiting_thread_and_a_picture_does_not() {
        let inbox = Inbox::default();
        inbox.set_driver(Some("a"), 1);
        let far = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut arrivals = Arrivals::default();
                inbox.take_until(far, &mut arrivals);
                arrivals
            });
            inbox.put_picture(CarTime(1));
            inbox.put_command(command("a", 1, 1));
            let arrivals = waiting.join().unwrap();
            assert_eq!((arrivals.command.is_some(), arrivals.pictures.len()), (true, 1));
        });
    }
}
