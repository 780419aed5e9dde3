//! Sharing a window and a screen of an X11 desktop, between two apps without a window of their own. What is shared carries
//! the strip with the time at which it was drawn: the other app proves that it sees that very picture, and how old it is.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use farwheel_media::strip::Stamp;
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::Size;
use serde_json::{Value, json};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, ImageFormat, PropMode,
    Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::callers::{Scene, member, strings};
use farwheel_lab::program::wait_for;

#[test]
fn a_shared_window_is_seen_as_it_is_drawn_resized_and_closed() {
    let desktop = Desktop::start(Size::new(800, 600));
    let painter = Painter::start(&desktop, "Plan of the garden", Size::new(640, 360));
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let mut bob = scene.caller(&url, "bob", &[]);
    bob.wait_line("In the room");
    let mut ada = scene.caller_on(&url, "ada", &strings(&["--share", "window:garden"]), |command| {
        command.env("DISPLAY", &desktop.display).env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
    });
    ada.wait_line("Everybody sees Plan of the garden");
    bob.wait_line("ada shares a screen");
    painter.await_more(60);
    painter.resize(Size::new(480, 270));
    painter.await_more(60);
    drop(painter);
    ada.wait_line("You share Plan of the garden no more: the shared window was closed");
    bob.wait_line("ada shares no screen any more");
    let ended = Instant::now();
    wait_for("a second without it", || (ended.elapsed().as_secs() >= 1).then_some(()));
    let bob = scene.end_of(bob, "bob");
    check_screen(&member(&bob, "ada")["screen"], [480, 270]);
}

#[test]
fn a_shared_screen_is_seen_whole() {
    // The window covers the screen, so the strip is where the receiver looks for it.
    let desktop = Desktop::start(Size::new(640, 360));
    let painter = Painter::start(&desktop, "Everything", Size::new(640, 360));
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let mut bob = scene.caller(&url, "bob", &[]);
    bob.wait_line("In the room");
    let mut ada = scene.caller_on(&url, "ada", &strings(&["--share", "screen"]), |command| {
        command.env("DISPLAY", &desktop.display).env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
    });
    ada.wait_line("Everybody sees Screen 1 (640\u{d7}360)");
    bob.wait_line("ada shares a screen");
    painter.await_more(90);
    let bob = scene.end_of(bob, "bob");
    check_screen(&member(&bob, "ada")["screen"], [640, 360]);
}

/// The other app read the strip of what was drawn, in time.
fn check_screen(screen: &Value, size: [u32; 2]) {
    println!("age of the shared picture: {}", screen["picture_age_ms"]);
    assert_eq!(screen["method"], "strip", "{screen:#}");
    assert_eq!(screen["size"], json!(size), "{screen:#}");
    assert!(screen["decoded"].as_u64().unwrap() > 20, "{screen:#}");
    assert!(screen["picture_age_ms"]["p50"].as_f64().unwrap() < 1000.0, "{screen:#}");
    assert!(screen["picture_age_ms"]["count"].as_u64().unwrap() > 0, "{screen:#}");
}

/// An X11 desktop in memory.
struct Desktop {
    server: Child,
    display: String,
}

impl Desktop {
    fn start(size: Size) -> Self {
        let screen = format!("{}x{}x24", size.width, size.height);
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb (package xvfb)");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { server, display: format!(":{}", line.trim()) }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// A window that shows the measuring picture, thirty times a second.
struct Painter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: RustConnection,
    window: Window,
    painted: AtomicU32,
    /// Width and height in 16 bits each; 0: the end.
    size: AtomicU32,
}

impl Painter {
    fn start(desktop: &Desktop, title: &str, size: Size) -> Self {
        let (client, screen) = RustConnection::connect(Some(&desktop.display)).unwrap();
        let root = client.setup().roots[screen].root;
        let window = client.generate_id().unwrap();
        let (width, height) = (size.width as u16, size.height as u16);
        let (depth, class) = (x11rb::COPY_DEPTH_FROM_PARENT, WindowClass::INPUT_OUTPUT);
        let values = CreateWindowAux::new();
        client.create_window(depth, window, root, 0, 0, width, height, 0, class, 0, &values).unwrap();
        let (name, kind) = (AtomEnum::WM_NAME, AtomEnum::STRING);
        client.change_property8(PropMode::REPLACE, window, name, kind, title.as_bytes()).unwrap();
        client.map_window(window).unwrap();
        // Else the pointer lies over the strip.
        client.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, 300, 200).unwrap();
        client.sync().unwrap();
        let shared = Arc::new(Shared { client, window, painted: AtomicU32::new(0), size: packed(size) });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.paint()
        });
        Self { shared, thread: Some(thread) }
    }

    fn await_more(&self, pictures: u32) {
        let before = self.shared.painted.load(Ordering::Relaxed);
        let painted = || self.shared.painted.load(Ordering::Relaxed) - before;
        wait_for("pictures to be drawn", || (painted() >= pictures).then_some(()));
    }

    fn resize(&self, size: Size) {
        let values = ConfigureWindowAux::new().width(size.width).height(size.height);
        self.shared.client.configure_window(self.shared.window, &values).unwrap();
        self.shared.client.sync().unwrap();
        self.shared.size.store(packed(size).into_inner(), Ordering::Relaxed);
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.shared.size.store(0, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.shared.client.destroy_window(self.shared.window).unwrap();
        self.shared.client.sync().unwrap();
    }
}

fn packed(size: Size) -> AtomicU32 {
    AtomicU32::new(size.width << 16 | size.height)
}

impl Shared {
    fn paint(&self) {
        let gc = self.client.generate_id().unwrap();
        self.client.create_gc(gc, self.window, &CreateGCAux::new()).unwrap();
        let mut picture = TestPicture::new(Size::new(2, 2));
        let mut drawn = Size::new(2, 2);
        loop {
            let size = self.size.load(Ordering::Relaxed);
            if size == 0 {
                return;
            }
            let size = Size::new(size >> 16, size & 0xffff);
            if size != drawn {
                (picture, drawn) = (TestPicture::new(size), size);
            }
            let frame = picture.render(Stamp::now(), Instant::now());
            let grey = |luma: &u8| {
                let grey = ((i32::from(*luma) - 16) * 255 / 219).clamp(0, 255) as u8;
                [grey, grey, grey, 0]
            };
            let rows = frame.y().chunks_exact(frame.stride_y);
            let bytes: Vec<u8> =
                rows.flat_map(|row| row[..size.width as usize].iter().flat_map(grey)).collect();
            let (width, height) = (size.width as u16, size.height as u16);
            let format = ImageFormat::Z_PIXMAP;
            self.client.put_image(format, self.window, gc, width, height, 0, 0, 0, 24, &bytes).unwrap();
            self.client.sync().unwrap();
            self.painted.fetch_add(1, Ordering::Relaxed);
            // The rhythm of a film, not a wait for something.
            std::thread::sleep(std::time::Duration::from_millis(33));
        }
    }
}
