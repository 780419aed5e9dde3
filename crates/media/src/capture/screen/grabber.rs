//! Copies what a screen or a window shows.

use std::time::{Duration, Instant};

use farwheel_proto::video::Size;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat, ImageOrder, Pixmap, Window};
use x11rb::protocol::{ErrorKind, Event, composite, damage, shm};
use x11rb::rust_connection::RustConnection;

use super::list::{Area, monitors};
use super::pointer::Pointer;
use super::shared::Shared;
use crate::capture::Error;
use crate::capture::spec::Target;
use crate::colour::{self, Pixel};
use crate::frame::{Pool, VideoFrame};

/// A connection to the X server that looks at one screen or window.
pub(super) struct Grabber {
    connection: RustConnection,
    root: Window,
    target: Target,
    memory: Option<(shm::Seg, Shared)>,
    /// The monitor's place, looked up again now and then, or the window's place on the desktop.
    area: Area,
    area_until: Instant,
    /// The window's own pixels; named anew when its size changes.
    pixmap: Option<Pixmap>,
    damage: damage::Damage,
    is_damaged: bool,
    pointer_at: Option<(i16, i16)>,
    pool: Pool,
}

/// A monitor's place is looked up so often; it changes when the user arranges screens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// All planes of a picture.
const ALL_PLANES: u32 = !0;

/// Connects to a desktop.
pub(super) fn connect(display: Option<&str>) -> Result<(RustConnection, usize), Error> {
    RustConnection::connect(display).map_err(|e| Error::Missing(format!("no X11 desktop to share: {e}")))
}

/// Whether the server is the X11 side of a Wayland desktop.
pub(super) fn is_xwayland(connection: &RustConnection) -> bool {
    let reply = connection.query_extension(b"XWAYLAND").ok().and_then(|cookie| cookie.reply().ok());
    reply.is_some_and(|reply| reply.present)
}

/// The connection is over.
pub(super) fn gone(error: ConnectionError) -> Error {
    Error::Lost(format!("the X11 desktop is gone: {error}"))
}

fn failed(error: ReplyOrIdError) -> Error {
    match error {
        ReplyOrIdError::ConnectionError(error) => gone(error),
        other => Error::Lost(other.to_string()),
    }
}

impl Grabber {
    pub(super) fn connect(display: Option<&str>, target: Target) -> Result<Self, Error> {
        let (connection, screen) = connect(display)?;
        let setup = connection.setup();
        let root = setup.roots[screen].root;
        let is_usual = setup.image_byte_order == ImageOrder::LSB_FIRST
            && setup
                .pixmap_formats
                .iter()
                .any(|f| f.depth == setup.roots[screen].root_depth && f.bits_per_pixel == 32)
            && setup.roots[screen].root_depth >= 24;
        if !is_usual {
            return Err(Error::Unsupported("this desktop does not have colours of 8 bits each".into()));
        }
        for (name, what) in [
            (shm::X11_EXTENSION_NAME, "shared memory (MIT-SHM)"),
            (damage::X11_EXTENSION_NAME, "notice of changes (DAMAGE)"),
            (composite::X11_EXTENSION_NAME, "windows' own pixels (COMPOSITE)"),
        ] {
            if connection.extension_information(name).map_err(gone)?.is_none() {
                return Err(Error::Unsupported(format!("this desktop has no {what}")));
            }
        }
        // Each extension has to hear a version before it serves.
        let lost = |e: ReplyError| Error::Lost(e.to_string());
        let version = connection.shm_query_version().map_err(gone)?.reply().map_err(lost)?;
        if (version.major_version, version.minor_version) < (1, 2) {
            return Err(Error::Unsupported("this desktop's shared memory is older than version 1.2".into()));
        }
        connection.damage_query_version(1, 1).map_err(gone)?.reply().map_err(lost)?;
        connection.composite_query_version(0, 4).map_err(gone)?.reply().map_err(lost)?;
        connection.xfixes_query_version(4, 0).map_err(gone)?.reply().map_err(lost)?;
        let watched = match target {
            Target::Monitor(_) if is_xwayland(&connection) => {
                let reason = "on Wayland only windows of X11 programs can be shared: run them with X11, or log in to an \
                              X11 session to share a whole screen";
                return Err(Error::Unsupported(reason.into()));
            }
            Target::Monitor(_) => root,
            Target::Window(window) => {
                let redirect =
                    connection.composite_redirect_window(window, Redirect::AUTOMATIC).map_err(gone)?;
                redirect.check().map_err(window_error)?;
                window
            }
        };
        let damage = connection.generate_id().map_err(failed)?;
        let create = connection.damage_create(damage, watched, ReportLevel::NON_EMPTY).map_err(gone)?;
        create.check().map_err(window_error)?;
        let now = Instant::now();
        let mut grabber = Self {
            connection,
            root,
            target,
            memory: None,
            area: Area { x: 0, y: 0, width: 0, height: 0 },
            area_until: now,
            pixmap: None,
            damage,
            is_damaged: true,
            pointer_at: None,
            pool: Pool::new(),
        };
        grabber.look(now)?;
        Ok(grabber)
    }

    /// Whether something was drawn, or the pointer moved over it, since the last [`grab`](Self::grab).
    pub(super) fn has_changed(&mut self) -> Result<bool, Error> {
        while let Some(event) = self.connection.poll_for_event().map_err(gone)? {
            if let Event::DamageNotify(_) = event {
                self.is_damaged = true;
            }
        }
        let pointer = self.connection.query_pointer(self.root).map_err(gone)?.reply();
        let pointer = pointer.map_err(|e| Error::Lost(e.to_string()))?;
        let at = Some((pointer.root_x, pointer.root_y));
        let has_moved = at != self.pointer_at;
        self.pointer_at = at;
        let before = self.area;
        self.look(Instant::now())?;
        Ok(self.is_damaged || has_moved || self.area != before)
    }

    /// What is shown now; none while the window is hidden.
    pub(super) fn grab(&mut self, now: Instant) -> Result<Option<VideoFrame>, Error> {
        // Asked before the picture is taken: what is drawn meanwhile counts as new.
        self.connection.damage_subtract(self.damage, x11rb::NONE, x11rb::NONE).map_err(gone)?;
        self.is_damaged = false;
        let size = Size::new(self.area.width.into(), self.area.height.into());
        if self.area.width < 2 || self.area.height < 2 {
            return Err(Error::Unsupported(format!("{}x{} is too small", self.area.width, self.area.height)));
        }
        let (drawable, x, y) = match self.target {
            Target::Monitor(_) => (self.root, self.area.x, self.area.y),
            Target::Window(window) => match self.pixels_of(window)? {
                Some(pixmap) => (pixmap, 0, 0),
                None => return Ok(None),
            },
        };
        let pointer = self.pointer()?;
        if !self.copy(drawable, (x, y), size)? {
            // It changed its size this very moment, or was hidden: looked up again for the next picture.
            self.area_until = now;
            self.drop_pixmap()?;
            self.is_damaged = true;
            return Ok(None);
        }
        let Some((_, memory)) = &mut self.memory else { return Ok(None) };
        let bytes = &mut memory.bytes()[..size.pixels() * 4];
        if let Some(pointer) = pointer {
            pointer.draw(bytes, size);
        }
        let mut picture = self.pool.take(size);
        colour::from_pixels(bytes, size.width as usize * 4, Pixel::Bgrx, &mut picture)
            .map_err(|e| Error::Unsupported(e.to_string()))?;
        Ok(Some(picture.share(&mut self.pool, now)))
    }

    /// Looks where the screen or window is.
    fn look(&mut self, now: Instant) -> Result<(), Error> {
        match self.target {
            Target::Monitor(number) => {
                if now >= self.area_until {
                    let monitors = monitors(&self.connection, self.root)?;
                    let missing = || Error::Missing(format!("there is no screen {}", number + 1));
                    self.area = *monitors.get(usize::from(number)).ok_or_else(missing)?;
                    self.area_until = now + LOOK_EVERY;
                }
            }
            Target::Window(window) => {
                let geometry =
                    self.connection.get_geometry(window).map_err(gone)?.reply().map_err(window_error)?;
                let place = self.connection.translate_coordinates(window, self.root, 0, 0).map_err(gone)?;
                let place = place.reply().map_err(window_error)?;
                if (geometry.width, geometry.height) != (self.area.width, self.area.height) {
                    self.drop_pixmap()?;
                }
                self.area =
                    Area { x: place.dst_x, y: place.dst_y, width: geometry.width, height: geometry.height };
            }
        }
        Ok(())
    }

    /// The window's own pixels; none while it is hidden.
    fn pixels_of(&mut self, window: Window) -> Result<Option<Pixmap>, Error> {
        if self.pixmap.is_none() {
            let pixmap = self.connection.generate_id().map_err(failed)?;
            let named = self.connection.composite_name_window_pixmap(window, pixmap).map_err(gone)?.check();
            match named {
                Ok(()) => self.pixmap = Some(pixmap),
                Err(ReplyError::X11Error(error)) if error.error_kind == ErrorKind::Match => return Ok(None),
                Err(error) => return Err(window_error(error)),
            }
        }
        Ok(self.pixmap)
    }

    fn drop_pixmap(&mut self) -> Result<(), Error> {
        if let Some(pixmap) = self.pixmap.take() {
            self.connection.free_pixmap(pixmap).map_err(gone)?;
        }
        Ok(())
    }

    /// Has the server copy a part of a drawable; false if it does not have that part.
    fn copy(&mut self, drawable: Drawable, (x, y): (i16, i16), size: Size) -> Result<bool, Error> {
        let seg = self.segment(size.pixels() * 4)?;
        let (width, height) = (size.width as u16, size.height as u16);
        let format = ImageFormat::Z_PIXMAP.into();
        let cookie = self.connection.shm_get_image(drawable, x, y, width, height, ALL_PLANES, format, seg, 0);
        match cookie.map_err(gone)?.reply() {
            Ok(reply) if reply.depth >= 24 => Ok(true),
            Ok(reply) => Err(Error::Unsupported(format!("this window has {} bits of colour", reply.depth))),
            Err(ReplyError::X11Error(error))
                if matches!(error.error_kind, ErrorKind::Match | ErrorKind::Drawable) =>
            {
                Ok(false)
            }
            Err(error) => Err(window_error(error)),
        }
    }

    /// Shared memory of at least so many bytes.
    fn segment(&mut self, bytes: usize) -> Result<shm::Seg, Error> {
        if let Some((seg, memory)) = &self.memory {
            if memory.length() >= bytes {
                return Ok(*seg);
            }
            self.connection.shm_detach(*seg).map_err(gone)?;
        }
        let no_memory = |e: std::io::Error| Error::Lost(format!("no shared memory: {e}"));
        let (memory, descriptor) = Shared::new(bytes).map_err(no_memory)?;
        let seg = self.connection.generate_id().map_err(failed)?;
        let attach = self.connection.shm_attach_fd(seg, descriptor, false).map_err(gone)?;
        attach
            .check()
            .map_err(|e| Error::Unsupported(format!("the desktop does not take shared memory: {e}")))?;
        self.memory = Some((seg, memory));
        Ok(seg)
    }

    /// The pointer where it is over the picture.
    fn pointer(&self) -> Result<Option<Pointer>, Error> {
        // Without a pointing device there is none.
        let Ok(image) = self.connection.xfixes_get_cursor_image().map_err(gone)?.reply() else {
            return Ok(None);
        };
        let (x, y) = (i32::from(image.x) - i32::from(image.xhot), i32::from(image.y) - i32::from(image.yhot));
        Ok(Some(Pointer {
            x: x - i32::from(self.area.x),
            y: y - i32::from(self.area.y),
            width: image.width.into(),
            pixels: image.cursor_image,
        }))
    }
}

/// What an error about a window means.
fn window_error(error: ReplyError) -> Error {
    match error {
        ReplyError::ConnectionError(error) => gone(error),
        ReplyError::X11Error(error)
            if matches!(error.error_kind, ErrorKind::Window | ErrorKind::Drawable | ErrorKind::Pixmap) =>
        {
            Error::Missing("the shared window was closed".into())
        }
        ReplyError::X11Error(error) => Error::Lost(format!("the desktop refuses: {:?}", error.error_kind)),
    }
}
