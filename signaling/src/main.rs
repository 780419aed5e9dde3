//! `farwheel-signaling`: see `farwheel-signaling serve --help`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use farwheel_signaling::Server;
use farwheel_signaling::config::{self, Config, Settings};
use tokio::signal::unix::{SignalKind, signal};

/// Rooms, STUN and TURN for Farwheel in one program.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. Without options it serves this machine only.
    Serve(Box<Serve>),
}

#[derive(clap::Args)]
struct Serve {
    /// File with the same settings in TOML; flags and environment win over it.
    #[arg(long, value_name = "FILE", env = "FARWHEEL_SIGNALING_CONFIG")]
    config: Option<std::path::PathBuf>,
    /// Print the settings in force as a configuration file, and end.
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let Arguments { command: Command::Serve(serve) } = Arguments::parse();
    match run(*serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farwheel-signaling: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: Serve) -> anyhow::Result<()> {
    let file = serve.config.as_deref().map(config::read_file).transpose()?.unwrap_or_default();
    let settings = serve.settings.or(file);
    if serve.print_config {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let filter = settings.log_filter();
    let ready_file = settings.ready_file.clone();
    let config = Config::try_from(settings)?;
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_new(&filter).context("setting log")?)
        .with_writer(std::io::stderr)
        .init();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = Server::bind(config).await?;
        let announcement = server.announcement();
        if let Some(path) = ready_file {
            std::fs::write(&path, &announcement).with_context(|| format!("write {}", path.display()))?;
        }
        // A closed standard output is no reason not to serve.
        std::io::stdout().lock().write_all(announcement.as_bytes()).ok();
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server.serve(stop).await
    })
}
