//! Against a real X server without a screen (Xvfb), with pictures that the test draws.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use farwheel_proto::video::Size;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, PropMode, StackMode, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::*;
use crate::capture::Spec;
use crate::capture::pace::STILL_EVERY;

/// A desktop of 640x480 of its own.
struct Desktop {
    server: Child,
    display: String,
    client: RustConnection,
    root: Window,
}

impl Desktop {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb (package xvfb)");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("is piped")).read_line(&mut line).expect("its number");
        let display = format!(":{}", line.trim());
        let (client, screen) = RustConnection::connect(Some(&display)).expect("a server");
        let root = client.setup().roots[screen].root;
        Self { server, display, client, root }
    }

    /// A window of one colour, `0xRRGGBB`.
    fn window(&self, (x, y): (i16, i16), (width, height): (u16, u16), colour: u32, title: &str) -> Window {
        let window = self.client.generate_id().expect("an id");
        let values = CreateWindowAux::new().background_pixel(colour);
        let class = WindowClass::INPUT_OUTPUT;
        self.client
            .create_window(
                x11rb::COPY_DEPTH_FROM_PARENT,
                window,
                self.root,
                x,
                y,
                width,
                height,
                0,
                class,
                0,
                &values,
            )
            .and_then(|_| {
                let bytes = title.as_bytes();
                self.client.change_property8(
                    PropMode::REPLACE,
                    window,
                    AtomEnum::WM_NAME,
                    AtomEnum::STRING,
                    bytes,
                )
            })
            .and_then(|_| self.client.map_window(window))
            .expect("sent");
        self.client.sync().expect("done");
        window
    }

    fn change(&self, window: Window, values: &ConfigureWindowAux) {
        self.client.configure_window(window, values).expect("sent");
        self.client.sync().expect("done");
    }

    fn screen(&self, target: Target) -> Screen {
        let mut screen = Screen::new(Some(self.display.clone()), target, 30);
        screen.open().expect("opens");
        screen
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Pictures until one is as wanted, for at most ten seconds.
fn picture(screen: &mut Screen, is_wanted: impl Fn(&VideoFrame) -> bool) -> VideoFrame {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(frame) = screen.next_frame(Duration::from_millis(50)).expect("pictures")
            && is_wanted(&frame)
        {
            return frame;
        }
        assert!(Instant::now() < deadline, "no such picture");
    }
}

fn at(frame: &VideoFrame, x: usize, y: usize) -> [u8; 3] {
    let chroma = y / 2 * frame.stride_uv + x / 2;
    [frame.y()[y * frame.stride_y + x], frame.u()[chroma], frame.v()[chroma]]
}

fn is_near(got: [u8; 3], want: [u8; 3]) -> bool {
    got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 3)
}

// BT.601, limited range.
const RED: [u8; 3] = [81, 90, 240];
const GREEN: [u8; 3] = [145, 54, 34];
const BLUE: [u8; 3] = [41, 240, 110];

#[test]
fn a_screen_shows_what_is_drawn_where_it_is_drawn() {
    let desktop = Desktop::start();
    let mut screen = desktop.screen(Target::Monitor(0));
    assert_eq!(picture(&mut screen, |_| true).size, Size::new(640, 480));
    let window = desktop.window((100, 50), (200, 100), 0xff_00_00, "red");
    let frame = picture(&mut screen, |frame| is_near(at(frame, 102, 52), RED));
    assert!(is_near(at(&frame, 297, 147), RED) && !is_near(at(&frame, 303, 147), RED));
    desktop.change(window, &ConfigureWindowAux::new().x(400));
    let frame = picture(&mut screen, |frame| is_near(at(frame, 402, 52), RED));
    assert!(!is_near(at(&frame, 102, 52), RED), "it moved");
}

#[test]
fn a_window_shows_itself_alone_in_every_size_until_it_is_closed() {
    let desktop = Desktop::start();
    // An odd size, and partly beyond the edge of the desktop.
    let window = desktop.window((600, 20), (101, 81), 0x00_ff_00, "green");
    let mut screen = desktop.screen(Target::Window(window));
    let frame = picture(&mut screen, |frame| is_near(at(frame, 50, 40), GREEN));
    assert_eq!(frame.size, Size::new(100, 80));
    assert!(is_near(at(&frame, 99, 79), GREEN));
    let over = desktop.window((580, 0), (60, 200), 0x00_00_ff, "blue");
    desktop.change(over, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE));
    desktop.change(window, &ConfigureWindowAux::new().width(200).height(120));
    let frame = picture(&mut screen, |frame| {
        frame.size == Size::new(200, 120) && is_near(at(frame, 150, 100), GREEN)
    });
    assert!(is_near(at(&frame, 10, 60), GREEN), "what lies over it is not seen");
    desktop.client.unmap_window(window).expect("sent");
    desktop.client.sync().expect("done");
    assert_eq!(picture(&mut screen, |_| true).size, Size::new(200, 120), "hidden, the last picture stays");
    desktop.client.destroy_window(window).expect("sent");
    desktop.client.sync().expect("done");
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        assert!(Instant::now() < deadline, "it was closed");
        if let Err(error) = screen.next_frame(Duration::from_millis(50)) {
            break error;
        }
    };
    assert_eq!(error, Error::Missing("the shared window was closed".into()));
}

#[test]
fn a_still_screen_is_not_copied_and_its_picture_is_given_again() {
    let desktop = Desktop::start();
    desktop.window((0, 0), (640, 480), 0x00_00_ff, "blue");
    let mut screen = desktop.screen(Target::Monitor(0));
    let first = picture(&mut screen, |frame| is_near(at(frame, 10, 10), BLUE));
    // What was still under way when the screen was opened.
    while screen.open.as_mut().expect("open").grabber.has_changed().expect("asked") {
        screen.next_frame(Duration::from_millis(50)).expect("pictures");
    }
    let last = picture(&mut screen, |frame| frame.captured_at > first.captured_at);
    let again = picture(&mut screen, |frame| frame.captured_at > last.captured_at);
    assert!(std::sync::Arc::ptr_eq(&again.data, &last.data), "the same picture");
    assert!(again.captured_at - last.captured_at >= STILL_EVERY);
}

#[test]
fn the_pointer_is_in_the_picture() {
    let desktop = Desktop::start();
    desktop.window((0, 0), (640, 480), 0x00_ff_00, "green");
    let mut screen = desktop.screen(Target::Monitor(0));
    let is_green = |frame: &VideoFrame, (x, y): (usize, usize)| {
        (x - 6..x + 6).all(|x| (y - 6..y + 6).all(|y| is_near(at(frame, x, y), GREEN)))
    };
    for place in [(200i16, 300i16), (400, 100)] {
        desktop.client.warp_pointer(x11rb::NONE, desktop.root, 0, 0, 0, 0, place.0, place.1).expect("sent");
        desktop.client.sync().expect("done");
        let spot = (place.0 as usize, place.1 as usize);
        picture(&mut screen, |frame| !is_green(frame, spot) && is_green(frame, (40, 40)));
    }
    picture(&mut screen, |frame| is_green(frame, (200, 300)));
}

#[test]
fn screens_and_titled_windows_are_listed() {
    let desktop = Desktop::start();
    let window = desktop.window((0, 0), (200, 100), 0, "My \u{7} notes");
    desktop.window((0, 0), (8, 8), 0, "tiny");
    desktop.window((0, 0), (200, 100), 0, "");
    let items = list_of(Some(&desktop.display)).expect("a desktop");
    let shown: Vec<_> = items.iter().map(|item| (item.name.as_str(), item.spec.clone(), item.size)).collect();
    assert_eq!(
        shown,
        [
            ("Screen 1 (640×480)", Spec::Screen(Target::Monitor(0)), Size::new(640, 480)),
            ("My notes", Spec::Screen(Target::Window(window)), Size::new(200, 100)),
        ]
    );
}

#[test]
fn what_is_not_there_is_told() {
    let no_desktop = Screen::new(Some(":59321".into()), Target::Monitor(0), 30).open();
    assert!(
        matches!(&no_desktop, Err(Error::Missing(text)) if text.contains("no X11 desktop")),
        "{no_desktop:?}"
    );
    assert!(list_of(Some(":59321")).is_err());
    let desktop = Desktop::start();
    let mut screen = Screen::new(Some(desktop.display.clone()), Target::Monitor(3), 30);
    assert_eq!(screen.open(), Err(Error::Missing("there is no screen 4".into())));
    let mut screen = Screen::new(Some(desktop.display.clone()), Target::Window(0x123), 30);
    assert_eq!(screen.open(), Err(Error::Missing("the shared window was closed".into())));
    assert!(matches!(screen.next_frame(Duration::ZERO), Err(Error::Lost(_))));
}
