//! The car drives as it should, and the picture follows it.

use std::time::Duration;

use farwheel_proto::video::Size;
use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(4);
const SIZE: Size = Size::new(640, 360);

/// A circuit so large that a car can drive straight or in circles beside nothing.
fn field() -> World {
    let corners = [vec2(-90.0, -60.0), vec2(90.0, -60.0), vec2(90.0, 60.0), vec2(-90.0, 60.0)];
    World::new(Track::through(&corners, 45.0), 3)
}

fn hold(world: &mut World, seconds: f32, throttle: f32, steer: f32) {
    for _ in 0..(seconds / TICK.as_secs_f32()) as usize {
        world.step(TICK, Controls { throttle, steer, ..Controls::default() });
    }
}

fn drive(world: &mut World, pace: f32) {
    let (throttle, steer) = autopilot::drive(&world.state(), world.track(), pace);
    world.step(TICK, Controls { throttle, steer, ..Controls::default() });
}

/// A packed picture of the world.
fn picture(world: &World) -> Vec<u8> {
    picture_of(&world.scene(), SIZE)
}

fn picture_of(scene: &Scene, size: Size) -> Vec<u8> {
    let mut buffer = vec![0; Picture::bytes(size)];
    Renderer::new().render(scene, &mut Picture::packed(size, &mut buffer));
    buffer
}

/// Luma, blue and red difference at a place in the picture.
fn colour_at(picture: &[u8], place: (f32, f32)) -> [u8; 3] {
    let (x, y, width) = (place.0 as usize, place.1 as usize, SIZE.width as usize);
    let chroma = SIZE.pixels() + y / 2 * (width / 2) + x / 2;
    [picture[y * width + x], picture[chroma], picture[chroma + SIZE.pixels() / 4]]
}

#[test]
fn pulses_become_axes_and_no_pulse_is_neutral() {
    for (us, want) in
        [(1000, -1.0), (1250, -0.5), (1500, 0.0), (2000, 1.0), (2400, 1.0), (500, -1.0), (0, 0.0)]
    {
        let controls = Controls::from_pulses(us, us, us, us);
        assert_eq!(controls, Controls { throttle: want, steer: want, pan: want, tilt: want }, "{us} us");
    }
}

#[test]
fn top_speed_grows_with_throttle_up_to_nine_metres_a_second() {
    for (throttle, low, high) in [(0.2, 1.0, 3.0), (0.4, 3.5, 5.5), (0.7, 5.5, 7.5), (1.0, 8.0, 9.5)] {
        let mut world = field();
        hold(&mut world, 9.0, throttle, 0.0);
        let speed = world.state().speed;
        assert!((low..high).contains(&speed), "{speed} m/s at {throttle}");
    }
}

#[test]
fn car_coasts_to_a_stop_at_neutral_and_stays() {
    let mut world = field();
    hold(&mut world, 3.0, 0.6, 0.0);
    let moving = world.state();
    hold(&mut world, 0.5, 0.0, 0.0);
    let coasting = world.state();
    assert!(
        coasting.speed > 0.5 && coasting.speed < moving.speed,
        "{} then {}",
        moving.speed,
        coasting.speed
    );
    hold(&mut world, 12.0, 0.0, 0.0);
    let rest = world.state();
    hold(&mut world, 5.0, 0.0, 0.0);
    assert_eq!(rest.speed, 0.0);
    assert_eq!(rest.position, world.state().position);
}

#[test]
fn negative_throttle_brakes_first_and_then_reverses() {
    let mut world = field();
    hold(&mut world, 4.0, 1.0, 0.0);
    let fast = world.state();
    hold(&mut world, 1.4, -1.0, 0.0);
    let braked = world.state();
    assert!(braked.speed < 0.5, "{} m/s after braking from {}", braked.speed, fast.speed);
    let way = (braked.position - fast.position).length();
    assert!((2.5..7.0).contains(&way), "{way} m to stop from {} m/s", fast.speed);
    hold(&mut world, 2.0, -1.0, 0.0);
    let speed = world.state().speed;
    assert!((-3.6..-1.0).contains(&speed), "{speed} m/s backwards");
}

#[test]
fn slow_circle_has_the_radius_of_the_wheelbase_and_the_wheel_angle() {
    for steer in [0.3, 0.6, 1.0, -0.5, -1.0f32] {
        let mut world = field();
        hold(&mut world, 6.0, 0.11, steer);
        let state = world.state();
        let want = WHEELBASE / (steer * STEER_MAX).tan();
        let got = -state.speed / state.yaw_rate;
        assert!(state.speed > 0.1 && state.speed < 0.8, "{} m/s", state.speed);
        assert!((got / want - 1.0).abs() < 0.06, "steer {steer}: {got} m, want {want}");
    }
}

#[test]
fn fast_circle_is_limited_by_grip_and_wider_than_the_wheels_ask() {
    let mut world = field();
    hold(&mut world, 3.5, 1.0, 0.0);
    hold(&mut world, 1.2, 0.8, 1.0);
    let state = world.state();
    let cornering = (state.speed * state.yaw_rate).abs();
    assert!((4.0..10.5).contains(&cornering), "{cornering} m/s2 at {} m/s", state.speed);
    let radius = (state.speed / state.yaw_rate).abs();
    assert!(radius > 2.0 * WHEELBASE / STEER_MAX.tan(), "{radius} m");
    assert!(state.slide > 0.3, "slide {}", state.slide);
}

#[test]
fn steering_right_turns_right() {
    let mut world = field();
    let heading = world.state().heading;
    hold(&mut world, 1.0, 0.4, 0.5);
    assert!(world.state().heading < heading);
    assert!(world.state().wheels > 0.0);
}

#[test]
fn throttle_and_steering_lag_behind_their_commands() {
    let mut world = field();
    world.step(Duration::from_millis(20), Controls { throttle: 1.0, steer: 1.0, ..Controls::default() });
    let state = world.state();
    assert!(state.wheels > 0.05 && state.wheels < 0.2, "{} rad after 20 ms", state.wheels);
    assert!(state.speed < 0.05, "{} m/s after 20 ms", state.speed);
}

#[test]
fn grass_is_slower_than_road() {
    let mut road = World::new(Track::club(), 1);
    hold(&mut road, 2.2, 1.0, 0.0);
    let mut grass = World::new(Track::club(), 1);
    grass.place(-3.0, 5.5);
    hold(&mut grass, 2.2, 1.0, 0.0);
    assert!(road.state().on_track && !grass.state().on_track);
    assert!(
        grass.state().speed < 0.8 * road.state().speed,
        "{} and {}",
        grass.state().speed,
        road.state().speed
    );
}

#[test]
fn nothing_drives_out_of_the_world() {
    for along in [5.0, 40.0, 80.0, 120.0, 160.0] {
        let mut world = World::new(Track::club(), 1);
        world.place(along, 0.0);
        hold(&mut world, 30.0, 1.0, 0.0);
        let (low, high) = world.track().bounds();
        let place = world.state().position;
        assert!(place.x >= low.x && place.x <= high.x && place.y >= low.y && place.y <= high.y, "{place:?}");
    }
}

#[test]
fn same_seed_and_controls_give_the_same_path_and_picture_however_time_is_cut() {
    let mut ends = Vec::new();
    for cut in [2u64, 4, 10] {
        let mut world = World::new(Track::club(), 9);
        let ticks = 4000 / cut;
        for tick in 0..ticks {
            // Changes only at multiples of 20 ms, which every cut meets.
            let t = (tick * cut / 20) as f32 * 0.02;
            let controls = Controls { throttle: 0.6, steer: (t * 1.7).sin() * 0.4, ..Controls::default() };
            world.step(Duration::from_millis(cut), controls);
        }
        ends.push((world.state(), picture(&world)));
    }
    assert!(ends[0].0.odometer > 5.0);
    assert_eq!(ends[0].0, ends[1].0);
    assert_eq!(ends[0].0, ends[2].0);
    assert!(ends[0].1 == ends[1].1 && ends[0].1 == ends[2].1, "pictures differ");
}

#[test]
fn autopilot_drives_counted_laps_without_leaving_the_road() {
    for (pace, least, most) in [(0.5, 30.0, 70.0), (0.8, 25.0, 45.0), (1.0, 20.0, 35.0)] {
        let mut world = World::new(Track::club(), 1);
        let mut ticks = 0;
        while world.state().laps < 2 && ticks < 50_000 {
            drive(&mut world, pace);
            let state = world.state();
            assert!(state.on_track, "pace {pace}: off at {} m, {} m aside", state.along, state.lateral);
            ticks += 1;
        }
        let state = world.state();
        let best = state.best_lap.expect("two laps were driven").as_secs_f32();
        assert!((least..most).contains(&best), "pace {pace}: {best} s");
        let laps = state.odometer / f64::from(world.track().length());
        assert!((1.9..2.1).contains(&laps), "{laps} laps by the odometer");
    }
}

#[test]
fn battery_sags_under_load_and_recovers() {
    let mut world = field();
    let full = world.state().battery_volts;
    hold(&mut world, 0.6, 1.0, 0.0);
    let loaded = world.state().battery_volts;
    hold(&mut world, 3.0, 0.0, 0.0);
    let rested = world.state().battery_volts;
    assert!(full - loaded > 0.2, "{full} V, {loaded} V under load");
    assert!(rested > loaded + 0.2 && rested < full, "{rested} V rested of {full}");
}

#[test]
fn cone_that_is_hit_moves_and_changes_the_picture() {
    let mut world = World::new(Track::club(), 1);
    let cone = world.scene().cones[0].position;
    let near = world.track().nearest(cone);
    world.place(near.along - 2.5, near.lateral);
    let before = world.scene();
    hold(&mut world, 2.4, 0.8, 0.0);
    let after = world.scene();
    assert!((after.cones[0].position - cone).length() > 0.3, "{:?}", after.cones[0]);
    assert!(after.cones[0].tilt > 1.0, "{:?}", after.cones[0]);
    let changed = Scene { cones: after.cones, ..before.clone() };
    assert!(picture_of(&before, SIZE) != picture_of(&changed, SIZE));
}

#[test]
fn known_places_of_the_world_have_their_colour_where_the_lens_puts_them() {
    let mut world = World::new(Track::club(), 1);
    world.place(8.0, 0.0);
    let scene = world.scene();
    let picture = picture(&world);
    let lens = scene.camera.lens(SIZE);
    let track = world.track();
    let (mut lines, mut grass, mut road) = (0, 0, 0);
    for ahead in [3.6, 4.2, 5.0, 6.5, 8.0] {
        let point = track.at(8.0 + ahead);
        let left = |metres: f32| lens.project((point.position + point.forward.left() * metres).at(0.0));
        let inside = |p: Option<(f32, f32)>| {
            p.filter(|p| {
                p.0 > 2.0 && p.0 < SIZE.width as f32 - 2.0 && p.1 > 2.0 && p.1 < SIZE.height as f32 - 2.0
            })
        };
        for side in [1.0, -1.0] {
            // The white line's middle lies 11.5 cm inside the edge.
            if let Some(place) = inside(left(side * (track.half_width() - 0.115))) {
                let [y, u, v] = colour_at(&picture, place);
                assert!(
                    y > 150 && u.abs_diff(128) < 16 && v.abs_diff(128) < 16,
                    "line: {y} {u} {v} at {place:?}"
                );
                lines += 1;
            }
            if let Some(place) = inside(left(side * (track.half_width() + 0.9))) {
                let [y, u, v] = colour_at(&picture, place);
                grass += usize::from(u < 105 && v < 122 && y > 60);
            }
        }
        if let Some(place) = inside(left(0.9)).filter(|_| ahead > 4.1) {
            let [y, u, v] = colour_at(&picture, place);
            road += usize::from((70..150).contains(&y) && u.abs_diff(130) < 10 && v.abs_diff(126) < 10);
        }
    }
    // A board or a cone may stand before one of the places on the grass.
    assert!(lines >= 6 && grass >= 4 && road >= 3, "{lines} lines, {grass} grass, {road} road");
}

#[test]
fn start_line_is_checkered_where_it_lies() {
    let mut world = World::new(Track::club(), 1);
    world.place(-2.0, 0.0);
    let scene = world.scene();
    let picture = picture(&world);
    let lens = scene.camera.lens(SIZE);
    let start = world.track().at(0.0);
    for (column, row, want) in
        [(0.15, 0.15, 0), (0.45, 0.15, 1), (0.15, 0.45, 1), (0.45, 0.45, 0), (-0.15, 0.15, 1)]
    {
        let place = start.position + start.forward * row + start.forward.left() * column;
        let [y, ..] = colour_at(&picture, lens.project(place.at(0.0)).expect("it lies ahead"));
        let light = usize::from(y > 150);
        let parity = colour_at(
            &picture,
            lens.project((start.position + start.forward * 0.15 + start.forward.left() * 0.15).at(0.0))
                .unwrap(),
        )[0] > 150;
        assert_eq!(light ^ usize::from(parity), want, "{column} {row}: {y}");
    }
}

#[test]
fn turning_left_moves_the_far_hills_to_the_right() {
    let world = World::new(Track::club(), 1);
    let scene = world.scene();
    let mut turned = scene.clone();
    turned.camera.heading += 0.05;
    let (before, after) = (picture_of(&scene, SIZE), picture_of(&turned, SIZE));
    let horizon = scene
        .camera
        .lens(SIZE)
        .project(scene.camera.position + Vec2::from_angle(scene.camera.heading).at(0.0) * 1000.0);
    let row = horizon.expect("the horizon is in the picture").1 as usize - 24;
    let line =
        |p: &[u8]| p[row * 640 + 200..row * 640 + 440].iter().map(|&y| f32::from(y)).collect::<Vec<_>>();
    let difference = |shift: i32| {
        let from = (row * 640) as i32 + 200 + shift;
        let moved = &after[from as usize..from as usize + 240];
        line(&before).iter().zip(moved).map(|(a, &b)| (a - f32::from(b)).abs()).sum::<f32>()
    };
    let best = (-60..=60).min_by(|a, b| difference(*a).total_cmp(&difference(*b))).unwrap();
    // 0.05 rad times the focal length of 368 pixels.
    assert!((15..=22).contains(&best), "the hills moved by {best} pixels");
}

#[test]
fn point_is_projected_back_along_its_own_ray() {
    let mut world = World::new(Track::club(), 1);
    hold(&mut world, 1.5, 0.8, 0.3);
    world.step(TICK, Controls { pan: 0.4, tilt: -0.3, ..Controls::default() });
    let lens = world.scene().camera.lens(SIZE);
    for (x, y) in [(10.0, 20.0), (320.0, 180.0), (600.0, 300.0)] {
        let ray = lens.ray(x, y);
        let back = lens.project(lens.position + ray * 7.0).expect("ahead");
        assert!((back.0 - x).abs() < 0.05 && (back.1 - y).abs() < 0.05, "{back:?}");
    }
}

#[test]
fn pan_and_tilt_turn_the_camera_with_a_servos_delay() {
    let mut world = World::new(Track::club(), 1);
    let before = world.scene().camera;
    let look = Controls { pan: 1.0, tilt: 1.0, ..Controls::default() };
    world.step(Duration::from_millis(100), look);
    let moving = world.scene().camera;
    assert!(moving.heading < before.heading && before.heading - moving.heading < 0.6 * PAN_MAX);
    for _ in 0..10 {
        world.step(Duration::from_millis(100), look);
    }
    let there = world.scene().camera;
    assert!((before.heading - there.heading - PAN_MAX).abs() < 0.02);
    assert!((before.pitch - there.pitch - TILT_MAX).abs() < 0.02);
}

#[test]
fn tyre_marks_stay_where_the_car_slid() {
    let mut world = World::new(Track::club(), 1);
    hold(&mut world, 2.0, 1.0, 0.0);
    assert!(world.scene().marks.len() < 12, "{} marks driving straight", world.scene().marks.len());
    hold(&mut world, 0.7, 1.0, 1.0);
    assert!(world.scene().marks.len() > 8, "{} marks", world.scene().marks.len());
}

#[test]
fn every_size_and_view_is_drawn_in_full() {
    let mut world = World::new(Track::club(), 1);
    for (k, size) in
        [(320, 180), (640, 480), (854, 480), (1280, 720), (1920, 1080), (2, 2), (34, 1000), (1000, 34)]
            .into_iter()
            .enumerate()
    {
        world.place(18.0 * k as f32, 1.0);
        let mut scene = world.scene();
        scene.camera.roll = 0.3 - 0.1 * k as f32;
        scene.camera.pitch += 0.2 * (k as f32 - 3.0);
        let size = Size::new(size.0, size.1);
        // No colour of the palette is below the range of BT.601.
        let picture = picture_of(&scene, size);
        let missed = picture.iter().filter(|&&p| p < 16).count();
        assert_eq!(missed, 0, "{size}: {missed} of {} samples", picture.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_input_makes_the_world_leave_the_numbers(
        inputs in prop::collection::vec((any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>(), 0u64..700), 1..40),
        along in 0f32..170.0,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(Track::club(), seed);
        world.place(along, 0.0);
        let (low, high) = world.track().bounds();
        for (throttle, steer, pan, tilt, ms) in inputs {
            world.step(Duration::from_millis(ms), Controls { throttle, steer, pan, tilt });
            let state = world.state();
            prop_assert!(state.position.x >= low.x && state.position.x <= high.x, "{:?}", state);
            prop_assert!(state.position.y >= low.y && state.position.y <= high.y, "{:?}", state);
            prop_assert!(state.speed.abs() < 15.0 && state.sideways.abs() < 15.0, "{:?}", state);
            prop_assert!(state.yaw_rate.abs() < 40.0 && state.heading.abs() < 3.2, "{:?}", state);
            prop_assert!(state.battery_volts > 5.0 && state.battery_volts < 8.5, "{:?}", state);
            let camera = world.scene().camera;
            prop_assert!(camera.pitch.is_finite() && camera.roll.abs() < 0.2, "{:?}", camera);
        }
    }
}
