#![no_main]

use farwheel_media::y4m::Reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut reader) = Reader::new(bytes) {
        // A few pictures: a header may promise large ones, the bytes decide how many there are.
        while reader.read().is_ok() {}
    }
});
