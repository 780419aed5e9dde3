//! Which webcams are plugged in, without touching them.

use std::path::{Path, PathBuf};

/// A webcam that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plugged {
    /// `/dev/videoN`: what `usb:` takes.
    pub path: PathBuf,
    /// What it calls itself; with a number if another one has that name too.
    pub name: String,
}

/// Lists the webcams that are plugged in. Opens none, so none shows a light, and it is quick enough to be asked each
/// second: what is new in the list was plugged in, what is missing was unplugged.
pub fn plugged() -> Vec<Plugged> {
    plugged_in(Path::new("/sys/class/video4linux"))
}

fn plugged_in(folder: &Path) -> Vec<Plugged> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.strip_prefix("video")?.parse().ok()?;
            let read =
                |file: &str| Some(std::fs::read_to_string(entry.path().join(file)).ok()?.trim().to_owned());
            // The nodes behind a camera's first one carry metadata.
            (read("index").is_none_or(|index| index == "0")).then_some((number, read("name")?))
        })
        .collect();
    found.sort_unstable();
    let mut plugged: Vec<Plugged> = Vec::with_capacity(found.len());
    for (number, name) in &found {
        // A maker's name is often there twice: `HD Webcam: HD Webcam`.
        let plain = |name: &str| match name.split_once(": ") {
            Some((first, second)) if second.starts_with(first) || first == second => second.to_owned(),
            Some(_) | None => name.to_owned(),
        };
        let name = plain(name);
        let alike =
            found.iter().take_while(|(n, _)| n < number).filter(|(_, other)| plain(other) == name).count();
        let name = if alike == 0 { name } else { format!("{name} ({})", alike + 1) };
        plugged.push(Plugged { path: format!("/dev/video{number}").into(), name });
    }
    plugged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_listed_by_name_and_number_without_their_metadata() {
        let folder = tempfile::tempdir().expect("a folder");
        for (node, index, name) in [
            ("video10", "0", "Capture card"),
            ("video0", "0", "HD Webcam: HD Webcam"),
            ("video1", "1", "HD Webcam: HD Webcam"),
            ("video2", "0", "HD Webcam: HD Webcam"),
            ("v4l-subdev0", "0", "Sensor"),
        ] {
            let node = folder.path().join(node);
            std::fs::create_dir(&node).expect("new");
            std::fs::write(node.join("index"), format!("{index}\n")).expect("written");
            std::fs::write(node.join("name"), format!("{name}\n")).expect("written");
        }
        let found: Vec<_> = plugged_in(folder.path())
            .into_iter()
            .map(|device| (device.path.to_string_lossy().into_owned(), device.name))
            .collect();
        let want = [
            ("/dev/video0", "HD Webcam"),
            ("/dev/video2", "HD Webcam (2)"),
            ("/dev/video10", "Capture card"),
        ];
        assert_eq!(found, want.map(|(path, name)| (path.to_owned(), name.to_owned())));
        std::fs::remove_dir_all(folder.path().join("video0")).expect("unplugged");
        assert_eq!(plugged_in(folder.path())[0].name, "HD Webcam");
        assert_eq!(plugged_in(&folder.path().join("nowhere")), []);
    }

    #[test]
    fn every_camera_listed_is_there() {
        for device in plugged() {
            assert!(device.path.exists(), "{device:?}");
        }
    }
}
