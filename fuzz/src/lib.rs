//! Fuzz targets for every decoder of peer input.
//!
//! With [cargo-fuzz](https://rust-fuzz.github.io/book/) and a nightly toolchain: `cargo +nightly fuzz run rooms`. On
//! stable Rust the same functions run for a bounded number of cases in `cargo test -p farwheel-proto --test decoders`.

pub mod targets;
