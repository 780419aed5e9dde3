//! OpenH264 through its raw interface: only that one changes the rate without a key frame.

use std::ffi::{c_int, c_void};
use std::ptr::{from_mut, null_mut};

use bytes::{Bytes, BytesMut};
use farwheel_proto::video::{Bitrate, FrameKind, Size};
use openh264_sys2::source::APILoader as Library;
use openh264_sys2::{
    CAMERA_VIDEO_REAL_TIME, CONSTANT_ID, ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE,
    ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder, ISVCEncoderVtbl, LEVEL_3_1,
    LOW_COMPLEXITY, MEDIUM_COMPLEXITY, PRO_BASELINE, RC_BITRATE_MODE, SBitrateInfo, SEncParamExt,
    SFrameBSInfo, SM_FIXEDSLCNUM_SLICE, SM_SINGLE_SLICE, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, SSourcePicture,
    WELS_LOG_QUIET, videoFormatI420, videoFrameTypeIDR, videoFrameTypeSkip,
};

use super::{Config, Effort, Error, Slices, Target};
use crate::frame::VideoFrame;

/// An open OpenH264 encoder.
pub(super) struct Encoder {
    raw: *mut ISVCEncoder,
    // Five kilobytes of pointers that the encoder fills in for each picture.
    info: Box<SFrameBSInfo>,
    coded: BytesMut,
    pictures: i64,
    fps: u32,
    bitrate: Bitrate,
}

// SAFETY: the encoder object has no tie to the thread that made it, and `&mut self` keeps calls apart.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Opens an encoder that cuts each picture into so many slices and encodes each with a thread of its own.
    pub(super) fn open(config: Config, target: Target, slices: u16) -> Result<Self, Error> {
        let mut raw: *mut ISVCEncoder = null_mut();
        // SAFETY: the library writes a pointer to a fresh encoder object, or leaves null and reports an error.
        let result = unsafe { Library::WelsCreateSVCEncoder(&mut raw) };
        if result != 0 || raw.is_null() {
            return Err(Error::Failed(format!("creating gives {result}")));
        }
        let mut encoder = Self {
            raw,
            info: Box::default(),
            coded: BytesMut::new(),
            pictures: 0,
            fps: target.fps,
            bitrate: target.bitrate,
        };
        let mut quiet = WELS_LOG_QUIET;
        // SAFETY: the trace level is an int.
        unsafe { encoder.set(ENCODER_OPTION_TRACE_LEVEL, from_mut(&mut quiet).cast())? };
        encoder.initialize(config, target, slices)?;
        Ok(encoder)
    }

    /// Takes over another rate and frame rate without a key frame.
    pub(super) fn set_rate(&mut self, target: Target) -> Result<(), Error> {
        self.fps = target.fps;
        let mut fps = target.fps as f32;
        // SAFETY: the frame rate is a float.
        unsafe { self.set(ENCODER_OPTION_FRAME_RATE, from_mut(&mut fps).cast())? };
        // The rate may at no time exceed the maximum: on the way up the maximum goes first, on the way down the rate.
        let rate = (ENCODER_OPTION_BITRATE, target.bitrate.0 as c_int);
        let max = (ENCODER_OPTION_MAX_BITRATE, bitrate_max(target));
        for (option, bitrate) in if target.bitrate > self.bitrate { [max, rate] } else { [rate, max] } {
            for layer in [SPATIAL_LAYER_ALL, SPATIAL_LAYER_0] {
                let mut info = SBitrateInfo { iLayer: layer, iBitrate: bitrate };
                // SAFETY: both options take an SBitrateInfo.
                unsafe { self.set(option, from_mut(&mut info).cast())? };
            }
        }
        self.bitrate = target.bitrate;
        Ok(())
    }

    pub(super) fn force_keyframe(&mut self) {
        // It only fails on an encoder that was never initialised.
        // SAFETY: the encoder is initialised and the call takes no pointers.
        unsafe { (self.table().ForceIntraFrame.expect("the library fills its table"))(self.raw, true) };
    }

    pub(super) fn encode(&mut self, frame: &VideoFrame) -> Result<(Bytes, FrameKind), Error> {
        let mut source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iPicWidth: frame.size.width as c_int,
            iPicHeight: frame.size.height as c_int,
            iStride: [frame.stride_y as c_int, frame.stride_uv as c_int, frame.stride_uv as c_int, 0],
            // Milliseconds of a steady stream: what the gate left out is not the rate control's business.
            uiTimeStamp: self.pictures * 1000 / i64::from(self.fps),
            ..SSourcePicture::default()
        };
        for (to, plane) in source.pData.iter_mut().zip([frame.y(), frame.u(), frame.v()]) {
            // The encoder copies the picture and does not write to it, though its type says it might.
            *to = plane.as_ptr().cast_mut();
        }
        // SAFETY: the planes live through the call and have stride x rows bytes each; `info` is the encoder's to fill.
        let result = unsafe {
            (self.table().EncodeFrame.expect("the library fills its table"))(
                self.raw,
                &source,
                &mut *self.info,
            )
        };
        if result != 0 {
            return Err(Error::Failed(format!("encoding {} gives {result}", frame.size)));
        }
        self.pictures += 1;
        let kind = match self.info.eFrameType {
            t if t == videoFrameTypeIDR => FrameKind::Key,
            t if t == videoFrameTypeSkip => return Err(Error::Failed("the picture was skipped".into())),
            _ => FrameKind::Delta,
        };
        self.collect();
        if self.coded.is_empty() {
            return Err(Error::Failed("the picture came out empty".into()));
        }
        // Once the frames before are gone, `reserve` gets their memory back.
        Ok((self.coded.split().freeze(), kind))
    }

    fn collect(&mut self) {
        let layers = &self.info.sLayerInfo[..self.info.iLayerNum.clamp(0, 128) as usize];
        for layer in layers {
            // SAFETY: the encoder gives `iNalCount` lengths, and its buffer holds their sum until the next call.
            let nals = unsafe {
                let lengths =
                    std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount.max(0) as usize);
                let total: usize = lengths.iter().map(|length| *length as usize).sum();
                std::slice::from_raw_parts(layer.pBsBuf, total)
            };
            self.coded.extend_from_slice(nals);
        }
    }

    fn initialize(&mut self, config: Config, target: Target, slices: u16) -> Result<(), Error> {
        let table = self.table();
        let mut params = SEncParamExt::default();
        // SAFETY: the library fills the struct with its defaults.
        let result =
            unsafe { (table.GetDefaultParams.expect("the library fills its table"))(self.raw, &mut params) };
        if result != 0 {
            return Err(Error::Failed(format!("default parameters give {result}")));
        }
        set_parameters(&mut params, config, target, slices);
        // SAFETY: the struct is complete, and the library copies it.
        let result =
            unsafe { (table.InitializeExt.expect("the library fills its table"))(self.raw, &params) };
        if result != 0 {
            let Target { bitrate, size, fps } = target;
            return Err(Error::Unsupported(format!(
                "{size} at {fps} per second with {bitrate} (code {result})"
            )));
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `value` points to what the option takes.
    unsafe fn set(&mut self, option: ENCODER_OPTION, value: *mut c_void) -> Result<(), Error> {
        // SAFETY: the caller vouches for the type behind the pointer; the library copies it.
        let result = unsafe {
            (self.table().SetOption.expect("the library fills its table"))(self.raw, option, value)
        };
        if result == 0 { Ok(()) } else { Err(Error::Failed(format!("option {option} gives {result}"))) }
    }

    fn table(&self) -> ISVCEncoderVtbl {
        // SAFETY: the object is alive until drop and starts with a pointer to its table of functions.
        unsafe { **self.raw }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by WelsCreateSVCEncoder and destroyed once. Uninitialize is harmless if never initialised.
        unsafe {
            (self.table().Uninitialize.expect("the library fills its table"))(self.raw);
            Library::WelsDestroySVCEncoder(self.raw);
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("openh264::Encoder").field("pictures", &self.pictures).finish_non_exhaustive()
    }
}

fn set_parameters(params: &mut SEncParamExt, config: Config, target: Target, slices: u16) {
    params.iUsageType = CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = target.size.width as c_int;
    params.iPicHeight = target.size.height as c_int;
    params.fMaxFrameRate = target.fps as f32;
    params.iTargetBitrate = target.bitrate.0 as c_int;
    params.iMaxBitrate = bitrate_max(target);
    params.iRCMode = RC_BITRATE_MODE;
    // What is left out is decided before the encoder, so that each picture given to it comes out.
    params.bEnableFrameSkip = false;
    params.iComplexityMode = match config.effort {
        Effort::Low => LOW_COMPLEXITY,
        Effort::Medium => MEDIUM_COMPLEXITY,
    };
    // The threads share each picture, so none waits for another one.
    params.iMultipleThreadIdc = slices;
    if slices > 1 {
        params.iMinQp = SLICED_QP_MIN;
        params.iMaxQp = SLICED_QP_MAX;
    }
    params.iTemporalLayerNum = 1;
    params.iSpatialLayerNum = 1;
    // Key frames come on request only.
    params.uiIntraPeriod = 0;
    params.bEnableSceneChangeDetect = false;
    params.eSpsPpsIdStrategy = CONSTANT_ID;
    params.bEnableDenoise = false;
    params.bEnableLongTermReference = false;

    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = params.iPicWidth;
    layer.iVideoHeight = params.iPicHeight;
    layer.fFrameRate = params.fMaxFrameRate;
    layer.iSpatialBitrate = params.iTargetBitrate;
    layer.iMaxSpatialBitrate = params.iMaxBitrate;
    layer.uiProfileIdc = PRO_BASELINE;
    // The least level that is written; OpenH264 raises it by itself where size or rate need more.
    layer.uiLevelIdc = LEVEL_3_1;
    layer.sSliceArgument.uiSliceMode = if slices == 1 { SM_SINGLE_SLICE } else { SM_FIXEDSLCNUM_SLICE };
    layer.sSliceArgument.uiSliceNum = slices.into();
    // Colour is BT.601 in limited range at every size; without a word a browser takes 720p for BT.709.
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = VIDEO_FORMAT_UNSPECIFIED;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = SMPTE_170M;
    layer.uiTransferCharacteristics = SMPTE_170M;
    layer.uiColorMatrix = SMPTE_170M;
}

/// How many slices a picture of this size is cut into on a machine with so many cores.
pub(super) fn slices(wanted: Slices, size: Size, cores: usize) -> u16 {
    match wanted {
        Slices::Two if size.pixels() >= SLICED_PIXELS_MIN && cores >= 2 => 2,
        Slices::One | Slices::Two => 1,
    }
}

/// The rate no second may exceed. Equal to the target it would hold the mean below the target.
fn bitrate_max(target: Target) -> c_int {
    (u64::from(target.bitrate.0) * 6 / 5).min(MAX_BITRATE) as c_int
}

/// 640x480: half of a smaller one is not worth waking a thread.
const SLICED_PIXELS_MIN: usize = 640 * 480;
/// Finest quantiser of a picture of several slices, 46 dB on the measuring picture.
///
/// With several slices OpenH264 does not correct the quantiser within a picture (`bEnableGomQp` in its `ratectl.cpp`).
/// Standing still makes it ever finer, down to 12, where the first picture that moves again has 130 kB at 1 Mbit/s.
const SLICED_QP_MIN: c_int = 18;
/// OpenH264's own limit (`MAX_LOW_BR_QP`), which it takes back when a finest one is given.
const SLICED_QP_MAX: c_int = 42;
/// ITU-T H.264 table E-2.
const VIDEO_FORMAT_UNSPECIFIED: u8 = 5;
/// ITU-T H.264 tables E-3 to E-5: BT.601 with 525 lines.
const SMPTE_170M: u8 = 6;
/// Level 5.2 allows 240 Mbit/s in baseline profile.
const MAX_BITRATE: u64 = 240_000_000;
