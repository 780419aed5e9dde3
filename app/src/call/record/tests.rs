use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use farwheel_media::frame::Pool;
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::FrameId;

use super::*;
use crate::render::slot::Picture;

fn show(slot: &Slot, number: u16, frame: farwheel_media::VideoFrame) {
    slot.put(Picture { id: FrameId(number), frame, decoded_at: Instant::now() });
}

fn moving(picture: &mut TestPicture) -> farwheel_media::VideoFrame {
    picture.render(farwheel_media::strip::Stamp::now(), Instant::now())
}

/// A tone from the first call on, in pieces of 10 ms as they become due.
fn tone() -> Ear {
    let (start, sent) = (Instant::now(), AtomicU64::new(0));
    Box::new(move || {
        let number = sent.load(Ordering::Relaxed);
        let at = Duration::from_millis(10) * number as u32;
        (start.elapsed() >= at + Duration::from_millis(10)).then(|| {
            sent.store(number + 1, Ordering::Relaxed);
            let sample = |n: u64| (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.5;
            (start + at, (number * 480..(number + 1) * 480).map(sample).collect())
        })
    })
}

/// Runs until the recording is this long.
fn record_until(recorder: &Recorder, length: Duration, mut each: impl FnMut(u16)) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut number = 0;
    while recorder.lasted().expect("it goes on") < length {
        assert!(Instant::now() < deadline, "no recording of {length:?}");
        each(number);
        number += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What an ordinary player's library says of a file: one value for each `key=value` line.
fn probe(path: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "default=nw=1:nk=1"]).args(args).arg(path);
    let output = command.output().expect("ffprobe (package ffmpeg)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_recording_plays_in_ordinary_players_with_picture_and_sound_of_one_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/call.mp4");
    let (slot, mut picture) = (Slot::new(), TestPicture::new(Size::new(640, 360)));
    let views = vec![
        View { slot: Some(slot.clone()), name: "Ada".into(), place: Place::Grid },
        View { slot: None, name: "Bob".into(), place: Place::Grid },
    ];
    let recorder = Recorder::start(&path, views.clone(), tone()).unwrap();
    record_until(&recorder, Duration::from_secs(2), |number| show(&slot, number, moving(&mut picture)));
    recorder.set_views(views.into_iter().take(1).collect());
    record_until(&recorder, Duration::from_secs(5), |number| show(&slot, number, moving(&mut picture)));
    assert_eq!(recorder.finish().unwrap(), path);
    let streams = probe(&path, &["-show_entries", "stream=codec_name"]);
    assert_eq!(streams, ["h264", "opus"]);
    let seconds = |stream: &str| -> (f64, f64) {
        let entries = ["-select_streams", stream, "-show_entries", "packet=pts_time"];
        let times: Vec<f64> = probe(&path, &entries).iter().filter_map(|line| line.parse().ok()).collect();
        (times[0], *times.last().unwrap())
    };
    let ((first_v, last_v), (first_a, last_a)) = (seconds("v"), seconds("a"));
    assert!(first_v.abs() < 0.02 && first_a.abs() < 0.02, "{first_v} {first_a}");
    assert!(last_v >= 4.9 && (last_a - last_v).abs() < 0.2, "{last_v} {last_a}");
    // Decoded whole, without a complaint.
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The tone is there: mean volume of a sine of half scale is -9 dB.
    let mut command = Command::new("ffmpeg");
    command.arg("-i").arg(&path).args(["-af", "volumedetect", "-vn", "-f", "null", "-"]);
    let text = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
    let mean =
        text.split("mean_volume: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(mean.is_some_and(|mean| (-11.0..-8.0).contains(&mean)), "{text}");
}

#[test]
fn what_was_written_before_a_crash_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mp4");
    let (slot, mut picture) = (Slot::new(), TestPicture::new(Size::new(640, 360)));
    let views = vec![View { slot: Some(slot.clone()), name: "Ada".into(), place: Place::Grid }];
    let recorder = Recorder::start(&path, views, tone()).unwrap();
    let two_fragments = Duration::from_secs(1) * (2 * KEY_EVERY + 2) / FPS;
    record_until(&recorder, two_fragments, |number| show(&slot, number, moving(&mut picture)));
    // As a crash leaves it.
    let copy = folder.path().join("copy.mp4");
    std::fs::copy(&path, &copy).unwrap();
    let times = probe(&copy, &["-select_streams", "v", "-show_entries", "packet=pts_time"]);
    let last: f64 = times.last().unwrap().parse().unwrap();
    assert!(last >= 7.0, "{last}");
}

#[test]
fn a_recording_is_never_written_over_a_file_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mp4");
    std::fs::write(&path, "mine").unwrap();
    let error = Recorder::start(&path, Vec::new(), tone()).unwrap_err();
    assert!(format!("{error:#}").contains("call.mp4"), "{error:#}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_picture_that_stays_the_same_and_nobody_at_all_are_recorded_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mp4");
    let recorder = Recorder::start(&path, Vec::new(), Box::new(|| None)).unwrap();
    record_until(&recorder, Duration::from_millis(500), |_| {});
    let (slot, mut pool) = (Slot::new(), Pool::new());
    let mut still = pool.take(Size::new(320, 240));
    still.fill(200, 128, 128);
    show(&slot, 1, still.share(&mut pool, Instant::now()));
    recorder.set_views(vec![View { slot: Some(slot), name: String::new(), place: Place::Large }]);
    record_until(&recorder, Duration::from_millis(1500), |_| {});
    recorder.finish().unwrap();
    assert_eq!(probe(&path, &["-show_entries", "stream=codec_name"]), ["h264", "opus"]);
}
