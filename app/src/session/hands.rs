//! The input thread: 250 Hz from gamepads, keyboard or script to drive commands on the wire.
//!
//! The paint loop, the decoder and the runtime are not on this path: a command goes from the sticks to the
//! connection's outbox within one poll. When this thread ends or stalls, commands stop and the robot's failsafe acts.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::{Channel, Connection};
use farwheel_proto::control::command::Controls;
use farwheel_proto::control::stick::{ArmSwitch, Curve, Direction};
use farwheel_proto::control::{Axis, CommandSender, Flags, Refusal, StickInput, StickShaper, sender};
use tokio::sync::mpsc;

use super::Order;
use super::figures::Figures;
use super::grip::{Grip, Reading, Window};
use crate::input::Intent;
use crate::input::gamepad::{Device, Gamepads};
use crate::input::keyboard::{Keyboard, Keys};
use crate::input::profile::{Feel, Profile, Sample};
use crate::input::select;
use crate::input::wizard::Wizard;
use crate::render::slot::Slot;
use crate::script::{self, Outcome, Player, Seen};
use crate::settings::Settings;

/// Who gives the input.
#[derive(Debug)]
pub enum Driver {
    /// A person at a window whose pictures come from this slot; its `presented` tells what the driver sees.
    Window(Slot),
    /// A person at a gamepad, without a window.
    Headless,
    /// A script.
    Script {
        /// What plays it.
        player: Box<Player>,
        /// The window's pictures, if there is a window.
        slot: Option<Slot>,
    },
}

/// What the input thread shows to others.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Connected controllers with their positions.
    pub devices: Vec<(Device, Sample)>,
    /// Index of the one that drives.
    pub active: Option<usize>,
    /// Why there can be no controllers.
    pub unavailable: Option<String>,
    /// What is sent: after dead zone, expo, trim and limits.
    pub shaped: Intent,
    /// The device that drives.
    pub driving: Option<select::Device>,
    /// Whether the deadman is held and counts.
    pub deadman: bool,
    /// How far "hold to arm" has come.
    pub arm_progress: f32,
    /// How far the script has come, and its line.
    pub script: Option<(Outcome, usize)>,
}

/// Handle of the input thread; dropping it stops the thread, with the sticks released.
#[derive(Debug)]
pub struct Hands {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the input thread shares; every lock is held for a copy or one step of a pure core.
#[derive(Debug)]
pub(crate) struct Shared {
    sender: Mutex<CommandSender>,
    link: Mutex<Option<Link>>,
    settings: Mutex<Arc<Settings>>,
    /// Id of the device chosen by the user.
    chosen: Mutex<Option<usize>>,
    view: Mutex<View>,
    wizard: Mutex<Option<Wizard>>,
    seen: Mutex<Seen>,
    keys: AtomicU32,
    granted: AtomicBool,
    screen_arm: AtomicBool,
    rumble: AtomicBool,
    stop: AtomicBool,
    epoch: Instant,
    /// Milliseconds since `epoch` of the window's last sign of life.
    painted_ms: AtomicU64,
}

/// Where commands go.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) connection: Arc<Connection>,
    /// A second way: each command goes by both.
    pub(crate) beside: Option<Arc<Connection>>,
    pub(crate) sent: Arc<Sent>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) figures: Arc<Mutex<Figures>>,
}

/// Commands handed to each of the two connections.
#[derive(Debug, Default)]
pub(crate) struct Sent([AtomicU64; 2]);

impl Sent {
    /// By the main one, and by the one beside it.
    pub(crate) fn get(&self) -> [u64; 2] {
        [0, 1].map(|path| self.0[path].load(Ordering::Relaxed))
    }
}

impl Link {
    /// Sends a command by each way. One that is not connected at the moment does not queue it: the robot's failsafe acts
    /// on the silence.
    fn send(&self, command: Bytes) {
        let ways = [Some(&self.connection), self.beside.as_ref()];
        for (way, count) in ways.into_iter().zip(&self.sent.0) {
            if way.is_some_and(|way| way.send(Channel::Control, command.clone()).is_ok()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Hands {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(driver: Driver, settings: Arc<Settings>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            sender: Mutex::new(CommandSender::new(sender::Config::default())),
            link: Mutex::new(None),
            settings: Mutex::new(settings),
            chosen: Mutex::new(None),
            view: Mutex::default(),
            wizard: Mutex::new(None),
            seen: Mutex::default(),
            keys: AtomicU32::new(0),
            granted: AtomicBool::new(false),
            screen_arm: AtomicBool::new(false),
            rumble: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            epoch: Instant::now(),
            painted_ms: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new().name("input".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, driver)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has been reported by its hook.
            thread.join().ok();
        }
    }
}

impl Shared {
    pub(crate) fn sender(&self) -> MutexGuard<'_, CommandSender> {
        lock(&self.sender)
    }

    pub(crate) fn set_link(&self, link: Option<Link>) {
        *lock(&self.link) = link;
    }

    /// Adds or takes the second way, where there is a first.
    pub(crate) fn set_beside(&self, beside: Option<Arc<Connection>>) {
        if let Some(link) = &mut *lock(&self.link) {
            link.beside = beside;
        }
    }

    pub(crate) fn set_settings(&self, settings: Arc<Settings>) {
        *lock(&self.settings) = settings;
    }

    pub(crate) fn choose(&self, device: usize) {
        *lock(&self.chosen) = Some(device);
    }

    pub(crate) fn view(&self) -> View {
        lock(&self.view).clone()
    }

    pub(crate) fn wizard(&self) -> MutexGuard<'_, Option<Wizard>> {
        lock(&self.wizard)
    }

    pub(crate) fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut lock(&self.seen));
    }

    pub(crate) fn set_keys(&self, keys: Keys) {
        self.keys.store(keys.0, Ordering::Release);
    }

    pub(crate) fn set_granted(&self, granted: bool) {
        self.granted.store(granted, Ordering::Release);
    }

    pub(crate) fn set_screen_arm(&self, down: bool) {
        self.screen_arm.store(down, Ordering::Release);
    }

    pub(crate) fn rumble(&self) {
        self.rumble.store(true, Ordering::Release);
    }

    /// The window lives.
    pub(crate) fn note_painted(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.epoch).as_millis() as u64;
        self.painted_ms.store(ms, Ordering::Release);
    }

    /// What the next command says.
    pub(crate) fn controls(&self, now: Instant) -> Controls {
        self.sender().controls(now)
    }

    /// Takes the stop flag out of the commands.
    pub(crate) fn reset_stop(&self, now: Instant) -> Result<(), Refusal> {
        self.sender().reset_emergency_stop(now)
    }

    fn unpainted(&self, now: Instant) -> Duration {
        let painted = self.epoch + Duration::from_millis(self.painted_ms.load(Ordering::Acquire));
        now.saturating_duration_since(painted)
    }

    fn window(&self, driver: &Driver, now: Instant) -> Window {
        match driver {
            Driver::Headless | Driver::Script { .. } => Window::Headless,
            Driver::Window(_) if !self.granted.load(Ordering::Acquire) => Window::Withheld,
            Driver::Window(_) if self.unpainted(now) > PAINT_SILENCE_MAX => Window::Hung,
            Driver::Window(_) => Window::Granted,
        }
    }

    /// The keys that are down, as far as a window that paints can tell: one that does not may have missed that a key
    /// was let go.
    fn keys(&self, window: Window, now: Instant) -> Keys {
        if window == Window::Granted && self.unpainted(now) <= KEYS_SILENCE_MAX {
            Keys(self.keys.load(Ordering::Acquire))
        } else {
            Keys::NONE
        }
    }
}

fn run(shared: &Shared, mut driver: Driver) {
    let mut pads = match driver {
        Driver::Window(_) | Driver::Headless => Some(Gamepads::open()),
        Driver::Script { .. } => None,
    };
    let settings = Arc::clone(&lock(&shared.settings));
    let mut hands = Thread {
        grip: Grip::default(),
        keyboard: Keyboard::new(settings.keyboard.clone()),
        settings,
        devices: Vec::new(),
        profiles: Vec::new(),
        active: None,
        changed_at: None,
        ticks: 0,
    };
    hands.set_devices(pads.as_ref().map(Gamepads::devices).unwrap_or_default());
    lock(&shared.view).unavailable = pads.as_ref().and_then(|p| p.unavailable().map(Into::into));
    let mut due = Instant::now();
    while !shared.stop.load(Ordering::Acquire) {
        due = (due + POLL).max(Instant::now());
        let wait = due.saturating_duration_since(Instant::now());
        match &mut pads {
            Some(pads) => {
                if pads.poll(wait).plugged {
                    hands.set_devices(pads.devices());
                }
            }
            None => std::thread::park_timeout(wait),
        }
        hands.tick(shared, &mut driver, pads.as_mut(), Instant::now());
    }
}

struct Thread {
    grip: Grip,
    keyboard: Keyboard,
    settings: Arc<Settings>,
    devices: Vec<Device>,
    /// That of each device.
    profiles: Vec<Profile>,
    /// Id of the device that drives.
    active: Option<usize>,
    changed_at: Option<Instant>,
    ticks: u64,
}

impl Thread {
    fn tick(&mut self, shared: &Shared, driver: &mut Driver, mut pads: Option<&mut Gamepads>, now: Instant) {
        self.ticks = self.ticks.wrapping_add(1);
        self.refresh_settings(shared);
        let driven_before = self.active;
        let active = self.active(shared);
        // Another device's sticks do not go on where those of an unplugged one were: for this tick there is none.
        let is_another = self.active != driven_before;
        let samples: Vec<Sample> = match &mut pads {
            Some(pads) => self.devices.iter().map(|d| pads.sample(d.id).unwrap_or_default()).collect(),
            None => Vec::new(),
        };
        let link = lock(&shared.link).clone();
        let (intent, arm, shaper, device) = match driver {
            Driver::Script { player, .. } => {
                let seen = lock(&shared.seen).clone();
                let (intent, order) = player.step(&seen, now);
                let arm = self.obey(shared, order, link.as_ref());
                (
                    intent,
                    arm,
                    StickShaper {
                        throttle: LINEAR,
                        steer: LINEAR,
                        pan: LINEAR,
                        tilt: LINEAR,
                        ..StickShaper::default()
                    },
                    None,
                )
            }
            Driver::Window(_) | Driver::Headless => {
                let armed = shared.sender().wants_armed();
                let wizard_runs = self.feed_wizard(shared, active, &samples, now);
                let profile = active.map(|index| &self.profiles[index]);
                let mut gamepad = active.zip(profile).map(|(index, p)| p.read(&samples[index]));
                gamepad = gamepad.filter(|_| !is_another);
                if let Some(gamepad) = &mut gamepad {
                    // While the wizard asks for pushes they are not driving; nothing but a stop of an armed car.
                    if wizard_runs {
                        *gamepad = if armed { gamepad.released() } else { Intent::default() };
                    }
                    // Whoever has a controller in the hand may stop the car.
                    let others = self.profiles.iter().zip(&samples).enumerate();
                    gamepad.estop |= others
                        .filter(|(index, _)| Some(*index) != active)
                        .any(|(_, (profile, sample))| profile.read(sample).estop);
                }
                let window = shared.window(driver, now);
                self.keyboard.handle_keys(shared.keys(window, now), now);
                let reading = Reading {
                    gamepad,
                    keyboard: self.keyboard.intent(now),
                    screen_arm: shared.screen_arm.load(Ordering::Acquire),
                    window,
                };
                let meaning = self.grip.handle(reading, armed, now);
                let shaper = match (meaning.device, profile) {
                    (select::Device::Gamepad, Some(profile)) => shaper(&profile.feel),
                    (select::Device::Gamepad | select::Device::Keyboard, _) => {
                        StickShaper { throttle: LINEAR, steer: LINEAR, ..StickShaper::default() }
                    }
                };
                (meaning.intent, meaning.arm, shaper, Some(meaning.device))
            }
        };
        let shaped = shaper.shape(&stick_input(&intent, arm));
        let before = shared.controls(now);
        let (command, controls) = {
            let mut sender = shared.sender();
            sender.handle_input(&shaped, now);
            if let Driver::Window(slot) | Driver::Script { slot: Some(slot), .. } = driver
                && let Some(presented) = slot.presented()
            {
                sender.handle_picture(presented.id, presented.drawn_at);
            }
            // Without a link a command would only spend a sequence number.
            (link.as_ref().and_then(|_| sender.poll_command(now)), sender.controls(now))
        };
        if controls != before {
            self.changed_at.get_or_insert(now);
        }
        if let (Some(command), Some(link)) = (command, &link) {
            // Said before: on a fast link it counts sooner than this thread goes on.
            tracing::trace!(target: "measure", sequence = command.sequence, "command sent");
            link.send(Bytes::copy_from_slice(&command.encode()));
            if let Some(changed) = self.changed_at.take() {
                lock(&link.figures).handle_stick(changed.elapsed());
            }
        }
        if shared.rumble.swap(false, Ordering::AcqRel)
            && let (Some(pads), Some(index)) = (&mut pads, active)
        {
            pads.rumble(self.devices[index].id, Duration::from_millis(400));
        }
        if self.ticks.is_multiple_of(VIEW_EVERY) || matches!(driver, Driver::Script { .. }) {
            let mut view = lock(&shared.view);
            view.devices = self.devices.iter().cloned().zip(samples).collect();
            view.active = active;
            view.shaped = shown(&controls);
            view.driving = device;
            view.deadman = controls.flags.contains(Flags::DEADMAN);
            view.arm_progress = self.grip.progress(now);
            view.script = match driver {
                Driver::Script { player, .. } => Some((player.outcome().clone(), player.line())),
                Driver::Window(_) | Driver::Headless => None,
            };
        }
    }

    fn refresh_settings(&mut self, shared: &Shared) {
        let settings = Arc::clone(&lock(&shared.settings));
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.keyboard.set_rates(settings.keyboard.clone());
            self.settings = settings;
            let devices = std::mem::take(&mut self.devices);
            self.set_devices(devices);
        }
    }

    fn set_devices(&mut self, devices: Vec<Device>) {
        self.profiles = devices.iter().map(|d| self.settings.profile(&d.uuid, &d.name)).collect();
        self.devices = devices;
    }

    /// Index of the device that drives: the chosen one, else the one that drove before, else the first.
    fn active(&mut self, shared: &Shared) -> Option<usize> {
        let chosen = *lock(&shared.chosen);
        let ids = [chosen, self.active];
        let find = |id: usize| self.devices.iter().position(|device| device.id == id);
        let index = ids.into_iter().flatten().find_map(find).or((!self.devices.is_empty()).then_some(0));
        self.active = index.map(|index| self.devices[index].id);
        index
    }

    fn feed_wizard(&self, shared: &Shared, active: Option<usize>, samples: &[Sample], now: Instant) -> bool {
        let mut wizard = shared.wizard();
        let Some(wizard) = wizard.as_mut() else { return false };
        if let Some(index) = active {
            wizard.handle_sample(&samples[index], now);
        }
        true
    }

    fn obey(&self, shared: &Shared, order: Option<script::Order>, link: Option<&Link>) -> ArmSwitch {
        let pass_on = |order| {
            if let Some(link) = link {
                // Full: 64 orders wait already; the flags in every command say the same.
                link.orders.try_send(order).ok();
            }
        };
        match order {
            None => ArmSwitch::Untouched,
            Some(script::Order::Arm) => ArmSwitch::Arm,
            Some(script::Order::Disarm) => {
                pass_on(Order::Disarm);
                ArmSwitch::Disarm
            }
            Some(script::Order::EmergencyStop) => {
                shared.sender().emergency_stop();
                ArmSwitch::Untouched
            }
            Some(script::Order::ResetStop) => {
                pass_on(Order::ResetStop);
                ArmSwitch::Untouched
            }
        }
    }
}

fn stick_input(intent: &Intent, arm: ArmSwitch) -> StickInput {
    StickInput {
        throttle: Axis::new(intent.throttle),
        steer: Axis::new(intent.steer),
        pan: Axis::new(intent.pan),
        tilt: Axis::new(intent.tilt),
        deadman: intent.deadman,
        arm,
        brake: intent.brake,
        boost: intent.boost,
        lights: intent.lights,
        horn: intent.horn,
        aux: false,
        emergency_stop: intent.estop,
    }
}

fn shown(controls: &Controls) -> Intent {
    let has = |flag| controls.flags.contains(flag);
    Intent {
        throttle: controls.throttle.get(),
        steer: controls.steer.get(),
        pan: controls.pan.get(),
        tilt: controls.tilt.get(),
        deadman: has(Flags::DEADMAN),
        arm: has(Flags::ARM),
        estop: has(Flags::EMERGENCY_STOP),
        brake: has(Flags::BRAKE),
        boost: has(Flags::BOOST),
        lights: has(Flags::LIGHTS),
        horn: has(Flags::HORN),
    }
}

fn shaper(feel: &Feel) -> StickShaper {
    let direction = |inverted| if inverted { Direction::Reversed } else { Direction::Normal };
    StickShaper {
        throttle: Curve {
            dead_zone: feel.dead_zone,
            expo: feel.throttle_expo,
            limit: feel.throttle_limit,
            direction: direction(feel.invert_throttle),
        },
        steer: Curve {
            dead_zone: feel.dead_zone,
            expo: feel.steer_expo,
            limit: 1.0,
            direction: direction(feel.invert_steer),
        },
        steer_trim: feel.steer_trim,
        pan: Curve { dead_zone: feel.dead_zone, ..Curve::default() },
        tilt: Curve { dead_zone: feel.dead_zone, ..Curve::default() },
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is replaced as a whole or stepped by cores that do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keys and scripts are exact already.
const LINEAR: Curve = Curve { dead_zone: 0.0, expo: 0.0, limit: 1.0, direction: Direction::Normal };
/// 250 Hz.
const POLL: Duration = Duration::from_millis(4);
/// Keys count for this long after the window's last paint, which is when it looked at them.
const KEYS_SILENCE_MAX: Duration = Duration::from_millis(200);
/// A window that has not painted for this long lets go (it asks for a paint twenty times a second).
const PAINT_SILENCE_MAX: Duration = Duration::from_millis(500);
/// The view is renewed at 62 Hz, about as often as anyone paints it.
const VIEW_EVERY: u64 = 4;
