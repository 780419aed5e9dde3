//! Names of files from others, made safe: one plain name in the folder for received files, on any system.

use crate::call::text;

/// Longest name, in bytes: common file systems allow 255, and a part of a number has to fit.
pub const NAME_BYTES_MAX: usize = 200;

/// A name that leads nowhere else, hides nothing and is allowed on common file systems.
///
/// Takes what stands behind the last slash or backslash; leaves out controls, marks that turn text around, characters
/// that some system refuses, and dots and spaces at either end; shortens it before its ending; calls it `file` if nothing
/// is left.
pub fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let line = text::line(last, usize::MAX);
    let kept: String = line.chars().map(|c| if "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    let kept = kept.trim_matches(['.', ' ']);
    let (stem, ending) = split(kept);
    let room = NAME_BYTES_MAX - ending.len();
    let stem = stem[..stem.floor_char_boundary(room)].trim_end_matches(['.', ' ']);
    if stem.is_empty() {
        return format!("file{ending}");
    }
    // Names of devices on Windows, with any ending.
    let device = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_device = matches!(device.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (device.len() == 4 && (device.starts_with("COM") || device.starts_with("LPT")));
    let before = if is_device { "_" } else { "" };
    format!("{before}{stem}{ending}")
}

/// The name with a number, for when the first one is taken: `picture (2).png`.
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, ending) = split(name);
    format!("{stem} ({number}){ending}")
}

/// The name before its ending, and the ending with its dot; an ending is short.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 12 => name.split_at(dot),
        Some(_) | None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for (name, want) in [
            ("picture.png", "picture.png"),
            ("../../etc/passwd", "passwd"),
            ("/", "file"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            ("C:\\Users\\a\\b.txt", "b.txt"),
            ("a\nb\u{202e}gpj.exe", "a bgpj.exe"),
            ("what?*.txt", "what__.txt"),
            ("nul.txt", "_nul.txt"),
            ("COM1", "_COM1"),
            ("comet.txt", "comet.txt"),
            ("name. . ", "name"),
            ("", "file"),
            ("\u{0}.png", "png"),
            ("a\u{7f}\u{feff}\u{b}A", "a A"),
            ("archive.tar.gz", "archive.tar.gz"),
            ("naïve — 文件.pdf", "naïve — 文件.pdf"),
        ] {
            assert_eq!(safe(name), want, "{name:?}");
        }
        let long = safe(&format!("{}.png", "é".repeat(300)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("é.png"), "{long}");
    }

    #[test]
    fn a_number_stands_before_the_ending() {
        assert_eq!(numbered("a.tar.gz", 2), "a.tar (2).gz");
        assert_eq!(numbered("noending", 3), "noending (3)");
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_safe_part_of_a_path(name in ".{0,300}") {
            let safe = safe(&name);
            let path = std::path::Path::new(&safe);
            prop_assert_eq!(path.components().count(), 1);
            prop_assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(safe.as_str()));
            prop_assert!(safe.len() <= NAME_BYTES_MAX + 1 && !safe.starts_with('.'));
            prop_assert_eq!(super::safe(&safe), safe);
        }
    }
}
