//! A gamepad, from the kernel's event device to the app.

use evdev::uinput::VirtualDevice;
use evdev::{AbsInfo, AbsoluteAxisCode, AttributeSet, BusType, InputId, KeyCode, UinputAbsSetup};
use serde_json::Value;

use crate::program::wait_within;

use super::PATIENCE;
use super::kernel::{load, wait_for_file};
use super::scene::Scene;

/// The app finds it when it is plugged in, and does not when it is gone.
pub(super) fn gamepad_is_found() -> String {
    load("evdev", &[]);
    load("uinput", &[]);
    wait_for_file("/dev/uinput");
    let scene = Scene::new("gamepad");
    assert!(!finds(&scene), "there is a gamepad before one was made");
    let pad = plug_in();
    wait_within(PATIENCE, "the app to find the gamepad", || finds(&scene).then_some(()));
    drop(pad);
    wait_within(PATIENCE, "the app to miss the gamepad", || (!finds(&scene)).then_some(()));
    format!("{KNOWN_AS} found by gilrs, and missed when it was gone")
}

fn finds(scene: &Scene) -> bool {
    let mut doctor = scene.doctor();
    doctor.arg("--json");
    let out = doctor.output().expect("the app can be started");
    let findings: Value = serde_json::from_slice(&out.stdout).expect("it answers as JSON");
    let all = findings["findings"].as_array().expect("it lists findings");
    let gamepads =
        all.iter().find(|finding| finding["subject"] == "gamepads").expect("it looks for gamepads");
    gamepads["what"].as_str().is_some_and(|what| what.contains(KNOWN_AS))
}

/// A pad as the kernel shows those of a well-known console: sticks, triggers, hat, eleven buttons.
fn plug_in() -> VirtualDevice {
    let keys: AttributeSet<KeyCode> = [
        KeyCode::BTN_SOUTH,
        KeyCode::BTN_EAST,
        KeyCode::BTN_NORTH,
        KeyCode::BTN_WEST,
        KeyCode::BTN_TL,
        KeyCode::BTN_TR,
        KeyCode::BTN_SELECT,
        KeyCode::BTN_START,
        KeyCode::BTN_MODE,
        KeyCode::BTN_THUMBL,
        KeyCode::BTN_THUMBR,
    ]
    .into_iter()
    .collect();
    let made = build(&keys);
    made.unwrap_or_else(|error| panic!("make a gamepad: {error}"))
}

fn build(keys: &AttributeSet<KeyCode>) -> std::io::Result<VirtualDevice> {
    let stick = AbsInfo::new(0, -32_768, 32_767, 16, 128, 0);
    let trigger = AbsInfo::new(0, 0, 255, 0, 0, 0);
    let hat = AbsInfo::new(0, -1, 1, 0, 0, 0);
    // Microsoft's pad of 2005: the one that everything knows.
    let id = InputId::new(BusType::BUS_USB, 0x045e, 0x028e, 0x0110);
    let mut pad = VirtualDevice::builder()?.name(NAME).input_id(id).with_keys(keys)?;
    for axis in
        [AbsoluteAxisCode::ABS_X, AbsoluteAxisCode::ABS_Y, AbsoluteAxisCode::ABS_RX, AbsoluteAxisCode::ABS_RY]
    {
        pad = pad.with_absolute_axis(&UinputAbsSetup::new(axis, stick))?;
    }
    for axis in [AbsoluteAxisCode::ABS_Z, AbsoluteAxisCode::ABS_RZ] {
        pad = pad.with_absolute_axis(&UinputAbsSetup::new(axis, trigger))?;
    }
    for axis in [AbsoluteAxisCode::ABS_HAT0X, AbsoluteAxisCode::ABS_HAT0Y] {
        pad = pad.with_absolute_axis(&UinputAbsSetup::new(axis, hat))?;
    }
    pad.build()
}

const NAME: &str = "Farwheel test pad";
/// What gilrs's own list calls a pad with these numbers.
const KNOWN_AS: &str = "Xbox 360 Controller";
