//! What is agreed with the desktop about its pictures.

use farwheel_media::capture::Error;
use farwheel_media::colour::Pixel;
use pipewire::spa;
use spa::buffer::DataType;
use spa::param::ParamType;
use spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use spa::param::video::{VideoFormat, VideoInfoRaw};
use spa::pod::serialize::PodSerializer;
use spa::pod::{ChoiceValue, Object, Pod, Property, PropertyFlags, Value, object, property};
use spa::utils::{Choice, ChoiceEnum, ChoiceFlags, Fraction, Id, Rectangle, SpaTypes};

/// How the pictures of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel: Pixel,
}

impl Format {
    /// What was agreed on.
    pub(super) fn parse(param: &Pod) -> Result<Self, Error> {
        let unusable = |what: String| Error::Unsupported(format!("the desktop sends {what}"));
        let mut info = VideoInfoRaw::new();
        info.parse(param).map_err(|error| unusable(format!("a format that cannot be read: {error}")))?;
        let pixel = match info.format() {
            VideoFormat::BGRx | VideoFormat::BGRA => Pixel::Bgrx,
            VideoFormat::RGBx | VideoFormat::RGBA => Pixel::Rgbx,
            other => return Err(unusable(format!("pictures as {other:?}"))),
        };
        Ok(Self { width: info.size().width, height: info.size().height, pixel })
    }
}

/// What this side takes. Without a modifier among it, the desktop sends shared memory.
pub(super) fn offered(fps: u32) -> Vec<u8> {
    let most = Fraction { num: fps, denom: 1 };
    bytes(object!(
        SpaTypes::ObjectParamFormat,
        ParamType::EnumFormat,
        property!(FormatProperties::MediaType, Id, MediaType::Video),
        property!(FormatProperties::MediaSubtype, Id, MediaSubtype::Raw),
        property!(
            FormatProperties::VideoFormat,
            Choice,
            Enum,
            Id,
            VideoFormat::BGRx,
            VideoFormat::BGRx,
            VideoFormat::RGBx,
            VideoFormat::BGRA,
            VideoFormat::RGBA,
        ),
        property!(
            FormatProperties::VideoSize,
            Choice,
            Range,
            Rectangle,
            Rectangle { width: 1920, height: 1080 },
            Rectangle { width: 1, height: 1 },
            Rectangle { width: SIDE_MAX, height: SIDE_MAX }
        ),
        // 0: only when something was drawn.
        property!(
            FormatProperties::VideoFramerate,
            Choice,
            Range,
            Fraction,
            Fraction { num: 0, denom: 1 },
            Fraction { num: 0, denom: 1 },
            Fraction { num: 1000, denom: 1 }
        ),
        property!(
            FormatProperties::VideoMaxFramerate,
            Choice,
            Range,
            Fraction,
            most,
            Fraction { num: 1, denom: 1 },
            most
        ),
    ))
}

/// Asks for buffers in shared memory, and to be told which part of them is the picture.
pub(super) fn agree_on_buffers(stream: &pipewire::stream::Stream) -> Result<(), pipewire::Error> {
    let kinds = 1 << DataType::MemFd.as_raw() | 1 << DataType::MemPtr.as_raw();
    let flags = ChoiceEnum::Flags { default: kinds, flags: vec![kinds] };
    let kinds = Value::Choice(ChoiceValue::Int(Choice(ChoiceFlags::empty(), flags)));
    let buffers = bytes(Object {
        type_: SpaTypes::ObjectParamBuffers.as_raw(),
        id: ParamType::Buffers.as_raw(),
        properties: vec![entry(spa::sys::SPA_PARAM_BUFFERS_dataType, kinds)],
    });
    let region = i32::try_from(size_of::<spa::sys::spa_meta_region>()).expect("some bytes");
    let crop = bytes(Object {
        type_: SpaTypes::ObjectParamMeta.as_raw(),
        id: ParamType::Meta.as_raw(),
        properties: vec![
            entry(spa::sys::SPA_PARAM_META_type, Value::Id(Id(spa::sys::SPA_META_VideoCrop))),
            entry(spa::sys::SPA_PARAM_META_size, Value::Int(region)),
        ],
    });
    let pods = [&buffers, &crop].map(|bytes| Pod::from_bytes(bytes).expect("written as one"));
    stream.update_params(&mut { pods })
}

fn entry(key: u32, value: Value) -> Property {
    Property { key, flags: PropertyFlags::empty(), value }
}

fn bytes(object: Object) -> Vec<u8> {
    let into = std::io::Cursor::new(Vec::new());
    let written = PodSerializer::serialize(into, &Value::Object(object));
    written.expect("memory takes what is written").0.into_inner()
}

/// Longest side that a texture may have.
const SIDE_MAX: u32 = 16384;
