//! Whether the codec has its hand-written assembler.
//!
//! `openh264-sys2` runs `nasm` while it is built. If that program is missing or fails, it says nothing and builds plain
//! C++, and a 720p picture takes more than twice as long to encode. The codec's own processor detection
//! is compiled only together with the assembler; without it, it finds no features at all.

use std::ffi::c_int;

// Only to have the codec's static library linked wherever this symbol is used.
use openh264_sys2 as _;

/// What the codec was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembler {
    /// Hand-written assembler is in and this processor can run it.
    Used,
    /// Plain C++: slow. On x86, `nasm` was missing when Farwheel was built.
    Missing,
}

/// Tells what the codec was built with.
pub fn assembler() -> Assembler {
    let mut processors: c_int = 0;
    // SAFETY: the function only reads processor identification and writes one number through the pointer.
    let features = unsafe { WelsCPUFeatureDetect(&mut processors) };
    if features == 0 { Assembler::Missing } else { Assembler::Used }
}

impl Assembler {
    /// One sentence for `check` and `doctor`.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Used => "the video codec uses its assembler",
            Self::Missing if cfg!(any(target_arch = "x86_64", target_arch = "x86")) => {
                "the video codec was built without nasm and is two to three times slower; install nasm and build again"
            }
            Self::Missing => "the video codec has no assembler for this processor and is slow",
        }
    }
}

unsafe extern "C" {
    /// `codec/common/inc/cpu.h`: bits of the features found; 0 without assembler.
    fn WelsCPUFeatureDetect(processors: *mut c_int) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_codec_is_built_with_its_assembler() {
        assert_eq!(assembler(), Assembler::Used, "{}", assembler().in_words());
    }
}
