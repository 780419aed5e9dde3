//! The identity of this device, in a file that only its user can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use farwheel_proto::call::verify::identity::Identity;

/// Name of the file in the configuration folder.
pub const FILE: &str = "identity.key";

/// Reads the identity from `folder`; makes one if there is none.
///
/// # Errors
/// When the file cannot be read or made, or holds something else: it is never overwritten, as others know this device
/// by it.
pub fn load_or_create(folder: &Path) -> anyhow::Result<Identity> {
    let path = folder.join(FILE);
    match read(&path) {
        Ok(identity) => return identity,
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    }
    fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    let seed: [u8; 32] = rand::random();
    // Written aside and linked: the file is there whole or not at all, and of two that start at once one wins.
    let aside = folder.join(format!("{FILE}.{}.{:08x}", std::process::id(), rand::random::<u32>()));
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).and_then(|mut file| {
            let text: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::hard_link(&aside, &path)
        });
    // Only its second name stays.
    fs::remove_file(&aside).ok();
    match written {
        Ok(()) => Ok(Identity::from_seed(&seed)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            read(&path).with_context(|| format!("read {}", path.display()))?
        }
        Err(e) => Err(e).with_context(|| format!("write {}", path.display())),
    }
}

fn read(path: &Path) -> std::io::Result<anyhow::Result<Identity>> {
    let text = fs::read_to_string(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read this device's identity; now they cannot");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    let seed = parse(text.trim());
    Ok(seed.map(|seed| Identity::from_seed(&seed)).with_context(|| {
        format!("{} is damaged; move it away, and this device gets a new identity", path.display())
    }))
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_stays_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep");
        let first = load_or_create(&folder).unwrap();
        assert_eq!(load_or_create(&folder).unwrap().key(), first.key());
        let mode = fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(load_or_create(elsewhere.path()).unwrap().key(), first.key());
    }

    #[test]
    fn a_file_that_others_could_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let key = load_or_create(folder.path()).unwrap().key();
        let path = folder.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create(folder.path()).unwrap().key(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_told_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for text in ["", "12", &"x".repeat(64), &"é".repeat(32)] {
            fs::write(&path, text).unwrap();
            let error = load_or_create(folder.path()).unwrap_err();
            assert!(format!("{error:#}").contains("is damaged"), "{error:#}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn two_that_start_at_once_are_the_same_device() {
        let folder = tempfile::tempdir().unwrap();
        let keys = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load_or_create(folder.path()).unwrap().key())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}
