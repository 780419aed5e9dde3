//! One word for each sound device.

use std::path::PathBuf;
use std::str::FromStr;

/// Which microphone or speaker; its text form is what settings and command lines take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spec {
    /// `default`: what the system is set to.
    #[default]
    Default,
    /// `none`: nothing is taken up, or nothing is heard.
    None,
    /// `test`: as microphone a voice with a time mark at each second; as speaker an ear that measures how late those
    /// come.
    Test,
    /// `wav:FILE`: as microphone the file, once; as speaker what is heard is written there.
    Wav(PathBuf),
    /// `loop:FILE`: as microphone the file, again and again. No speaker.
    Loop(PathBuf),
    /// Anything else: the device with this name, as lists show it.
    Named(String),
}

/// What is wrong with a device's text form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sound device {text:?}: {reason}")]
pub struct SpecError {
    text: String,
    reason: &'static str,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = |reason| SpecError { text: text.to_owned(), reason };
        match text.split_once(':') {
            Some(("wav" | "loop", "")) => Err(error("the file is missing")),
            Some(("wav", file)) => Ok(Self::Wav(file.into())),
            Some(("loop", file)) => Ok(Self::Loop(file.into())),
            _ => match text {
                "" => Err(error("want default, none, test, wav:<file> or the name of a device")),
                "default" => Ok(Self::Default),
                "none" => Ok(Self::None),
                "test" => Ok(Self::Test),
                name => Ok(Self::Named(name.to_owned())),
            },
        }
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::None => f.write_str("none"),
            Self::Test => f.write_str("test"),
            Self::Wav(file) => write!(f, "wav:{}", file.display()),
            Self::Loop(file) => write!(f, "loop:{}", file.display()),
            Self::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_has_its_word_and_comes_back_from_it() {
        for (text, want) in [
            ("default", Spec::Default),
            ("none", Spec::None),
            ("test", Spec::Test),
            ("wav:/tmp/a b.wav", Spec::Wav("/tmp/a b.wav".into())),
            ("loop:x.wav", Spec::Loop("x.wav".into())),
            ("USB Headset: Mic", Spec::Named("USB Headset: Mic".into())),
        ] {
            assert_eq!(text.parse::<Spec>().as_ref(), Ok(&want));
            assert_eq!(want.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, want) in
            [("", "want default"), ("wav:", "the file is missing"), ("loop:", "the file is missing")]
        {
            let error = text.parse::<Spec>().expect_err("no device").to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
