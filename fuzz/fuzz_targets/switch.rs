#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farwheel_fuzz::targets::switch(bytes));
