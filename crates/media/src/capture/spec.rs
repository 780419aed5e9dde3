//! `--camera`: one word for each source.

use std::path::PathBuf;
use std::str::FromStr;

/// Which source; its text form is what `--camera` and `robot.toml` take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `sim`: the simulated car's own view.
    Sim,
    /// `test`: a moving texture with the strip, for measuring.
    Test,
    /// `usb:/dev/video0`, `usb:0` or `usb:/dev/v4l/by-id/...`: a webcam.
    Usb(PathBuf),
    /// `screen:1`, the first screen, or `window:0x2a00003`: of the X11 desktop.
    Screen(Target),
    /// What the user picks in the dialog of a Wayland desktop; with the token of an earlier choice that one again. It has no
    /// text form that could be read: somebody has to be there to answer.
    Portal(Option<String>),
    /// `command:<program and arguments>`: a program that writes y4m to its standard output. At least one word.
    Command(Vec<String>),
}

/// What of a desktop is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A whole screen; the first one is 0 here, and 1 in the text form.
    Monitor(u16),
    /// A window, by its X11 number.
    Window(u32),
}

/// What is wrong with a camera's text form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("camera {text:?}: {reason}")]
pub struct SpecError {
    text: String,
    reason: &'static str,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = |reason| SpecError { text: text.to_owned(), reason };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("sim", None) => Ok(Self::Sim),
            ("test", None) => Ok(Self::Test),
            ("sim" | "test", Some(_)) => Err(error("takes nothing behind a colon")),
            ("usb", None | Some("")) => {
                Err(error("want usb:0 or usb:/dev/video0 (see `farwheel-robot devices`)"))
            }
            ("usb", Some(path)) if path.starts_with('/') => Ok(Self::Usb(path.into())),
            ("usb", Some(number)) => match number.parse::<u16>() {
                Ok(number) => Ok(Self::Usb(format!("/dev/video{number}").into())),
                Err(_) => Err(error("want a number or a path that starts with /dev/")),
            },
            ("screen", None) => Ok(Self::Screen(Target::Monitor(0))),
            ("screen", Some(number)) => {
                match number.parse::<u16>().ok().and_then(|number| number.checked_sub(1)) {
                    Some(number) => Ok(Self::Screen(Target::Monitor(number))),
                    None => Err(error("want a number from 1 on")),
                }
            }
            ("window", number) => {
                let number = number.and_then(|number| number.strip_prefix("0x"));
                match number.and_then(|number| u32::from_str_radix(number, 16).ok()) {
                    Some(number) => Ok(Self::Screen(Target::Window(number))),
                    None => Err(error("want a number such as 0x2a00003")),
                }
            }
            ("command", Some(line)) => match split_words(line) {
                Some(words) if !words.is_empty() => Ok(Self::Command(words)),
                Some(_) => Err(error("the program is missing")),
                None => Err(error("a quote or a backslash has no end")),
            },
            _ => Err(error(
                "want sim, test, usb:<device>, screen:<number>, window:<number> or command:<program>",
            )),
        }
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sim => f.write_str("sim"),
            Self::Test => f.write_str("test"),
            Self::Usb(path) => write!(f, "usb:{}", path.display()),
            Self::Screen(Target::Monitor(number)) => write!(f, "screen:{}", u32::from(*number) + 1),
            Self::Screen(Target::Window(number)) => write!(f, "window:{number:#x}"),
            // A token is good for what was agreed to: it is nobody else's business.
            Self::Portal(_) => f.write_str("portal"),
            Self::Command(words) => {
                f.write_str("command:")?;
                for (index, word) in words.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"\\".contains(c)) {
                        write!(f, "{space}'{}'", word.replace('\'', r"'\''"))?;
                    } else {
                        write!(f, "{space}{word}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Splits at white space, with quotes and backslashes as in a shell, and nothing else of a shell.
fn split_words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(character),
            (_, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, want: &str) {
        let got = text.parse::<Spec>().map_or_else(|error| error.to_string(), |spec| format!("{spec:?}"));
        assert!(got.contains(want), "{text:?}: got {got}, want {want}");
    }

    #[test]
    fn each_source_has_its_word() {
        check("sim", "Sim");
        check("test", "Test");
        check("usb:0", "Usb(\"/dev/video0\")");
        check("usb:/dev/v4l/by-id/cam", "Usb(\"/dev/v4l/by-id/cam\")");
        check(
            "command:ffmpeg -i 'my file.mp4' -f yuv4mpegpipe -",
            r#"["ffmpeg", "-i", "my file.mp4", "-f", "yuv4mpegpipe", "-"]"#,
        );
        check("screen", "Screen(Monitor(0))");
        check("screen:2", "Screen(Monitor(1))");
        check("window:0x2a00003", "Screen(Window(44040195))");
        check(r#"command:a "b \" c" d\ e '' f'g'"#, r#"["a", "b \" c", "d e", "", "fg"]"#);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("", "want sim, test, usb:<device>, screen:<number>, window:<number> or command:<program>");
        check("screen:0", "want a number from 1 on");
        check("screen:-1", "want a number from 1 on");
        check("window", "want a number such as 0x2a00003");
        check("window:12", "want a number such as 0x2a00003");
        check("window:0xx", "want a number such as 0x2a00003");
        check("csi:0", "want sim, test");
        check("sim:1", "takes nothing behind a colon");
        check("usb", "want usb:0 or usb:/dev/video0");
        check("usb:front", "want a number or a path");
        check("usb:-1", "want a number or a path");
        check("command:", "the program is missing");
        check("command", "want sim, test");
        check("command:  ", "the program is missing");
        check("command:cat 'x", "a quote or a backslash has no end");
        check("command:cat x\\", "a quote or a backslash has no end");
    }

    proptest! {
        #[test]
        fn the_text_form_is_read_back(words in prop::collection::vec(".{0,8}", 1..5)) {
            let spec = Spec::Command(words);
            prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
        }

        #[test]
        fn screens_and_windows_are_read_back(monitor in 0u16..u16::MAX, window in any::<u32>()) {
            for target in [Target::Monitor(monitor), Target::Window(window)] {
                let spec = Spec::Screen(target);
                prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
            }
        }
    }
}
