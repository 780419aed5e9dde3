//! What can be shared.

use farwheel_proto::video::Size;
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, MapState, Window};
use x11rb::rust_connection::RustConnection;

use super::grabber::{gone, is_xwayland};
use crate::capture::Error;
use crate::capture::spec::{Spec, Target};

/// A screen or a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What a user knows it by.
    pub name: String,
    /// How it is captured.
    pub spec: Spec,
    /// How large it is now.
    pub size: Size,
}

/// Longest title shown, in characters.
const TITLE_CHARS: usize = 60;
/// Windows listed at most.
const WINDOWS_MAX: usize = 100;
/// Smaller windows are parts of a desktop's own furniture.
const SIDE_MIN: u16 = 32;

/// Screens first, then windows, of the desktop that `DISPLAY` names.
///
/// # Errors
///
/// If there is no X11 desktop.
pub fn list() -> Result<Vec<Item>, Error> {
    list_of(None)
}

/// The same of another desktop, such as `:7`.
///
/// # Errors
///
/// If there is none.
pub fn list_of(display: Option<&str>) -> Result<Vec<Item>, Error> {
    let (connection, screen) = super::grabber::connect(display)?;
    let root = connection.setup().roots[screen].root;
    let mut items = Vec::new();
    if !is_xwayland(&connection) {
        let monitors = monitors(&connection, root)?;
        for (number, monitor) in monitors.into_iter().enumerate() {
            let size = Size::new(monitor.width.into(), monitor.height.into());
            let number = number as u16;
            let name = format!("Screen {} ({}×{})", number + 1, size.width, size.height);
            items.push(Item { name, spec: Spec::Screen(Target::Monitor(number)), size });
        }
    }
    for window in windows(&connection, root)? {
        // It may be closed by now.
        items.extend(describe(&connection, window));
    }
    Ok(items)
}

/// A part of the desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i16,
    pub(super) y: i16,
    pub(super) width: u16,
    pub(super) height: u16,
}

/// The screens of a desktop; without RandR it is one.
pub(super) fn monitors(connection: &RustConnection, root: Window) -> Result<Vec<Area>, Error> {
    let reply = connection.randr_get_monitors(root, true).ok().and_then(|cookie| cookie.reply().ok());
    let monitors = reply.map(|reply| reply.monitors).unwrap_or_default();
    let areas: Vec<Area> = monitors
        .iter()
        .map(|m| Area { x: m.x, y: m.y, width: m.width, height: m.height })
        .filter(|area| area.width > 1 && area.height > 1)
        .collect();
    if !areas.is_empty() {
        return Ok(areas);
    }
    let whole =
        connection.get_geometry(root).map_err(gone)?.reply().map_err(|e| Error::Lost(e.to_string()))?;
    Ok(vec![Area { x: 0, y: 0, width: whole.width, height: whole.height }])
}

/// The windows that the window manager lists; without one those that lie on the desktop.
fn windows(connection: &RustConnection, root: Window) -> Result<Vec<Window>, Error> {
    let lost = |e: x11rb::errors::ReplyError| Error::Lost(e.to_string());
    let atom = connection.intern_atom(false, b"_NET_CLIENT_LIST").map_err(gone)?.reply().map_err(lost)?.atom;
    let listed = connection.get_property(false, root, atom, AtomEnum::WINDOW, 0, WINDOWS_MAX as u32);
    let listed = listed.map_err(gone)?.reply().map_err(lost)?;
    if let Some(windows) = listed.value32().filter(|_| listed.type_ != x11rb::NONE) {
        return Ok(windows.collect());
    }
    let mut children = connection.query_tree(root).map_err(gone)?.reply().map_err(lost)?.children;
    children.truncate(WINDOWS_MAX);
    Ok(children)
}

fn describe(connection: &RustConnection, window: Window) -> Option<Item> {
    let attributes = connection.get_window_attributes(window).ok()?.reply().ok()?;
    let geometry = connection.get_geometry(window).ok()?.reply().ok()?;
    if attributes.map_state != MapState::VIEWABLE || attributes.override_redirect {
        return None;
    }
    if geometry.width < SIDE_MIN || geometry.height < SIDE_MIN {
        return None;
    }
    let name = title(connection, window)?;
    let size = Size::new(geometry.width.into(), geometry.height.into());
    Some(Item { name, spec: Spec::Screen(Target::Window(window)), size })
}

fn title(connection: &RustConnection, window: Window) -> Option<String> {
    let atom = |name: &[u8]| Some(connection.intern_atom(false, name).ok()?.reply().ok()?.atom);
    let (net_name, utf8) = (atom(b"_NET_WM_NAME")?, atom(b"UTF8_STRING")?);
    let read = |property: u32, kind: u32| {
        let reply = connection.get_property(false, window, property, kind, 0, 256).ok()?.reply().ok()?;
        let text = String::from_utf8_lossy(&reply.value).into_owned();
        let text = farwheel_proto::call::text::line(&text, TITLE_CHARS);
        (!text.is_empty()).then_some(text)
    };
    read(net_name, utf8).or_else(|| read(AtomEnum::WM_NAME.into(), AtomEnum::ANY.into()))
}
