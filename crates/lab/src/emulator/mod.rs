//! A link in real time: a TUN device in each of two network namespaces and a loop that carries packets between them
//! through the same bottleneck that virtual time has.
//!
//! * [`Namespace`]: a network of its own, gone when dropped
//! * [`Direction`]: one way of the link, without a clock: a bottleneck or an open road, then packets in flight
//! * [`Link`]: the running link; [`Link::between`] joins two namespaces, whoever made them
//! * [`Log`]: what was sent when and what became of it
//! * [`Testimony`]: what the programs at its ends say of a run
//!
//! It needs root and `/dev/net/tun`; [`obstacle`] says what is missing.

mod direction;
mod log;
mod namespace;
mod options;
mod relay;
mod testimony;
mod tun;

pub use direction::{Direction, Road, Way};
pub use log::{CAPACITY_EVERY, Fate, Log, Packet};
pub use namespace::{Namespace, obstacle, within};
pub use options::{Generated, Options};
pub use relay::{Devices, End, Link};
pub use testimony::{Hearing, Testimony};
