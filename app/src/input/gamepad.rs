//! Gamepads and wheels through `gilrs`: raw positions, hot-plug, rumble.
//!
//! A machine without any, or without `udev`, has an empty list and says why; nothing fails.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gilrs::ev::{AxisOrBtn, Code};
use gilrs::ff::{BaseEffect, BaseEffectType, Effect, EffectBuilder, Replay, Ticks};
use gilrs::{Axis, Button, EventType, GamepadId, Gilrs, GilrsBuilder};

use crate::input::profile::{Element, Sample};

/// One connected controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Number while the program runs; the same controller keeps it when plugged in again.
    pub id: usize,
    /// Identifies the model (bus, vendor, product), in hex.
    pub uuid: String,
    /// The system's name for it.
    pub name: String,
    /// Whether it can shake.
    pub rumble: bool,
}

/// What [`Gamepads::poll`] saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A position changed.
    pub moved: bool,
    /// A controller came or went.
    pub plugged: bool,
}

/// All controllers of this machine.
pub struct Gamepads {
    gilrs: Option<Gilrs>,
    unavailable: Option<String>,
    elements: HashMap<(usize, Code), Element>,
    shaking: Option<Effect>,
}

impl Gamepads {
    /// Starts listening. This may take some tens of milliseconds.
    pub fn open() -> Self {
        // The default filters hide noise below a dead zone; the shaper has its own and the wizard wants raw values.
        let (gilrs, unavailable) = match GilrsBuilder::new().with_default_filters(false).build() {
            Ok(gilrs) => (Some(gilrs), None),
            Err(gilrs::Error::NotImplemented(_)) => (None, Some("this system has no gamepad support".into())),
            Err(e) => (None, Some(format!("gamepads cannot be read: {e}"))),
        };
        if let Some(why) = &unavailable {
            tracing::warn!(why, "no gamepads");
        }
        Self { gilrs, unavailable, elements: HashMap::new(), shaking: None }
    }

    /// Why no controller can be found, if it is so.
    pub fn unavailable(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Takes all waiting events; waits up to `wait` for the first one.
    pub fn poll(&mut self, wait: Duration) -> Changes {
        let mut changes = Changes::default();
        let Some(gilrs) = &mut self.gilrs else {
            std::thread::park_timeout(wait);
            return changes;
        };
        let deadline = Instant::now() + wait;
        let mut event = gilrs.next_event_blocking(Some(wait));
        // Full: 256 events are more than any controller sends in one poll; the rest waits for the next one.
        for _ in 0..256 {
            let Some(seen) = event else { break };
            match seen.event {
                EventType::Connected | EventType::Disconnected => changes.plugged = true,
                EventType::ButtonPressed(..)
                | EventType::ButtonReleased(..)
                | EventType::ButtonChanged(..)
                | EventType::AxisChanged(..) => changes.moved = true,
                EventType::ButtonRepeated(..)
                | EventType::Dropped
                | EventType::ForceFeedbackEffectCompleted => {}
                _ => {}
            }
            event = gilrs.next_event();
        }
        if changes == Changes::default() {
            // Some systems return at once when there is nothing to wait for.
            let left = deadline.saturating_duration_since(Instant::now());
            if left > Duration::from_millis(1) {
                std::thread::park_timeout(left);
            }
        }
        changes
    }

    /// The connected controllers.
    pub fn devices(&self) -> Vec<Device> {
        let Some(gilrs) = &self.gilrs else { return Vec::new() };
        gilrs
            .gamepads()
            .map(|(id, pad)| Device {
                id: id.into(),
                uuid: pad.uuid().iter().map(|byte| format!("{byte:02x}")).collect(),
                name: pad.name().into(),
                rumble: pad.is_ff_supported(),
            })
            .collect()
    }

    /// Positions of controller `id`; `None` once it is gone. An element that never moved may be missing.
    pub fn sample(&mut self, id: usize) -> Option<Sample> {
        let gilrs = self.gilrs.as_ref()?;
        let pad = gilrs.gamepads().find(|(known, _)| usize::from(*known) == id)?.1;
        let mut sample = Sample::new();
        for (code, data) in pad.state().axes() {
            let element = self
                .elements
                .entry((id, code))
                .or_insert_with(|| name(pad.axis_or_btn_name(code), code, "axis"));
            sample.insert(element.clone(), data.value());
        }
        for (code, data) in pad.state().buttons() {
            let element = self
                .elements
                .entry((id, code))
                .or_insert_with(|| name(pad.axis_or_btn_name(code), code, "button"));
            sample.insert(element.clone(), data.value().max(f32::from(u8::from(data.is_pressed()))));
        }
        Some(sample)
    }

    /// Shakes controller `id` for `time`; nothing happens if it cannot.
    pub fn rumble(&mut self, id: usize, time: Duration) {
        let Some(gilrs) = &mut self.gilrs else { return };
        let pads: Vec<GamepadId> = gilrs
            .gamepads()
            .filter(|(known, pad)| usize::from(*known) == id && pad.is_ff_supported())
            .map(|(id, _)| id)
            .collect();
        if pads.is_empty() {
            return;
        }
        let play_for = Ticks::from_ms(time.as_millis() as u32);
        let effect = EffectBuilder::new()
            .add_effect(BaseEffect {
                kind: BaseEffectType::Strong { magnitude: 50_000 },
                scheduling: Replay { play_for, ..Replay::default() },
                ..BaseEffect::default()
            })
            .gamepads(&pads)
            .finish(gilrs);
        // A controller that refuses to shake is no reason to bother the driver.
        self.shaking = effect.and_then(|effect| effect.play().map(|()| effect)).ok();
    }
}

fn name(known: Option<AxisOrBtn>, code: Code, kind: &str) -> Element {
    match known {
        Some(AxisOrBtn::Axis(axis)) if axis != Axis::Unknown => Element::new(&format!("axis.{axis:?}")),
        Some(AxisOrBtn::Btn(button)) if button != Button::Unknown => {
            Element::new(&format!("button.{button:?}"))
        }
        Some(_) | None => Element::new(&format!("{kind}.code.{}", code.into_u32())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_controllers_has_an_empty_list_and_a_poll_that_waits() {
        let mut pads = Gamepads::open();
        let start = Instant::now();
        pads.poll(Duration::from_millis(20));
        let connected = pads.devices();
        assert!(pads.sample(usize::MAX).is_none());
        pads.rumble(usize::MAX, Duration::from_millis(10));
        assert!(!connected.is_empty() || start.elapsed() >= Duration::from_millis(15), "{connected:?}");
    }
}
