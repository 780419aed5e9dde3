//! Camera and encoder.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_media::capture::{self, Camera, Spec, State};
use farwheel_media::encode::{Assembler, Encoder, Target, assembler};
use farwheel_media::frame::Pool;
use farwheel_media::slot::Taken;
use farwheel_media::strip::Stamp;
use farwheel_media::test_picture::TestPicture;

use super::Item;
use crate::config::Config;
use crate::sim;

/// Encodes a few pictures of the configured size.
pub(super) fn encoder(config: &Config) -> Item {
    const NAME: &str = "encoder";
    match time_encoder(config) {
        Err(error) => Item::failed(NAME, format!("{error:#}")),
        Ok(each) => {
            let words = assembler().in_words();
            let text =
                format!("{} in {:.1} ms each; {words}", config.camera.size, each.as_secs_f64() * 1000.0);
            if assembler() == Assembler::Missing {
                Item::warning(NAME, text)
            } else if each > config.camera.interval() {
                Item::warning(NAME, format!("{text}; too slow for {} pictures a second", config.camera.fps))
            } else {
                Item::ok(NAME, text)
            }
        }
    }
}

fn time_encoder(config: &Config) -> Result<Duration> {
    let target = Target { bitrate: config.bitrate, size: config.camera.size, fps: config.camera.fps };
    let mut encoder = Encoder::open(Default::default(), target)?;
    let mut source = TestPicture::new(config.camera.size);
    let mut spent = Duration::ZERO;
    for _ in 0..PICTURES {
        let frame = source.render(Stamp::now(), Instant::now());
        let encoded = encoder.encode(&frame)?;
        ensure!(!encoded.data.is_empty(), "the encoder gave an empty picture");
        spent += encoded.spent;
    }
    Ok(spent / PICTURES)
}

/// Opens a camera and waits for its first picture.
pub(super) fn camera(config: &Config, source: &Spec) -> Item {
    Item::from_result(
        "camera",
        match source {
            Spec::Sim => Ok(simulated(config)),
            Spec::Test | Spec::Usb(_) | Spec::Screen(_) | Spec::Portal(_) | Spec::Command(_) => {
                first_picture(config, source)
            }
        },
    )
}

fn simulated(config: &Config) -> String {
    let mut world = sim::World::new(sim::Track::club(), config.seed);
    world.step(Duration::from_millis(10), sim::Controls::default());
    let (scene, mut pool, mut renderer) = (world.scene(), Pool::new(), sim::Renderer::new());
    let mut picture = pool.take(config.camera.size);
    let planes = picture.planes_mut();
    let size = planes.size;
    let mut target = sim::Picture {
        size,
        y: planes.y,
        u: planes.u,
        v: planes.v,
        stride_y: planes.stride_y,
        stride_uv: planes.stride_uv,
    };
    // The first one fills caches.
    renderer.render(&scene, &mut target);
    let start = Instant::now();
    renderer.render(&scene, &mut target);
    format!("sim: {size}, drawn in {:.1} ms", start.elapsed().as_secs_f64() * 1000.0)
}

fn first_picture(config: &Config, source: &Spec) -> Result<String> {
    let asked = capture::Config {
        spec: source.clone(),
        size: config.camera.size,
        fps: config.camera.fps,
        overlay: capture::Overlay::None,
    };
    let start = Instant::now();
    let camera = Camera::start(&asked).context("this source has no device")?;
    while start.elapsed() < PICTURE_WITHIN {
        match camera.frames().take_within(Duration::from_millis(100)) {
            Taken::Value(_) | Taken::TimedOut => {}
            Taken::Closed => break,
        }
        match camera.status().state {
            State::Live { size, .. } => {
                let ms = start.elapsed().as_millis();
                return Ok(format!("{source}: {size}, first picture after {ms} ms"));
            }
            State::Failed { error, .. } => bail!("{source}: {error}"),
            State::Opening | State::Stalled => {}
        }
    }
    bail!("{source}: no picture within {} s", PICTURE_WITHIN.as_secs())
}

const PICTURES: u32 = 10;
/// As long as `run` would wait before it calls a camera dead.
const PICTURE_WITHIN: Duration = Duration::from_secs(15);
