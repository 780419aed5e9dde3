//! The log, and what a panic does.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Writes the log to standard error; `FARWHEEL_ROBOT_LOG` chooses what (`info` without it).
pub fn start(process: &'static str) {
    let filter = EnvFilter::try_from_env("FARWHEEL_ROBOT_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("error,{},{DEFAULT}", farwheel_peer::LOG_DIRECTIVES)));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_thread_names(false)
        .init();
    tracing::debug!(process, pid = std::process::id(), version = env!("CARGO_PKG_VERSION"), "log begins");
}

/// A panic in any thread ends the whole process: half a robot must not drive. The other process of the pair then
/// brings the outputs to neutral.
pub fn panic_ends_process() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// Ours. What the connections say for themselves is told by the room's task once for each change, and the engine's own
/// log is for those who look for a fault in it.
const DEFAULT: &str = "farwheel_robot=info,farwheel_peer=warn,farwheel_media=info,farwheel_proto=info";
