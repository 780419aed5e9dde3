//! A webcam, from the kernel's driver to a decoded picture.

use std::process::ChildStdout;

use farwheel_media::VideoFrame;
use farwheel_media::y4m;

use crate::program::{Program, wait_within};

use super::PATIENCE;
use super::kernel::{Plug, load, wait_for_file};
use super::scene::Scene;

/// Through nokhwa, the encoder, WebRTC and the decoder of another process.
pub(super) fn pictures_arrive() -> String {
    let _plug = plug_in();
    let scene = Scene::new("camera");
    let mut view = View::start(&scene);
    for _ in 0..30 {
        view.wait_for_bars();
    }
    "30 pictures with the driver's colour bars, decoded".to_owned()
}

/// Its placeholder says so, and the pictures come back by themselves.
pub(super) fn unplugged_camera_comes_back() -> String {
    let plug = plug_in();
    let scene = Scene::new("camera-unplugged");
    let mut view = View::start(&scene);
    view.wait_for_bars();
    plug.pull();
    let torn = std::time::Instant::now();
    view.wait_for("a placeholder", |colours| colours < BARS_MIN);
    let noticed = torn.elapsed();
    plug.put_back();
    wait_for_file(CAMERA);
    let back = std::time::Instant::now();
    view.wait_for_bars();
    format!(
        "placeholder after {:.1} s, pictures {:.1} s after the plug was back",
        noticed.as_secs_f64(),
        back.elapsed().as_secs_f64()
    )
}

/// A robot with the camera, and an app that writes what it decodes.
struct View {
    _robot: Program,
    _app: Program,
    pictures: y4m::Reader<ChildStdout>,
}

impl View {
    fn start(scene: &Scene) -> Self {
        let mut robot = scene.robot(&["--camera", SPEC, "--size", "320x180", "--fps", "15"]);
        robot.wait_line("ready");
        let mut view = scene.app("view", "car");
        view.args(["--y4m", "-", "--wait", "100"]);
        let (app, out) = Program::start_with_output(view);
        let pictures = y4m::Reader::new(out).expect("the app writes y4m");
        Self { _robot: robot, _app: app, pictures }
    }

    fn wait_for_bars(&mut self) {
        self.wait_for("the driver's colour bars", |colours| colours >= BARS_MIN);
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(usize) -> bool) {
        wait_within(PATIENCE, what, || {
            let picture = self.pictures.read().expect("the app writes pictures");
            is_it(colours(&picture)).then_some(())
        });
    }
}

/// How many coarse colours cover at least a fortieth of a picture each.
fn colours(picture: &VideoFrame) -> usize {
    let luma = picture.size.pixels();
    let (u, v) = picture.data[luma..].split_at(luma / 4);
    let mut counts = [0_usize; 256];
    for (u, v) in u.iter().zip(v) {
        counts[usize::from(u >> 4) << 4 | usize::from(v >> 4)] += 1;
    }
    counts.iter().filter(|count| **count * 40 >= u.len()).count()
}

/// One webcam.
pub(super) fn plug_in() -> Plug {
    // One camera that only captures.
    load("vivid", &["n_devs=1", "node_types=0x1"]);
    wait_for_file(CAMERA);
    Plug::new("vivid", "vivid.0")
}

const CAMERA: &str = "/dev/video0";
/// As command lines name it.
pub(super) const SPEC: &str = "usb:/dev/video0";
/// The driver draws eight bars; a placeholder is grey with a coloured mark.
const BARS_MIN: usize = 5;
