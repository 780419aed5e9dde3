//! Progress lines: one per step, with the time it took.

use std::time::Instant;

use anyhow::Result;

/// Says what is about to happen, does it, and says how long it took or that it failed.
///
/// # Errors
/// Returns what `work` returned.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\x1b[1m==> {name}\x1b[0m");
    let start = Instant::now();
    let result = work();
    let took = start.elapsed().as_secs_f32();
    match &result {
        Ok(_) => println!("    ok, {name} ({took:.1} s)"),
        Err(_) => println!("    FAILED: {name} ({took:.1} s)"),
    }
    result
}
