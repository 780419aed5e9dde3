use std::fs;
use std::time::Duration;

use super::*;

/// Two ends whose links take what they get at once.
struct World {
    ends: Vec<End>,
    is_cut: bool,
    _folders: Vec<tempfile::TempDir>,
}

struct End {
    files: Files,
    done: mpsc::UnboundedReceiver<Done>,
    folder: PathBuf,
    received: Vec<PathBuf>,
}

fn peer(number: usize) -> PeerId {
    PeerId::new(number as u128)
}

impl World {
    fn new(offers: Offers, limit: u64) -> Self {
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let ends = folders.iter().map(|folder| {
            let folder = folder.path().join("received");
            let config = Config { folder: folder.clone(), limit, offers };
            let (files, done) = Files::start(config).unwrap();
            End { files, done, folder, received: Vec::new() }
        });
        let mut world = Self { ends: ends.collect(), is_cut: true, _folders: folders };
        world.set_link(true);
        world
    }

    fn set_link(&mut self, up: bool) {
        self.is_cut = !up;
        for number in 0..2 {
            let files = &mut self.ends[number].files;
            if up { files.handle_up(peer(1 - number)) } else { files.handle_down(peer(1 - number)) }
        }
    }

    /// Runs until `is_over`, for at most a minute.
    fn run_until(&mut self, mut is_over: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        while !is_over(self) {
            assert!(Instant::now() < deadline, "{:?}", self.view(0));
            let now = Instant::now();
            for number in 0..2 {
                let other = 1 - number;
                while let Some(output) = self.ends[number].files.poll_output() {
                    match output {
                        Output::Message(to, message) if !self.is_cut => {
                            assert_eq!(to, peer(other));
                            self.ends[other].files.handle_message(peer(number), &message, now);
                        }
                        Output::Chunk(to, bytes) if !self.is_cut => {
                            assert_eq!(to, peer(other));
                            self.ends[other].files.handle_chunk(peer(number), bytes);
                        }
                        Output::Message(..) | Output::Chunk(..) => {}
                        Output::Received(path) => self.ends[number].received.push(path),
                    }
                }
                let End { files, done, .. } = &mut self.ends[number];
                files.set_room(peer(other), 256 * 1024);
                // Waits for the thread, as the worker of a call does.
                let wait = tokio::time::Duration::from_millis(2);
                let next = runtime.block_on(async { tokio::time::timeout(wait, done.recv()).await });
                if let Ok(Some(next)) = next {
                    files.handle_done(next, now);
                }
            }
        }
    }

    fn view(&self, number: usize) -> Vec<model::File> {
        self.ends[number].files.view(Instant::now(), |peer| format!("peer {peer}"))
    }

    fn progress(&self, number: usize) -> Option<model::Progress> {
        self.view(number).pop().map(|file| file.progress)
    }

    fn source(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self._folders[0].path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn a_file_arrives_as_it_was_and_a_second_one_of_its_name_beside_it() {
    let mut world = World::new(Offers::Take, 1 << 30);
    let whole = content(3_000_001);
    let path = world.source("a picture.png", &whole);
    for round in 1..=2 {
        world.ends[0].files.send(path.clone());
        world.run_until(|w| {
            w.ends[1].received.len() == round && w.progress(0) == Some(model::Progress::Done(None))
        });
    }
    let folder = world.ends[1].folder.clone();
    let want = [folder.join("a picture.png"), folder.join("a picture (2).png")];
    assert_eq!(world.ends[1].received, want);
    for path in &want {
        assert!(fs::read(path).unwrap() == whole);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing unfinished is left");
    assert_eq!(world.progress(1), Some(model::Progress::Done(Some(want[1].clone()))));
    let is_done = |file: &model::File| matches!(file.progress, model::Progress::Done(_));
    assert!((0..2).all(|number| world.view(number).iter().all(is_done)));
}

#[test]
fn an_empty_file_arrives_too() {
    let mut world = World::new(Offers::Take, 1 << 30);
    let path = world.source("empty", b"");
    world.ends[0].files.send(path);
    world.run_until(|w| w.ends[1].received.len() == 1);
    assert_eq!(fs::read(&world.ends[1].received[0]).unwrap(), b"");
}

#[test]
fn a_cut_link_goes_on_where_it_was() {
    let mut world = World::new(Offers::Take, 1 << 30);
    let whole = content(6_000_000);
    let path = world.source("a.bin", &whole);
    world.ends[0].files.send(path);
    let bytes = |w: &World| match w.progress(1) {
        Some(model::Progress::Running(bytes, _) | model::Progress::Paused(bytes)) => bytes,
        _ => 0,
    };
    world.run_until(|w| bytes(w) > 1_000_000);
    world.set_link(false);
    assert!(matches!(world.progress(1), Some(model::Progress::Paused(1_000_000..))));
    world.set_link(true);
    // Cut again at once, with parts of the file still being read for the link before.
    world.run_until(|w| bytes(w) > 2_000_000);
    world.set_link(false);
    world.set_link(true);
    let mut least = u64::MAX;
    world.run_until(|w| {
        if matches!(w.progress(1), Some(model::Progress::Running(..))) {
            least = least.min(bytes(w));
        }
        !w.ends[1].received.is_empty()
    });
    assert!(least > 1_000_000, "began again at {least}");
    assert!(fs::read(&world.ends[1].received[0]).unwrap() == whole);
}

#[test]
fn a_file_that_is_too_large_is_refused_unseen_and_one_not_wanted_is_told_on_both_sides() {
    let mut world = World::new(Offers::Ask, 1000);
    let path = world.source("large", &content(1001));
    world.ends[0].files.send(path);
    let want = Some(model::Progress::Failed("larger than the receiver allows".into()));
    world.run_until(|w| w.progress(0) == want);
    assert_eq!(world.progress(1), None);
    let path = world.source("small", &content(1000));
    world.ends[0].files.send(path);
    world.run_until(|w| w.progress(1) == Some(model::Progress::Offered));
    let file = world.view(1).pop().unwrap();
    assert_eq!(
        (file.name.as_str(), file.size, file.from),
        ("small", 1000, Some(format!("peer {}", peer(0))))
    );
    world.ends[1].files.cancel(file.id);
    world.run_until(|w| w.progress(0) == Some(model::Progress::Failed("declined".into())));
    assert!(!world.ends[1].folder.exists(), "nothing was written");
}

#[test]
fn what_cannot_be_read_or_written_is_told_in_words() {
    let mut world = World::new(Offers::Take, 1 << 30);
    world.ends[0].files.send("/nowhere/at/all".into());
    world.run_until(
        |w| matches!(w.progress(0), Some(model::Progress::Failed(reason)) if reason.contains("No such file")),
    );
    world.ends[0].files.send("/tmp".into());
    world.run_until(
        |w| matches!(w.progress(0), Some(model::Progress::Failed(reason)) if reason.contains("is no file")),
    );
    // A file stands where the folder should be.
    fs::write(&world.ends[1].folder, "x").unwrap();
    let path = world.source("a", &content(10));
    world.ends[0].files.send(path);
    world.run_until(|w| w.progress(0) == Some(model::Progress::Failed("cannot be written".into())));
    assert!(
        matches!(world.progress(1), Some(model::Progress::Failed(reason)) if reason.contains("received"))
    );
}

#[test]
fn what_is_unfinished_is_removed_when_the_call_ends() {
    let mut world = World::new(Offers::Take, 1 << 30);
    let path = world.source("a.bin", &content(6_000_000));
    world.ends[0].files.send(path);
    world.run_until(|w| matches!(w.progress(1), Some(model::Progress::Running(1.., _))));
    let folder = world.ends[1].folder.clone();
    assert!(folder.join("a.bin.part").exists());
    drop(world.ends);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}
