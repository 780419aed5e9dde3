//! The stream of a screen, as a compositor makes one: pictures of one colour, in memory that is shared.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use pipewire::context::ContextRc;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::properties;
use pipewire::spa;
use pipewire::stream::{StreamFlags, StreamRc, StreamState};
use spa::param::ParamType;
use spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use spa::param::video::VideoFormat;
use spa::pod::serialize::PodSerializer;
use spa::pod::{ChoiceValue, Object, Pod, Property, PropertyFlags, Value, object, property};
use spa::utils::{Choice, ChoiceEnum, ChoiceFlags, Fraction, Rectangle, SpaTypes};

/// A screen; its stream ends with it.
pub(super) struct Screen {
    orders: pipewire::channel::Sender<Order>,
    node: u32,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    /// Blue, green, red.
    Paint([u8; 3]),
    Resize(u32, u32),
    End,
}

impl Screen {
    /// 640x480 and red.
    pub(super) fn start(remote: OwnedFd) -> Self {
        let (orders, orders_rx) = pipewire::channel::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || run(remote, orders_rx, tell));
        let node = told.recv_timeout(farwheel_lab::program::PATIENCE).expect("a node for the stream");
        Self { orders, node, thread: Some(thread) }
    }

    pub(super) fn node(&self) -> u32 {
        self.node
    }

    pub(super) fn paint(&self, colour: [u8; 3]) {
        assert!(self.orders.send(Order::Paint(colour)).is_ok());
    }

    pub(super) fn resize(&self, width: u32, height: u32) {
        assert!(self.orders.send(Order::Resize(width, height)).is_ok());
    }

    /// As when the compositor ends it without a word.
    pub(super) fn end(&self) {
        assert!(self.orders.send(Order::End).is_ok());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already.
        self.orders.send(Order::End).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn run(remote: OwnedFd, orders: pipewire::channel::Receiver<Order>, tell: mpsc::Sender<u32>) {
    pipewire::init();
    let main = MainLoopRc::new(None).unwrap();
    let context = ContextRc::new(&main, None).unwrap();
    let core = context.connect_fd_rc(remote, None).unwrap();
    let properties = properties! {
        *pipewire::keys::MEDIA_CLASS => "Video/Source",
        *pipewire::keys::NODE_NAME => "lab-screen",
    };
    let stream = StreamRc::new(core, "lab-screen", properties).unwrap();
    let (size, colour) = (Rc::new(Cell::new((640, 480))), Rc::new(RefCell::new([0, 0, 255])));
    // A still screen sends nothing: what is due is one picture after each change.
    let due = Rc::new(Cell::new(1));
    let _listener = stream
        .add_local_listener_with_user_data(())
        .state_changed({
            let due = Rc::clone(&due);
            move |stream, (), _, new| match new {
                StreamState::Paused => drop(tell.send(stream.node_id())),
                StreamState::Streaming => due.set(1),
                _ => {}
            }
        })
        .param_changed({
            let size = Rc::clone(&size);
            move |stream, (), id, param| {
                if id == ParamType::Format.as_raw() && param.is_some() {
                    let buffers = buffers(size.get());
                    let pod = Pod::from_bytes(&buffers).unwrap();
                    stream.update_params(&mut [pod]).unwrap();
                }
            }
        })
        .process({
            let (size, colour, due) = (Rc::clone(&size), Rc::clone(&colour), Rc::clone(&due));
            move |stream, ()| {
                let Some(mut buffer) = stream.dequeue_buffer() else { return };
                let (width, height) = size.get();
                let Some(data) = buffer.datas_mut().first_mut() else { return };
                let length = (width * height * 4) as usize;
                let Some(bytes) = data.data().and_then(|bytes| bytes.get_mut(..length)) else {
                    // Of the size before; the new ones are on their way.
                    *data.chunk_mut().size_mut() = 0;
                    return;
                };
                let [blue, green, red] = *colour.borrow();
                for pixel in bytes.chunks_exact_mut(4) {
                    pixel.copy_from_slice(&[blue, green, red, 0]);
                }
                let chunk = data.chunk_mut();
                (*chunk.offset_mut(), *chunk.size_mut()) = (0, length as u32);
                *chunk.stride_mut() = width as i32 * 4;
                due.set(due.get() - 1);
            }
        })
        .register()
        .unwrap();
    let _orders = orders.attach(main.loop_(), {
        let (stream, main, due) = (stream.clone(), main.clone(), Rc::clone(&due));
        let (size, colour) = (Rc::clone(&size), Rc::clone(&colour));
        move |order| match order {
            Order::Paint(new) => {
                *colour.borrow_mut() = new;
                due.set(1);
            }
            Order::Resize(width, height) => {
                size.set((width, height));
                let format = format((width, height));
                stream.update_params(&mut [Pod::from_bytes(&format).unwrap()]).unwrap();
                due.set(1);
            }
            Order::End => {
                stream.disconnect().ok();
                main.quit();
            }
        }
    });
    let timer = main.loop_().add_timer({
        let stream = stream.clone();
        move |_| {
            if stream.state() == StreamState::Streaming && due.get() > 0 {
                // SAFETY: the stream lives as long as this timer, and this is the thread of its loop.
                let triggered = unsafe { pipewire::sys::pw_stream_trigger_process(stream.as_raw_ptr()) };
                assert!(triggered >= 0, "the picture is not sent: {triggered}");
            }
        }
    });
    let tick = Some(Duration::from_millis(20));
    timer.update_timer(tick, tick).into_result().unwrap();
    let format = format(size.get());
    let flags = StreamFlags::DRIVER | StreamFlags::MAP_BUFFERS;
    let mut params = [Pod::from_bytes(&format).unwrap()];
    stream.connect(spa::utils::Direction::Output, None, flags, &mut params).unwrap();
    main.run();
}

fn format((width, height): (u32, u32)) -> Vec<u8> {
    bytes(object!(
        SpaTypes::ObjectParamFormat,
        ParamType::EnumFormat,
        property!(FormatProperties::MediaType, Id, MediaType::Video),
        property!(FormatProperties::MediaSubtype, Id, MediaSubtype::Raw),
        property!(FormatProperties::VideoFormat, Id, VideoFormat::BGRx),
        property!(FormatProperties::VideoSize, Rectangle, Rectangle { width, height }),
        property!(FormatProperties::VideoFramerate, Fraction, Fraction { num: 0, denom: 1 }),
        property!(
            FormatProperties::VideoMaxFramerate,
            Choice,
            Range,
            Fraction,
            Fraction { num: 60, denom: 1 },
            Fraction { num: 1, denom: 1 },
            Fraction { num: 60, denom: 1 }
        ),
    ))
}

fn buffers((width, height): (u32, u32)) -> Vec<u8> {
    let kinds = 1 << spa::buffer::DataType::MemFd.as_raw();
    let flags = ChoiceEnum::Flags { default: kinds, flags: vec![kinds] };
    let entry = |key, value| Property { key, flags: PropertyFlags::empty(), value };
    bytes(Object {
        type_: SpaTypes::ObjectParamBuffers.as_raw(),
        id: ParamType::Buffers.as_raw(),
        properties: vec![
            entry(spa::sys::SPA_PARAM_BUFFERS_blocks, Value::Int(1)),
            entry(spa::sys::SPA_PARAM_BUFFERS_size, Value::Int((width * height * 4) as i32)),
            entry(spa::sys::SPA_PARAM_BUFFERS_stride, Value::Int(width as i32 * 4)),
            entry(
                spa::sys::SPA_PARAM_BUFFERS_dataType,
                Value::Choice(ChoiceValue::Int(Choice(ChoiceFlags::empty(), flags))),
            ),
        ],
    })
}

fn bytes(object: Object) -> Vec<u8> {
    let written = PodSerializer::serialize(std::io::Cursor::new(Vec::new()), &Value::Object(object));
    written.unwrap().0.into_inner()
}
