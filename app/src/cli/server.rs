//! What several commands ask alike: which server, how to prove oneself to it, and how connections are made.

use std::path::PathBuf;

use clap::Args;
use farwheel_peer::{Bind, CandidatePolicy};

/// A signalling server.
#[derive(Clone, Debug, Args)]
pub(super) struct Server {
    /// Address of the signalling server, for example ws://192.168.1.10:8443 or wss://example.org.
    #[arg(long = "server", env = "FARWHEEL_SERVER", value_name = "URL")]
    pub(super) url: String,
    #[command(flatten)]
    pub(super) proof: Proof,
}

/// How server and user prove themselves to each other.
#[derive(Clone, Debug, Args)]
pub(super) struct Proof {
    /// File with the token for the server.
    #[arg(long, env = "FARWHEEL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file with certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

impl Proof {
    pub(super) fn token(&self) -> anyhow::Result<Option<String>> {
        self.token_file.as_deref().map(super::read_secret).transpose()
    }
}

/// Who connects, and how.
#[derive(Clone, Debug, Args)]
pub(super) struct Own {
    /// Name that others see [default: your login name].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Use relayed connections only: nobody at their other end learns this computer's address.
    #[arg(long)]
    relay_only: bool,
    /// Gather addresses from the loopback interface only: everything runs on this computer.
    #[arg(long)]
    loopback: bool,
}

impl Own {
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(crate::settings::login_name)
    }

    pub(super) const fn bind(&self) -> Bind {
        if self.loopback { Bind::Loopback } else { Bind::Everywhere }
    }

    pub(super) const fn candidates(&self) -> CandidatePolicy {
        if self.relay_only { CandidatePolicy::RelayOnly } else { CandidatePolicy::All }
    }
}
