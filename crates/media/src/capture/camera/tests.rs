use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::capture::Spec;

const SIZE: Size = Size::new(160, 96);

fn config(spec: &str) -> Config {
    Config { spec: spec.parse::<Spec>().unwrap(), size: SIZE, fps: 100, overlay: Overlay::None }
}

/// Waits for a picture that a condition holds for.
fn picture(camera: &Camera, mut wanted: impl FnMut(&VideoFrame) -> bool) -> VideoFrame {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        match camera.frames().take_within(Duration::from_secs(1)) {
            Taken::Value(frame) if wanted(&frame) => return frame,
            Taken::Value(_) | Taken::TimedOut => {}
            Taken::Closed => panic!("the slot was closed"),
        }
    }
    panic!("no such picture came; the camera is {:?}", camera.status());
}

/// What a script makes a source do, one step a call.
#[derive(Clone)]
enum Step {
    OpenFails(Error),
    Opens,
    Frame(u8),
    Nothing,
    Fails(Error),
}

/// A source that plays a script and then delivers nothing.
struct Scripted {
    steps: std::vec::IntoIter<Step>,
    closed: Arc<AtomicUsize>,
}

impl Scripted {
    fn start(steps: Vec<Step>, overlay: Overlay) -> (Camera, Arc<AtomicUsize>) {
        let closed = Arc::new(AtomicUsize::new(0));
        let source = Self { steps: steps.into_iter(), closed: Arc::clone(&closed) };
        (Camera::start_source(&Config { overlay, ..config("sim") }, Box::new(source)), closed)
    }
}

impl Source for Scripted {
    fn open(&mut self) -> Result<(), Error> {
        match self.steps.next() {
            Some(Step::OpenFails(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn next_frame(&mut self, _wait: Duration) -> Result<Option<VideoFrame>, Error> {
        match self.steps.next() {
            Some(Step::Frame(luma)) => {
                let mut pool = Pool::new();
                let mut picture = pool.take(SIZE);
                picture.fill(luma, 128, 128);
                Ok(Some(picture.share(&mut pool, Instant::now())))
            }
            Some(Step::Fails(error)) => Err(error),
            _ => Ok(None),
        }
    }

    fn close(&mut self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

fn lost() -> Error {
    Error::Lost("the cable came loose".into())
}

#[test]
fn the_test_source_delivers_stamped_pictures() {
    let camera = Camera::start(&config("test")).expect("it is a source of this crate");
    let first = picture(&camera, |frame| strip::read(frame).is_some());
    let stamp = strip::read(&first);
    let second = picture(&camera, |frame| strip::read(frame).is_some_and(|next| Some(next) != stamp));
    assert!(second.captured_at > first.captured_at);
    assert!(matches!(camera.status().state, State::Live { size: SIZE, .. }));
    assert!(camera.status().frames >= 2);
}

#[test]
fn the_simulated_view_has_to_be_brought_along() {
    assert!(Camera::start(&config("sim")).is_none());
}

#[test]
fn a_missing_camera_shows_a_placeholder_and_says_why() {
    let camera = Camera::start(&config("usb:/dev/video4711")).expect("it is a source of this crate");
    let frame = picture(&camera, |_| true);
    assert_eq!(frame.size, SIZE);
    let second = picture(&camera, |next| next.data != frame.data);
    assert!(second.captured_at > frame.captured_at, "placeholders go on");
    let Status { state: State::Failed { error, .. }, frames: 0, failures, conversion: None } =
        camera.status()
    else {
        panic!("{:?}", camera.status());
    };
    assert!(failures >= 1);
    assert!(error.to_string().contains("no camera at /dev/video4711"), "{error}");
}

#[test]
fn a_dying_camera_is_opened_again() {
    use Step::{Fails, Frame, OpenFails, Opens};
    let steps = vec![Opens, Frame(1), Fails(lost()), OpenFails(Error::Busy("busy".into())), Opens, Frame(2)];
    let (camera, closed) = Scripted::start(steps, Overlay::None);
    picture(&camera, |frame| frame.y()[0] == 2);
    assert_eq!(closed.load(Ordering::SeqCst), 2, "closed after each failure");
    let status = camera.status();
    assert_eq!((status.frames, status.failures), (2, 2));
}

#[test]
fn a_silent_camera_is_not_shown_as_live() {
    let mut steps = vec![Step::Opens, Step::Frame(7)];
    steps.extend(vec![Step::Nothing; 3]);
    let (camera, _) = Scripted::start(steps, Overlay::None);
    // The picture, then at the latest after half a second a placeholder, which is no plain grey of 7.
    picture(&camera, |frame| frame.y()[0] != 7 && camera.status().state == State::Stalled);
}

#[test]
fn the_strip_is_drawn_over_a_copy() {
    let (camera, _) = Scripted::start(vec![Step::Opens, Step::Frame(7)], Overlay::Strip);
    let before = Stamp::now();
    let frame = picture(&camera, |frame| strip::read(frame).is_some());
    let age = before.age_at(strip::read(&frame).unwrap());
    assert!(age < Duration::from_secs(20));
    assert_eq!(frame.y().last(), Some(&7));
}

#[test]
fn dropping_a_camera_ends_its_thread_and_closes_slot_and_source() {
    let (camera, closed) = Scripted::start(vec![Step::Opens], Overlay::None);
    let frames = camera.frames().clone();
    drop(camera);
    assert!(frames.is_closed());
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}
