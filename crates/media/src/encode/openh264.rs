//! OpenH264 through its raw interface: only that one changes the rate without a key frame.

use std::ffi::{c_int, c_void};
use std::ptr::{from_mut, null_mut};

use bytes::{Bytes, BytesMut};
use farwheel_proto::anchor::Anchor;
use farwheel_proto::video::{Bitrate, FrameKind, Size};
use openh264_sys2::source::APILoader as Library;
use openh264_sys2::{
    CAMERA_VIDEO_REAL_TIME, CONSTANT_ID, ENCODER_LTR_MARKING_FEEDBACK, ENCODER_LTR_RECOVERY_REQUEST,
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_RC_MODE, ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder,
    ISVCEncoderVtbl, LEVEL_3_1, LOW_COMPLEXITY, LTR_MARKING_FAILED, LTR_MARKING_SUCCESS,
    LTR_RECOVERY_REQUEST, MEDIUM_COMPLEXITY, PRO_BASELINE, RC_BITRATE_MODE, RC_OFF_MODE, SBitrateInfo,
    SEncParamExt, SFrameBSInfo, SLTRMarkingFeedback, SLTRRecoverRequest, SM_FIXEDSLCNUM_SLICE,
    SM_SINGLE_SLICE, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, SSourcePicture, WELS_LOG_QUIET, videoFormatI420,
    videoFrameTypeIDR, videoFrameTypeSkip,
};

use super::anchors::{Anchors, Next, Outcome};
use super::{Config, Effort, Error, Slices, Target};
use crate::frame::VideoFrame;
use crate::h264::nal::Unit;
use crate::h264::slice::{self, Change};
use crate::h264::sps;

/// An open OpenH264 encoder.
pub(super) struct Encoder {
    raw: *mut ISVCEncoder,
    // Five kilobytes of pointers that the encoder fills in for each picture.
    info: Box<SFrameBSInfo>,
    coded: BytesMut,
    pictures: i64,
    fps: u32,
    bitrate: Bitrate,
    anchors: Anchors,
    /// Length of the numbers in the stream's slices.
    number_bits: Option<u32>,
    /// How the rate control quantised the newest of its pictures, at its beginning.
    quantiser: i32,
    /// How the picture before was quantised without the rate control.
    fixed: Option<i32>,
}

/// What came of a picture.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) data: Bytes,
    pub(super) kind: FrameKind,
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
            anchors: Anchors::default(),
            number_bits: None,
            quantiser: QUANTISER_BASE,
            fixed: None,
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

    /// Whether its next picture is its first, and so a key frame.
    pub(super) fn is_fresh(&self) -> bool {
        self.pictures == 0
    }

    fn force_keyframe(&mut self) {
        // It only fails on an encoder that was never initialised.
        // SAFETY: the encoder is initialised and the call takes no pointers.
        unsafe { (self.table().ForceIntraFrame.expect("the library fills its table"))(self.raw, true) };
    }

    /// What the receiver says that it holds now.
    pub(super) fn handle_held(&mut self, held: &[Anchor]) {
        self.anchors.handle_held(held);
    }

    /// Whether a recovery is possible.
    pub(super) fn has_anchor(&self) -> bool {
        self.anchors.usable().is_some()
    }

    /// Encodes a picture; [`Next::Recovery`] makes it one if there is an anchor.
    pub(super) fn encode(&mut self, frame: &VideoFrame, next: Next) -> Result<Coded, Error> {
        let recovery = match next {
            Next::Any | Next::Key => None,
            Next::Recovery => self.anchors.usable(),
        };
        if next == Next::Key {
            self.force_keyframe();
        }
        self.tell(next, recovery.is_some())?;
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
        let fixed = self.fixed_quantiser(next, recovery.is_some());
        self.fix_quantiser(fixed)?;
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
        let mut kind = match self.info.eFrameType {
            t if t == videoFrameTypeIDR => FrameKind::Key,
            t if t == videoFrameTypeSkip => return Err(Error::Failed("the picture was skipped".into())),
            _ => FrameKind::Delta,
        };
        if let (Some((_, anchor)), FrameKind::Delta) = (recovery, kind) {
            self.coded.extend_from_slice(&START_CODE);
            self.coded.extend_from_slice(&anchor.note());
            kind = FrameKind::Recovery;
        }
        let from = self.collect()?;
        if let (Some((index, _)), FrameKind::Recovery) = (recovery, kind)
            && from != Some(index as u32)
        {
            return Err(Error::Failed(format!("a recovery from anchor {index} is from {from:?}")));
        }
        // Once the frames before are gone, `reserve` gets their memory back.
        Ok(Coded { data: self.coded.split().freeze(), kind })
    }

    /// How the next picture is to be quantised if not by the rate control.
    ///
    /// That one takes a recovery for a picture like those before and quantises it as finely: 15 to 50 kB at 1280x720. And
    /// it knows nothing of it after: it would make up for all that the recovery lacks with the very next picture.
    fn fixed_quantiser(&self, next: Next, is_recovery: bool) -> Option<i32> {
        let coarse = (self.quantiser + RECOVERY_COARSER).min(RECOVERY_COARSEST);
        match (next, self.fixed) {
            (Next::Key, _) => None,
            _ if is_recovery => (coarse > self.quantiser).then_some(coarse),
            (_, Some(before)) => Some(before - FINER_BY).filter(|quantiser| *quantiser > self.quantiser),
            (_, None) => None,
        }
    }

    fn fix_quantiser(&mut self, quantiser: Option<i32>) -> Result<(), Error> {
        let mut mode: c_int = if quantiser.is_some() { RC_OFF_MODE } else { RC_BITRATE_MODE };
        if quantiser.is_some() != self.fixed.is_some() {
            // SAFETY: the mode is an int.
            unsafe { self.set(ENCODER_OPTION_RC_MODE, from_mut(&mut mode).cast())? };
        }
        self.fixed = quantiser;
        let Some(quantiser) = quantiser else { return Ok(()) };
        let mut params = SEncParamExt::default();
        // SAFETY: the option gives this struct, and takes it. With nothing else different the stream goes on.
        unsafe {
            self.get(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, from_mut(&mut params).cast())?;
            params.sSpatialLayers[0].iDLayerQp = quantiser;
            self.set(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, from_mut(&mut params).cast())
        }
    }

    /// Tells the library what became of its pending anchor, and that the next picture is a recovery.
    fn tell(&mut self, next: Next, recovers: bool) -> Result<(), Error> {
        // Before the verdict: a key frame's number stands for both.
        let mut request = SLTRRecoverRequest {
            uiFeedbackType: LTR_RECOVERY_REQUEST as _,
            uiIDRPicId: self.anchors.key(),
            iLastCorrectFrameNum: 0,
            // The library then looks at nothing but which anchor it trusts.
            iCurrentFrameNum: -1,
            iLayerId: 0,
        };
        if let Some(verdict) = self.anchors.take_verdict(next) {
            let outcome = match verdict.outcome {
                Outcome::Held => LTR_MARKING_SUCCESS,
                Outcome::Missed => LTR_MARKING_FAILED,
            };
            let mut feedback = SLTRMarkingFeedback {
                uiFeedbackType: outcome as _,
                uiIDRPicId: verdict.key,
                iLTRFrameNum: verdict.number as c_int,
                iLayerId: 0,
            };
            // SAFETY: the option takes this struct.
            unsafe { self.set(ENCODER_LTR_MARKING_FEEDBACK, from_mut(&mut feedback).cast())? };
        }
        if recovers {
            // SAFETY: the option takes this struct.
            unsafe { self.set(ENCODER_LTR_RECOVERY_REQUEST, from_mut(&mut request).cast())? };
        }
        Ok(())
    }

    /// Gathers what the library has made, and reads which pictures it leans on and keeps; gives the long-term reference
    /// that it leans on, if it does.
    fn collect(&mut self) -> Result<Option<u32>, Error> {
        let layers = &self.info.sLayerInfo[..self.info.iLayerNum.clamp(0, 128) as usize];
        let (mut from, mut is_read) = (None, false);
        for layer in layers {
            // SAFETY: the encoder gives `iNalCount` lengths, and its buffer holds their sum until the next call.
            let (lengths, mut nals) = unsafe {
                let lengths =
                    std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount.max(0) as usize);
                let total: usize = lengths.iter().map(|length| *length as usize).sum();
                (lengths, std::slice::from_raw_parts(layer.pBsBuf, total))
            };
            self.coded.extend_from_slice(nals);
            for length in lengths {
                let (nal, rest) = nals.split_at(*length as usize);
                nals = rest;
                let unit = nal.strip_prefix(&START_CODE).and_then(Unit::new);
                match unit.map(|unit| (unit.kind(), unit)) {
                    Some((Unit::SPS, unit)) => {
                        self.number_bits = sps::read(unit.payload()).and_then(|sps| sps.number_bits);
                    }
                    // Slices after the first one say the same.
                    Some((Unit::SLICE | Unit::IDR_SLICE, unit)) if !std::mem::replace(&mut is_read, true) => {
                        let read = self.number_bits.and_then(|bits| Some((slice::read(unit, bits)?, bits)));
                        let Some((slice, bits)) = read else {
                            return Err(Error::Failed("the slice cannot be read".into()));
                        };
                        from = slice.from;
                        if self.fixed.is_none() {
                            self.quantiser = QUANTISER_BASE + slice.coarser;
                        }
                        note(&mut self.anchors, &slice, unit, bits);
                    }
                    _ => {}
                }
            }
        }
        if self.coded.is_empty() {
            return Err(Error::Failed("the picture came out empty".into()));
        }
        Ok(from)
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

    /// # Safety
    ///
    /// `value` points to what the option gives.
    unsafe fn get(&self, option: ENCODER_OPTION, value: *mut c_void) -> Result<(), Error> {
        // SAFETY: the caller vouches for the type behind the pointer.
        let result = unsafe {
            (self.table().GetOption.expect("the library fills its table"))(self.raw, option, value)
        };
        if result == 0 {
            Ok(())
        } else {
            Err(Error::Failed(format!("reading option {option} gives {result}")))
        }
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

/// Notes which anchors a picture makes.
fn note(anchors: &mut Anchors, slice: &slice::Slice, unit: Unit<'_>, number_bits: u32) {
    if let Some(key) = slice.key {
        anchors.handle_key(key, slice.number, Anchor::of(unit.bytes()));
        return;
    }
    anchors.handle_picture();
    for change in &slice.changes {
        match *change {
            Change::Keep { index, back } => {
                let range = 1 << number_bits;
                anchors.handle_kept(index, (slice.number + range - back) % range, Anchor::of(unit.bytes()));
            }
            // The library only ever replaces them, and allows two each time.
            Change::Drop { .. } | Change::DropFrom { .. } => {}
        }
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
    params.iIdrBitrateRatio = KEY_PERCENT;
    params.iTemporalLayerNum = 1;
    params.iSpatialLayerNum = 1;
    // Key frames come on request only.
    params.uiIntraPeriod = 0;
    params.bEnableSceneChangeDetect = false;
    params.eSpsPpsIdStrategy = CONSTANT_ID;
    params.bEnableDenoise = false;
    params.bEnableLongTermReference = true;
    params.iLTRRefNum = 2;
    params.iLtrMarkPeriod = ANCHOR_PERIOD;

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
/// What the library's picture parameter sets begin with.
const QUANTISER_BASE: c_int = 26;
/// A key frame's bytes, in hundredths of its share: 67 ms of the rate at 30 pictures a second. The library's own 400 make
/// each one a late picture; what it lacks the rate control makes up for within half a second. The library's first key
/// frame does not keep to it.
const KEY_PERCENT: c_int = 200;
/// Steps that a recovery is quantised more coarsely than the pictures before; it then has about as many bytes as one of
/// those, and a moving 720p picture still 41 to 49 dB. With no step it has five times as many (docs/MEASUREMENTS.md).
const RECOVERY_COARSER: i32 = 12;
/// No coarser than this: beyond, pictures that lean on it cost more than it saves.
const RECOVERY_COARSEST: i32 = 36;
/// Steps from one picture to the next back to what the rate control had: each has then no more bytes than one usually has.
const FINER_BY: i32 = 2;
/// Pictures that lie at least between two anchors.
const ANCHOR_PERIOD: u32 = 2;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// ITU-T H.264 table E-2.
const VIDEO_FORMAT_UNSPECIFIED: u8 = 5;
/// ITU-T H.264 tables E-3 to E-5: BT.601 with 525 lines.
const SMPTE_170M: u8 = 6;
/// Level 5.2 allows 240 Mbit/s in baseline profile.
const MAX_BITRATE: u64 = 240_000_000;
