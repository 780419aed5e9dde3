//! OpenH264's decoder through its raw interface: its picture is copied once, straight into a pooled frame.

use std::ffi::c_int;
use std::ptr::{from_mut, null_mut};
use std::time::Instant;

use farwheel_proto::video::Size;
use openh264_sys2::source::APILoader as Library;
use openh264_sys2::{
    DECODER_OPTION_TRACE_LEVEL, ERROR_CON_DISABLE, ISVCDecoder, ISVCDecoderVtbl, SBufferInfo, SDecodingParam,
    SVideoProperty, VIDEO_BITSTREAM_AVC, WELS_LOG_QUIET, dsErrorFree,
};

use super::Error;
use crate::frame::{Pool, VideoFrame, copy_rows};

/// An open OpenH264 decoder.
pub(super) struct Decoder {
    raw: *mut ISVCDecoder,
}

// SAFETY: the decoder object has no tie to the thread that made it, and `&mut self` keeps calls apart.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn open() -> Result<Self, Error> {
        let mut raw: *mut ISVCDecoder = null_mut();
        // SAFETY: the library writes a pointer to a fresh decoder object, or leaves null and reports an error.
        let result = unsafe { Library::WelsCreateDecoder(&mut raw) };
        if result != 0 || raw.is_null() {
            return Err(Error::Failed(format!("creating gives {result}")));
        }
        let decoder = Self { raw };
        let table = decoder.table();
        let mut quiet: c_int = WELS_LOG_QUIET;
        // SAFETY: the trace level is an int.
        unsafe {
            (table.SetOption.expect("the library fills its table"))(
                raw,
                DECODER_OPTION_TRACE_LEVEL,
                from_mut(&mut quiet).cast(),
            );
        }
        let params = SDecodingParam {
            // A picture with holes filled in looks whole and is not: damage has to be seen.
            eEcActiveIdc: ERROR_CON_DISABLE,
            sVideoProperty: SVideoProperty {
                size: size_of::<SVideoProperty>() as u32,
                eVideoBsType: VIDEO_BITSTREAM_AVC,
            },
            ..SDecodingParam::default()
        };
        // SAFETY: the struct is complete, and the library copies it.
        let result = unsafe { (table.Initialize.expect("the library fills its table"))(raw, &params) };
        if result == 0 { Ok(decoder) } else { Err(Error::Failed(format!("initialising gives {result}"))) }
    }

    /// Decodes one access unit and copies its picture out.
    pub(super) fn decode(
        &mut self,
        access_unit: &[u8],
        size_max: Size,
        pool: &mut Pool,
        captured_at: Instant,
    ) -> Result<VideoFrame, Error> {
        let mut planes = [null_mut::<u8>(); 3];
        let mut info = SBufferInfo::default();
        // SAFETY: the library reads `len` bytes, and writes three pointers and the struct.
        let state = unsafe {
            (self.table().DecodeFrameNoDelay.expect("the library fills its table"))(
                self.raw,
                access_unit.as_ptr(),
                access_unit.len() as c_int,
                planes.as_mut_ptr(),
                &mut info,
            )
        };
        if state != dsErrorFree {
            return Err(Error::NeedsKeyframe("the stream is damaged"));
        }
        if info.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
            return Err(Error::NeedsKeyframe("the access unit gave no picture"));
        }
        // SAFETY: with a picture ready, this is the union's only member.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        let (width, height) = (buffer.iWidth.max(0) as u32, buffer.iHeight.max(0) as u32);
        let (stride_y, stride_uv) = (buffer.iStride[0].max(0) as usize, buffer.iStride[1].max(0) as usize);
        let longest = size_max.width.max(size_max.height);
        if width < 2 || height < 2 || width > longest || height > longest {
            return Err(Error::NeedsKeyframe("the picture has no sensible size"));
        }
        if stride_y < width as usize || stride_uv < width as usize / 2 {
            return Err(Error::NeedsKeyframe("the picture's rows overlap"));
        }
        // An odd last row or column, which cropping can leave, is not shown.
        let size = Size::new(width, height);
        let mut picture = pool.take(size);
        let to = picture.planes_mut();
        let rows = size.height as usize;
        for (from, stride, rows, to, to_stride) in [
            (planes[0], stride_y, rows, to.y, to.stride_y),
            (planes[1], stride_uv, rows / 2, to.u, to.stride_uv),
            (planes[2], stride_uv, rows / 2, to.v, to.stride_uv),
        ] {
            // SAFETY: the plane has `rows` rows of `stride` bytes, of which the last is at least `to_stride` long, and
            // stays until the next call.
            let from = unsafe { std::slice::from_raw_parts(from, stride * (rows - 1) + to_stride) };
            copy_rows(from, stride, to, to_stride);
        }
        Ok(picture.share(pool, captured_at))
    }

    fn table(&self) -> ISVCDecoderVtbl {
        // SAFETY: the object is alive until drop and starts with a pointer to its table of functions.
        unsafe { **self.raw }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by WelsCreateDecoder and destroyed once. Uninitialize is harmless if never initialised.
        unsafe {
            (self.table().Uninitialize.expect("the library fills its table"))(self.raw);
            Library::WelsDestroyDecoder(self.raw);
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("openh264::Decoder").finish_non_exhaustive()
    }
}
