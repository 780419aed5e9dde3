//! `farwheel`: sees and drives robots from afar.

use std::process::ExitCode;

fn main() -> ExitCode {
    farwheel::cli::run()
}
