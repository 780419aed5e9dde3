//! The simulated car: a bicycle model on a circuit, seen through a camera on its roof.
//!
//! [`World`] moves in fixed steps under [`Controls`]; a [`Scene`] taken from it is drawn by a [`Renderer`]. Nothing
//! here reads a clock or a file: the same seed and the same controls give the same path and the same pictures.

pub mod autopilot;
mod camera;
mod car;
mod cones;
mod geometry;
mod lap;
mod render;
mod scenery;
mod track;
mod world;

pub use camera::{Camera, Lens, PAN_MAX, TILT_MAX};
pub use car::{Controls, STEER_MAX, TREAD, WHEELBASE};
pub use geometry::{Vec2, Vec3, vec2, vec3};
pub use render::{Picture, Renderer};
pub use track::{KERB_WIDTH, Nearest, Point, Track};
pub use world::{CALL_MAX, STEP, Scene, State, World};

#[cfg(test)]
mod tests;
