//! The PipeWire stream of what was picked. Its thread (`screen-stream`) runs PipeWire's loop, and converts each picture
//! where it lies before giving the buffer back.

mod format;

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use farwheel_media::capture::Error;
use farwheel_media::frame::Pool;
use farwheel_media::slot::Slot;
use pipewire::context::ContextRc;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::properties;
use pipewire::spa;
use pipewire::spa::buffer::meta::MetaVideoCrop;
use pipewire::spa::pod::Pod;
use pipewire::spa::utils::Direction;
use pipewire::stream::{StreamBox, StreamFlags, StreamState};

use crate::Grabbed;
use crate::once::Once;
use crate::picture::{Crop, Layout};
use format::Format;

/// A stream being received; its thread ends with it.
pub(crate) struct Stream {
    quit: pipewire::channel::Sender<()>,
    ended: Arc<Once<Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Receives the pictures of a node.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(remote: OwnedFd, node: u32, fps: u32, frames: Slot<Grabbed>) -> Result<Self, Error> {
        let (quit, quit_rx) = pipewire::channel::channel();
        let ended = Arc::new(Once::new());
        let thread = std::thread::Builder::new().name("screen-stream".into()).spawn({
            let ended = Arc::clone(&ended);
            move || {
                let end = receive(remote, node, fps, frames, quit_rx);
                ended.set(end.err().unwrap_or_else(|| Error::Lost("the stream was left".into())));
            }
        });
        let thread = thread.map_err(|e| Error::Lost(format!("no thread for the stream: {e}")))?;
        Ok(Self { quit, ended, thread: Some(thread) })
    }

    /// Waits for its end, which comes from the other side.
    pub(crate) async fn ended(&self) -> Error {
        self.ended.wait().await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.quit.send(()).ok();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook.
            thread.join().ok();
        }
    }
}

/// Runs PipeWire's loop until told to quit, or until the stream ends.
fn receive(
    remote: OwnedFd,
    node: u32,
    fps: u32,
    frames: Slot<Grabbed>,
    quit: pipewire::channel::Receiver<()>,
) -> Result<(), Error> {
    pipewire::init();
    let main = MainLoopRc::new(None).map_err(failed)?;
    let _quit = quit.attach(main.loop_(), {
        let main = main.clone();
        move |()| main.quit()
    });
    let context = ContextRc::new(&main, None).map_err(failed)?;
    let core = context.connect_fd_rc(remote, None).map_err(failed)?;
    let end = Rc::new(RefCell::new(None));
    let fail = {
        let (end, main) = (Rc::clone(&end), main.clone());
        move |error: Error| {
            end.borrow_mut().get_or_insert(error);
            main.quit();
        }
    };
    let _core_listener = core
        .add_listener_local()
        .error({
            let fail = fail.clone();
            move |id, _, _, reason| match id {
                pipewire::core::PW_ID_CORE => fail(Error::Lost(format!("PipeWire is gone: {reason}"))),
                // The stream tells of its own errors by its state.
                _ => tracing::debug!(id, reason, "PipeWire reports"),
            }
        })
        .register();
    let properties = properties! {
        *pipewire::keys::MEDIA_TYPE => "Video",
        *pipewire::keys::MEDIA_CATEGORY => "Capture",
        *pipewire::keys::MEDIA_ROLE => "Screen",
    };
    let stream = StreamBox::new(&core, "farwheel-screen", properties).map_err(failed)?;
    let _listener = stream
        .add_local_listener_with_user_data(Receiving { format: None, pool: Pool::new(), frames })
        .state_changed({
            let fail = fail.clone();
            move |_, _, old, new| match new {
                StreamState::Error(reason) => {
                    fail(Error::Lost(format!("the desktop's stream ended: {reason}")))
                }
                StreamState::Unconnected if old != StreamState::Unconnected => {
                    fail(Error::Lost("it was ended in the desktop".into()));
                }
                StreamState::Unconnected
                | StreamState::Connecting
                | StreamState::Paused
                | StreamState::Streaming => tracing::debug!(?old, ?new, "stream of the desktop"),
            }
        })
        .param_changed(move |stream, receiving, id, param| {
            if id != spa::param::ParamType::Format.as_raw() {
                return;
            }
            let Some(param) = param else {
                receiving.format = None;
                return;
            };
            match Format::parse(param) {
                Ok(format) => {
                    tracing::debug!(?format, "format of the desktop's pictures");
                    receiving.format = Some(format);
                    if let Err(error) = format::agree_on_buffers(stream) {
                        fail(failed(error));
                    }
                }
                Err(error) => fail(error),
            }
        })
        .process(|stream, receiving| receiving.handle_buffers(stream))
        .register()
        .map_err(failed)?;
    let offered = format::offered(fps);
    let offered = Pod::from_bytes(&offered).expect("written as one");
    let flags = StreamFlags::AUTOCONNECT | StreamFlags::MAP_BUFFERS | StreamFlags::DONT_RECONNECT;
    stream.connect(Direction::Input, Some(node), flags, &mut [offered]).map_err(failed)?;
    main.run();
    end.take().map_or(Ok(()), Err)
}

/// What the stream's callbacks work with.
struct Receiving {
    format: Option<Format>,
    pool: Pool,
    frames: Slot<Grabbed>,
}

impl Receiving {
    /// Takes the newest picture there is; older ones go back unseen.
    fn handle_buffers(&mut self, stream: &pipewire::stream::Stream) {
        let Some(format) = self.format else { return };
        let mut newest = None;
        while let Some(mut buffer) = stream.dequeue_buffer() {
            // A buffer without content tells of something else than a picture.
            let is_picture = buffer.datas_mut().first().is_some_and(|data| {
                let chunk = data.as_raw().chunk;
                !chunk.is_null() && data.chunk().size() > 0 && data.chunk().flags().is_empty()
            });
            if is_picture {
                newest = Some(buffer);
            }
        }
        let Some(mut buffer) = newest else { return };
        let now = Instant::now();
        let crop = buffer.find_meta::<MetaVideoCrop>().map(|crop| crop.meta_region());
        let crop = crop.filter(|crop| crop.is_valid()).map(|crop| {
            let (at, size) = (crop.position(), crop.size());
            Crop {
                x: at.x.try_into().unwrap_or(0),
                y: at.y.try_into().unwrap_or(0),
                width: size.width,
                height: size.height,
            }
        });
        let Some(data) = buffer.datas_mut().first_mut() else { return };
        let layout = Layout {
            width: format.width,
            height: format.height,
            offset: data.chunk().offset() as usize,
            stride: data.chunk().stride().try_into().unwrap_or(0),
            pixel: format.pixel,
            crop,
        };
        let Some(bytes) = data.data() else { return };
        match layout.picture(bytes, &mut self.pool) {
            Ok(picture) => self.frames.put((picture.share(&mut self.pool, now), now.elapsed())),
            Err(error) => tracing::debug!(%error, "picture of the desktop left out"),
        }
    }
}

fn failed(error: pipewire::Error) -> Error {
    Error::Lost(format!("PipeWire refuses: {error}"))
}
