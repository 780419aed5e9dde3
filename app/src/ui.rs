//! The window: reads a [`Model`], returns [`Command`]s. One panel per file; none of them waits, decodes or measures.

pub mod app;
mod call;
mod calls;
mod code;
mod connect;
mod drive;
mod gamepad;
mod keys;
mod letters;
mod logo;
mod notices;
mod pair;
mod prejoin;
mod ring;
mod settings;
mod shortcuts;
mod stats;
pub mod theme;
mod units;
mod widgets;
pub mod window;

use std::sync::Arc;

pub use app::{Options, run};
pub use window::{Page, Window};

use crate::model::call::Source;
use crate::model::{Command, Model};
use crate::render::slot::Slot;

/// Where pictures arrive.
#[derive(Clone, Copy)]
pub struct Pictures<'a> {
    /// That of the robot.
    pub drive: &'a Slot,
    /// Those of a call, while there are any of a source.
    pub call: &'a dyn Fn(Source) -> Option<Slot>,
}

impl std::fmt::Debug for Pictures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pictures").field("drive", self.drive).finish_non_exhaustive()
    }
}

/// What the window needs of the rest of the app.
///
/// Both implementations (the real session, and the canned one of the gallery) must return at once: these are called
/// between two paints.
pub trait Backend {
    /// Brings the model up to this instant; called once before each paint.
    fn refresh(&mut self, model: &mut Model);

    /// Executes what the user asked for.
    fn execute(&mut self, command: Command);

    /// Where decoded pictures arrive.
    fn pictures(&self) -> &Slot;

    /// Where decoded pictures of a call arrive, while there are any of this source. The slot asks for its paints
    /// itself: whoever fills it gives it what [`Backend::on_change`] gave.
    fn call_picture(&self, source: Source) -> Option<Slot> {
        let _ = source;
        None
    }

    /// Gives the session a way to ask for a paint, such as after a link state change.
    fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>);

    /// Whether the window shall close; asked before each paint.
    fn is_done(&self) -> bool {
        false
    }

    /// What takes a picture of the window, if one is wanted at this moment.
    fn screenshot(&mut self) -> Option<eframe::egui::ScreenshotCallback> {
        None
    }
}
