//! Robots and apps behind address translation and firewalls: network namespaces with nftables around an internet of
//! emulated links, and the programs in them.
//!
//! ```text
//!   host -veth- router (nftables) -link- core -link- server
//!                                         |
//!                        ... one host and router for each site ...
//! ```
//!
//! * [`Kind`]: what stands between a site and the internet
//! * [`Internet`]: the core, the server's network, and the sites
//! * [`Stage`]: a signalling server there, robots, and apps that meet them
//!
//! It needs root; [`obstacle`] says what is missing.

mod kind;
mod network;
mod stage;

pub use kind::Kind;
pub use network::{Internet, SERVER, SERVER_TWO, Site};
pub use stage::{Meeting, Programs, Stage, Way};

/// What stands against it on this machine.
pub fn obstacle() -> Option<String> {
    crate::emulator::obstacle().or_else(|| {
        let found = std::process::Command::new("nft").arg("--version").output();
        found.err().map(|error| format!("nft (package nftables): {error}"))
    })
}
