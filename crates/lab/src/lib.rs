//! Worlds in virtual time: the cores of `proto` joined by seeded links, with faults, in milliseconds of real time; and
//! those links in real time.
//!
//! * [`clock`]: virtual time and the schedule of what happens next
//! * [`link`]: seeded links with delay, jitter, burst loss, reordering, duplication and partitions; cellular links by
//!   trace, recorded or generated
//! * [`emulator`]: the same links in real time, between two network namespaces
//! * [`nat`]: robots and apps behind address translation, between network namespaces
//! * [`device`]: real drivers, in the guest of `cargo xtask device-test`
//! * [`drive`]: a driver, a rival, a signalling server, the robot's two processes and a car, with faults and an
//!   oracle that watches every pulse
//! * [`program`]: the built programs, started by tests
//! * [`video`]: a camera's pictures over a cellular link, under the real rate control and repair
//!
//! Everything a world does follows from its seed. Nothing here reads a clock but the emulator, and the one `Instant` that
//! virtual time counts from, which no result depends on.

pub mod clock;
pub mod device;
pub mod drive;
pub mod emulator;
pub mod link;
pub mod nat;
pub mod program;
pub mod video;
