//! Drives a lap with the autopilot, writes pictures of it as binary PPM, and says what a picture costs.
//!
//! `cargo run -p farwheel-robot --example sim_shots -- DIRECTORY` writes nine pictures;
//! `... -- bench` prints milliseconds per picture for three sizes.

use std::time::{Duration, Instant};

use farwheel_proto::video::Size;
use farwheel_robot::sim::{Controls, Picture, Renderer, Scene, Track, World, autopilot};

const TICK: Duration = Duration::from_millis(4);

fn main() -> std::io::Result<()> {
    let target = std::env::args().nth(1).unwrap_or_else(|| "bench".into());
    let scenes = lap(Track::club());
    if target == "bench" {
        for size in [Size::new(640, 480), Size::new(1280, 720), Size::new(1920, 1080)] {
            bench(&scenes, size);
        }
        return Ok(());
    }
    std::fs::create_dir_all(&target)?;
    let size = Size::new(1280, 720);
    let mut renderer = Renderer::new();
    for k in 0..9 {
        let scene = &scenes[k * scenes.len() / 9];
        let mut buffer = vec![0; Picture::bytes(size)];
        renderer.render(scene, &mut Picture::packed(size, &mut buffer));
        std::fs::write(format!("{target}/shot-{k}.ppm"), ppm(size, &buffer))?;
    }
    Ok(())
}

/// Scenes of one lap, 60 a second.
fn lap(track: Track) -> Vec<Scene> {
    let mut world = World::new(track, 1);
    let mut scenes = Vec::new();
    let mut tick = 0;
    while world.state().laps < 1 && tick < 30_000 {
        let (throttle, steer) = autopilot::drive(&world.state(), world.track(), 1.0);
        world.step(TICK, Controls { throttle, steer, ..Controls::default() });
        if tick % 4 == 0 {
            scenes.push(world.scene());
        }
        tick += 1;
    }
    println!("lap {:?}, {} pictures", world.state().last_lap, scenes.len());
    scenes
}

fn bench(scenes: &[Scene], size: Size) {
    let mut renderer = Renderer::new();
    let mut buffer = vec![0; Picture::bytes(size)];
    renderer.render(&scenes[0], &mut Picture::packed(size, &mut buffer));
    let (began, count) = (cpu(), scenes.len().div_ceil(4));
    let mut times: Vec<f64> = scenes
        .iter()
        .step_by(4)
        .map(|scene| {
            let start = Instant::now();
            renderer.render(scene, &mut Picture::packed(size, &mut buffer));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = (cpu() - began) * 1e3 / count as f64;
    println!(
        "{size}: {mean:.2} ms of processor a picture; clock least {:.2} ms, p50 {:.2}, p95 {:.2}, most {:.2}",
        times[0],
        at(0.5),
        at(0.95),
        at(1.0)
    );
}

/// Seconds of processor this thread has used (Linux; zero elsewhere), whatever else the machine does meanwhile.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// I420 in BT.601 limited range as RGB (ITU-R BT.601-7).
fn ppm(size: Size, i420: &[u8]) -> Vec<u8> {
    let (width, height) = (size.width as usize, size.height as usize);
    let (luma, chroma) = i420.split_at(width * height);
    let (blue, red) = chroma.split_at(width * height / 4);
    let mut out = format!("P6\n{width} {height}\n255\n").into_bytes();
    for row in 0..height {
        for column in 0..width {
            let at = row / 2 * (width / 2) + column / 2;
            let y = 1.164 * (f32::from(luma[row * width + column]) - 16.0);
            let (u, v) = (f32::from(blue[at]) - 128.0, f32::from(red[at]) - 128.0);
            out.extend(
                [y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u].map(|c| c.clamp(0.0, 255.0) as u8),
            );
        }
    }
    out
}
