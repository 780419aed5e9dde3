//! The mapping wizard: "push the throttle fully", and it sees which axis that was.
//!
//! ```text
//! Settling -- all elements still for 300 ms --> Waiting(step) -- one element far from rest, still for 250 ms -->
//! Releasing(step) -- back at rest --> Waiting(next step) ... --> Done(Profile)
//! ```

use std::time::{Duration, Instant};

use crate::input::profile::{Element, Function, Profile, Sample, Travel};

/// What the driver is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Turn fully left.
    SteerLeft,
    /// Turn fully right.
    SteerRight,
    /// Push the throttle fully.
    Throttle,
    /// Push reverse (or pull the throttle stick) fully.
    Reverse,
    /// Push one button or trigger.
    Button(Function),
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 11] = [
        Self::SteerLeft,
        Self::SteerRight,
        Self::Throttle,
        Self::Reverse,
        Self::Button(Function::Deadman),
        Self::Button(Function::Arm),
        Self::Button(Function::EmergencyStop),
        Self::Button(Function::Brake),
        Self::Button(Function::Boost),
        Self::Button(Function::Lights),
        Self::Button(Function::Horn),
    ];

    /// The request in words.
    pub fn prompt(self) -> String {
        match self {
            Self::SteerLeft => "Turn the steering fully to the left and hold it".into(),
            Self::SteerRight => "Turn the steering fully to the right and hold it".into(),
            Self::Throttle => "Push the throttle fully forward and hold it".into(),
            Self::Reverse => {
                "Push reverse fully (a pedal, a trigger, or the throttle stick back) and hold it".into()
            }
            Self::Button(Function::Deadman) => {
                "Push and hold the button to hold while driving (the deadman)".into()
            }
            Self::Button(function) => format!("Push the button for: {}", function.label().to_lowercase()),
        }
    }

    /// Whether the wizard may go on without it.
    pub fn is_optional(self) -> bool {
        match self {
            Self::SteerLeft | Self::SteerRight | Self::Throttle | Self::Button(Function::Deadman) => false,
            Self::Reverse | Self::Button(_) => true,
        }
    }
}

/// Where the wizard is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Waits for hands off all controls, to learn where they rest.
    Settling,
    /// Waits for the movement that the step asks for.
    Waiting(Step),
    /// Waits until the element of the step is released.
    Releasing(Step),
    /// Finished; the profile is ready.
    Done,
}

/// The wizard's own state.
#[derive(Debug)]
pub struct Wizard {
    state: State,
    rest: Sample,
    last: Sample,
    still_since: Option<Instant>,
    candidate: Option<(Element, f32, Instant)>,
    left: Option<(Element, f32)>,
    index: usize,
    profile: Profile,
    complaint: Option<String>,
}

impl Wizard {
    /// Starts for the controller called `name`.
    pub fn new(name: &str) -> Self {
        Self {
            state: State::Settling,
            rest: Sample::new(),
            last: Sample::new(),
            still_since: None,
            candidate: None,
            left: None,
            index: 0,
            profile: Profile::empty(name),
            complaint: None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What to show.
    pub fn prompt(&self) -> String {
        match &self.state {
            State::Settling => "Take your hands off all sticks, pedals and buttons".into(),
            State::Waiting(step) => step.prompt(),
            State::Releasing(_) => "Good. Release it".into(),
            State::Done => "All set".into(),
        }
    }

    /// What was wrong with the last movement, if anything.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Steps done and steps in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.index, Step::ALL.len())
    }

    /// The profile, once done.
    pub fn profile(&self) -> Option<&Profile> {
        (self.state == State::Done).then_some(&self.profile)
    }

    /// Leaves out the present step if it is optional.
    pub fn skip(&mut self) {
        if let State::Waiting(step) = self.state
            && step.is_optional()
        {
            self.next_step();
        }
    }

    /// Goes back to the step before.
    pub fn back(&mut self) {
        self.index = self.index.saturating_sub(1);
        // The two ends of the steering belong together.
        if Step::ALL[self.index] == Step::SteerRight {
            self.index = 0;
        }
        let step = Step::ALL[self.index];
        match step {
            Step::SteerLeft | Step::SteerRight => self.profile.steer = None,
            Step::Throttle => self.profile.throttle = None,
            Step::Reverse => {
                self.profile.reverse = None;
                if let Some(throttle) = &mut self.profile.throttle {
                    throttle.low = throttle.centre;
                }
            }
            Step::Button(function) => {
                self.profile.buttons.remove(&function);
            }
        }
        self.complaint = None;
        self.state = State::Waiting(step);
    }

    /// Takes the positions of all elements at `now`; feed it at every poll.
    pub fn handle_sample(&mut self, sample: &Sample, now: Instant) {
        self.learn_rest(sample);
        let moving = self.still_since.is_none()
            || sample.iter().any(|(e, v)| (v - self.last.get(e).copied().unwrap_or(f32::MAX)).abs() > STILL);
        if moving {
            self.last = sample.clone();
            self.still_since = Some(now);
        }
        let still = self.still_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        match self.state.clone() {
            State::Settling => {
                if still >= SETTLE {
                    self.rest = sample.clone();
                    self.state = State::Waiting(Step::ALL[self.index]);
                }
            }
            State::Waiting(step) => self.watch(step, sample, now),
            State::Releasing(_) => {
                let released = self
                    .candidate
                    .as_ref()
                    .is_none_or(|(e, _, _)| distance(&self.rest, sample, e) < RELEASED);
                if released {
                    self.candidate = None;
                    self.next_step();
                }
            }
            State::Done => {}
        }
    }

    /// Some systems report an element only once it has moved. Its first position is then near its rest: the end of a
    /// pedal's travel, or the centre of a stick. A button rests at 0.
    fn learn_rest(&mut self, sample: &Sample) {
        for (element, value) in sample {
            if !self.rest.contains_key(element) {
                let at_end = !element.is_button() && value.abs() > 0.8;
                self.rest.insert(element.clone(), if at_end { value.signum() } else { 0.0 });
            }
        }
    }

    fn watch(&mut self, step: Step, sample: &Sample, now: Instant) {
        let farthest = sample
            .iter()
            .filter(|(e, _)| matches!(step, Step::Button(_)) || !is_plain_button(e, sample, &self.rest))
            .map(|(e, v)| (e, *v, distance(&self.rest, sample, e)))
            .max_by(|a, b| a.2.total_cmp(&b.2));
        let Some((element, value, _)) = farthest.filter(|(.., far)| *far >= PUSHED) else {
            self.candidate = None;
            return;
        };
        match &self.candidate {
            Some((known, at, since)) if known == element && (at - value).abs() <= HOLD_WITHIN => {
                if now.saturating_duration_since(*since) >= HOLD {
                    self.settle_step(step, element.clone(), value);
                }
            }
            Some(_) | None => self.candidate = Some((element.clone(), value, now)),
        }
    }

    fn settle_step(&mut self, step: Step, element: Element, value: f32) {
        let rest = self.rest.get(&element).copied().unwrap_or(0.0);
        self.complaint = None;
        match step {
            Step::SteerLeft => self.left = Some((element, value)),
            Step::SteerRight => match self.left.clone() {
                Some((left, low)) if left == element && (low - rest) * (value - rest) < 0.0 => {
                    self.profile.steer = Some(Travel { element, low, centre: rest, high: value });
                }
                Some((left, _)) if left == element => {
                    return self.complain("that was the same side again; turn to the right".into());
                }
                Some((left, _)) => {
                    return self.complain(format!(
                        "left was {}, this is {}; use the same control",
                        left.label(),
                        element.label()
                    ));
                }
                None => return self.back(),
            },
            Step::Throttle => {
                if self.is_taken(&element) {
                    return self.complain(format!("{} already steers", element.label()));
                }
                self.profile.throttle = Some(Travel { element, low: rest, centre: rest, high: value });
            }
            Step::Reverse => match &mut self.profile.throttle {
                Some(throttle) if throttle.element == element => {
                    if (throttle.high - throttle.centre) * (value - throttle.centre) > 0.0 {
                        return self.complain("that is forward; push the other way".into());
                    }
                    throttle.low = value;
                }
                Some(_) | None => {
                    if self.is_taken(&element) {
                        return self.complain(format!("{} already steers", element.label()));
                    }
                    self.profile.reverse = Some(Travel { element, low: rest, centre: rest, high: value });
                }
            },
            Step::Button(function) => {
                if let Some(other) = self.user_of(&element) {
                    return self.complain(format!("{} is already {other}", element.label()));
                }
                if value < rest {
                    return self.complain(format!("{} works backwards; use another one", element.label()));
                }
                self.profile.buttons.insert(function, element);
            }
        }
        self.state = State::Releasing(step);
    }

    fn complain(&mut self, complaint: String) {
        self.complaint = Some(complaint);
        self.candidate = None;
    }

    fn is_taken(&self, element: &Element) -> bool {
        self.profile.steer.as_ref().is_some_and(|t| t.element == *element)
    }

    fn user_of(&self, element: &Element) -> Option<String> {
        let uses = |travel: &Option<Travel>| travel.as_ref().is_some_and(|t| t.element == *element);
        if uses(&self.profile.steer) {
            return Some("the steering".into());
        }
        if uses(&self.profile.throttle) || uses(&self.profile.reverse) {
            return Some("the throttle".into());
        }
        let button = self.profile.buttons.iter().find(|(_, e)| *e == element);
        button.map(|(function, _)| function.label().to_lowercase())
    }

    fn next_step(&mut self) {
        self.complaint = None;
        self.index += 1;
        self.state = match Step::ALL.get(self.index) {
            Some(step) => State::Waiting(*step),
            None => State::Done,
        };
    }
}

/// A button that is only ever 0 or 1 cannot steer or be a throttle while an axis moves too (many pads report a
/// trigger twice, as an axis and as a button).
fn is_plain_button(element: &Element, sample: &Sample, rest: &Sample) -> bool {
    let axis_moves = || sample.keys().any(|e| !e.is_button() && distance(rest, sample, e) >= PUSHED);
    element.is_button() && axis_moves()
}

fn distance(rest: &Sample, sample: &Sample, element: &Element) -> f32 {
    let at = sample.get(element).copied().unwrap_or(0.0);
    (at - rest.get(element).copied().unwrap_or(0.0)).abs()
}

/// A smaller change is the noise of a resting stick.
const STILL: f32 = 0.04;
/// Rest is learned after this long without movement.
const SETTLE: Duration = Duration::from_millis(300);
/// Distance from rest that counts as fully pushed; wheels seldom reach their ends.
const PUSHED: f32 = 0.5;
/// Distance from rest that counts as released.
const RELEASED: f32 = 0.2;
/// A position must be held this long ...
const HOLD: Duration = Duration::from_millis(250);
/// ... within this much.
const HOLD_WITHIN: f32 = 0.08;

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        wizard: Wizard,
        now: Instant,
        rest: Vec<(&'static str, f32)>,
    }

    impl Bench {
        fn new(rest: &[(&'static str, f32)]) -> Self {
            let mut bench = Self { wizard: Wizard::new("Pad"), now: Instant::now(), rest: rest.to_vec() };
            bench.hold(&[], 400);
            bench
        }

        fn hold(&mut self, moved: &[(&'static str, f32)], ms: u64) {
            let mut sample: Sample = self.rest.iter().map(|(n, v)| (Element::new(n), *v)).collect();
            sample.extend(moved.iter().map(|(n, v)| (Element::new(n), *v)));
            for _ in 0..ms / 4 {
                self.now += Duration::from_millis(4);
                self.wizard.handle_sample(&sample, self.now);
            }
        }

        fn push(&mut self, moved: &[(&'static str, f32)]) {
            self.hold(moved, 300);
            self.hold(&[], 40);
        }
    }

    const PAD: &[(&str, f32)] = &[
        ("axis.LeftStickX", 0.02),
        ("axis.LeftStickY", -0.01),
        ("button.RightTrigger2", 0.0),
        ("button.LeftTrigger2", 0.0),
        ("button.LeftTrigger", 0.0),
        ("button.Start", 0.0),
        ("button.East", 0.0),
    ];

    #[test]
    fn a_gamepad_with_triggers_is_mapped() {
        let mut bench = Bench::new(PAD);
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::SteerLeft));
        bench.push(&[("axis.LeftStickX", -0.98), ("axis.LeftStickY", 0.2)]);
        bench.push(&[("axis.LeftStickX", 1.0)]);
        bench.push(&[("button.RightTrigger2", 1.0)]);
        bench.push(&[("button.LeftTrigger2", 0.97)]);
        bench.push(&[("button.LeftTrigger", 1.0)]);
        bench.push(&[("button.Start", 1.0)]);
        bench.push(&[("button.East", 1.0)]);
        for _ in 0..4 {
            bench.wizard.skip();
        }
        let profile = bench.wizard.profile().expect("done");
        let steer = profile.steer.clone().expect("steering");
        assert_eq!((steer.low, steer.centre, steer.high), (-0.98, 0.02, 1.0));
        assert_eq!(profile.reverse.clone().expect("reverse").element.as_str(), "button.LeftTrigger2");
        assert_eq!(profile.buttons[&Function::Deadman].as_str(), "button.LeftTrigger");
        assert_eq!(profile.buttons.len(), 3);
    }

    #[test]
    fn a_wheel_with_inverted_pedals_reads_forward_when_pushed() {
        let mut bench = Bench::new(&[
            ("axis.code.0", 0.0),
            ("axis.code.2", 1.0),
            ("axis.code.5", 1.0),
            ("button.code.288", 0.0),
        ]);
        bench.push(&[("axis.code.0", -0.7)]);
        bench.push(&[("axis.code.0", 0.7)]);
        bench.push(&[("axis.code.2", -1.0)]);
        bench.push(&[("axis.code.5", -0.9)]);
        bench.push(&[("button.code.288", 1.0)]);
        for _ in 0..6 {
            bench.wizard.skip();
        }
        let profile = bench.wizard.profile().expect("done");
        let pushed: Sample = [("axis.code.2", -1.0), ("axis.code.5", 1.0), ("axis.code.0", 0.35)]
            .into_iter()
            .map(|(n, v)| (Element::new(n), v))
            .collect();
        let intent = profile.read(&pushed);
        assert!((intent.throttle - 1.0).abs() < 1e-6 && (intent.steer - 0.5).abs() < 1e-6, "{intent:?}");
    }

    #[test]
    fn one_stick_gives_forward_and_reverse() {
        let mut bench = Bench::new(PAD);
        bench.push(&[("axis.LeftStickX", -1.0)]);
        bench.push(&[("axis.LeftStickX", 1.0)]);
        bench.push(&[("axis.LeftStickY", 1.0)]);
        bench.push(&[("axis.LeftStickY", 0.9)]);
        assert_eq!(bench.wizard.complaint(), Some("that is forward; push the other way"));
        bench.push(&[("axis.LeftStickY", -1.0)]);
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::Button(Function::Deadman)));
    }

    #[test]
    fn mistakes_are_answered_in_words_and_the_step_stays() {
        let mut bench = Bench::new(PAD);
        bench.push(&[("axis.LeftStickX", -1.0)]);
        bench.push(&[("axis.LeftStickX", -1.0)]);
        assert_eq!(bench.wizard.complaint(), Some("that was the same side again; turn to the right"));
        bench.push(&[("axis.LeftStickY", -1.0)]);
        assert_eq!(
            bench.wizard.complaint(),
            Some("left was Left stick X, this is Left stick Y; use the same control")
        );
        bench.push(&[("axis.LeftStickX", 1.0)]);
        bench.push(&[("axis.LeftStickX", 1.0)]);
        assert_eq!(bench.wizard.complaint(), Some("Left stick X already steers"));
        bench.wizard.skip();
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::Throttle), "the throttle cannot be left out");
        bench.push(&[("button.RightTrigger2", 1.0)]);
        bench.wizard.skip();
        bench.push(&[("button.RightTrigger2", 1.0)]);
        assert_eq!(bench.wizard.complaint(), Some("Right trigger 2 is already the throttle"));
        bench.wizard.back();
        bench.wizard.back();
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::Throttle));
    }

    #[test]
    fn a_short_flick_and_a_small_movement_assign_nothing() {
        let mut bench = Bench::new(PAD);
        bench.hold(&[("axis.LeftStickX", -1.0)], 200);
        bench.hold(&[], 100);
        bench.hold(&[("axis.LeftStickX", -0.4)], 1000);
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::SteerLeft));
    }

    #[test]
    fn a_pedal_that_is_first_heard_of_when_pushed_rests_at_the_end_it_came_from() {
        let mut bench = Bench::new(&[]);
        for (axis, low, high) in [("axis.X", -1.0, 1.0)] {
            for end in [low, high] {
                bench.rest = vec![(axis, 0.0)];
                bench.hold(&[(axis, end / 4.0)], 20);
                bench.push(&[(axis, end)]);
            }
        }
        bench.rest.push(("axis.Pedal", 1.0));
        bench.hold(&[("axis.Pedal", 0.95)], 8);
        bench.push(&[("axis.Pedal", -1.0)]);
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::Reverse));
        let throttle = bench.wizard.profile.throttle.clone().expect("assigned");
        assert_eq!((throttle.centre, throttle.high), (1.0, -1.0));
    }

    #[test]
    fn rest_is_learned_only_from_still_controls() {
        let mut bench = Bench { wizard: Wizard::new("Pad"), now: Instant::now(), rest: PAD.to_vec() };
        for i in 0..100 {
            bench.hold(&[("axis.LeftStickX", if i % 2 == 0 { 0.3 } else { -0.3 })], 40);
        }
        assert_eq!(*bench.wizard.state(), State::Settling);
        bench.hold(&[], 320);
        assert_eq!(*bench.wizard.state(), State::Waiting(Step::SteerLeft));
    }
}
