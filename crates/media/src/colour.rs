//! What cameras deliver, turned into I420.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420, rgb_to_yuv420, rgba_to_yuv420, yuyv422_to_yuv420,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use farwheel_proto::video::Size;

use crate::frame::{Picture, PlanesMut, Pool, copy_rows};

/// Why a picture could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The camera gave fewer bytes than its format has.
    #[error("picture has {got} bytes, want {want}")]
    Short {
        /// Bytes there are.
        got: usize,
        /// Bytes the format and size ask for.
        want: usize,
    },
    /// The data is damaged or of a kind that is not supported.
    #[error("{0}")]
    Damaged(String),
}

/// Converts 4:2:2 `Y0 U Y1 V`, rows without padding (SIMD).
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_yuyv(bytes: &[u8], to: &mut Picture) -> Result<(), Error> {
    let size = to.size();
    let bytes = at_least(bytes, size.pixels() * 2)?;
    let packed =
        YuvPackedImage { yuy: bytes, yuy_stride: size.width * 2, width: size.width, height: size.height };
    yuyv422_to_yuv420(&mut planar(to.planes_mut()), &packed)
        .map_err(|error| Error::Damaged(error.to_string()))
}

/// Converts 4:2:0 with interleaved chroma, rows without padding.
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_nv12(bytes: &[u8], to: &mut Picture) -> Result<(), Error> {
    let pixels = to.size().pixels();
    let bytes = at_least(bytes, pixels * 3 / 2)?;
    let planes = to.planes_mut();
    planes.y.copy_from_slice(&bytes[..pixels]);
    // The compiler makes vector instructions of this shape.
    for ((pair, u), v) in bytes[pixels..].chunks_exact(2).zip(planes.u).zip(planes.v) {
        *u = pair[0];
        *v = pair[1];
    }
    Ok(())
}

/// Converts planes that lie one behind the other, rows without padding.
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_i420(bytes: &[u8], to: &mut Picture) -> Result<(), Error> {
    let bytes = at_least(bytes, to.size().pixels() * 3 / 2)?;
    to.bytes_mut().copy_from_slice(bytes);
    Ok(())
}

/// Converts luma alone.
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_grey(bytes: &[u8], to: &mut Picture) -> Result<(), Error> {
    let bytes = at_least(bytes, to.size().pixels())?;
    to.fill(0, 128, 128);
    to.planes_mut().y.copy_from_slice(bytes);
    Ok(())
}

/// Converts `R G B`, rows without padding, to BT.601 in limited range (SIMD).
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_rgb(bytes: &[u8], to: &mut Picture) -> Result<(), Error> {
    let size = to.size();
    let bytes = at_least(bytes, size.pixels() * 3)?;
    rgb_to_yuv420(
        &mut planar(to.planes_mut()),
        bytes,
        size.width * 3,
        YuvRange::Limited,
        YuvStandardMatrix::Bt601,
        YuvConversionMode::Balanced,
    )
    .map_err(|error| Error::Damaged(error.to_string()))
}

/// Colours of a pixel of four bytes, the fourth of which is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixel {
    /// `B G R X`.
    Bgrx,
    /// `R G B X`.
    Rgbx,
}

/// Converts pixels of four bytes, so many bytes from one row to the next, to BT.601 in limited range (SIMD). Drawn
/// pictures have hard edges, so all bits of them are used.
///
/// # Errors
///
/// If there are too few bytes.
pub fn from_pixels(bytes: &[u8], stride: usize, pixel: Pixel, to: &mut Picture) -> Result<(), Error> {
    let size = to.size();
    let (width, rows) = (size.width as usize * 4, size.height as usize);
    let want = stride.checked_mul(rows - 1).and_then(|before| before.checked_add(width));
    let step = u32::try_from(stride).ok().filter(|_| stride >= width);
    let (Some(want), Some(step)) = (want, step) else {
        return Err(Error::Damaged(format!("rows are wrong for {size}: {width} bytes each")));
    };
    at_least(bytes, want)?;
    let convert = |planes: PlanesMut<'_>, bytes: &[u8]| {
        let (range, matrix, mode) =
            (YuvRange::Limited, YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
        let convert = match pixel {
            Pixel::Bgrx => bgra_to_yuv420,
            Pixel::Rgbx => rgba_to_yuv420,
        };
        convert(&mut planar(planes), bytes, step, range, matrix, mode)
            .map_err(|error| Error::Damaged(error.to_string()))
    };
    if let Some(padded) = stride.checked_mul(rows).and_then(|all| bytes.get(..all)) {
        return convert(to.planes_mut(), padded);
    }
    // The library leaves out the last two rows where the padding behind them is missing.
    let [before, last] = to.planes_mut().split(rows.saturating_sub(2));
    let begin = rows.saturating_sub(2) * stride;
    if begin > 0 {
        convert(before, &bytes[..begin])?;
    }
    let mut pair = bytes[begin..want].to_vec();
    pair.resize((rows * stride) - begin, 0);
    convert(last, &pair)
}

/// Decodes JPEG pictures as webcams send them; keeps its buffer.
#[derive(Debug, Default)]
pub struct Jpeg {
    rgb: Vec<u8>,
    rgb_even: Vec<u8>,
}

impl Jpeg {
    /// A decoder; it may be used for any sizes up to 4096x4096.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one picture into a buffer of `pool`.
    ///
    /// # Errors
    ///
    /// If the data is damaged: webcams send such pictures now and then, mostly as their first ones.
    pub fn decode(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<Picture, Error> {
        let damaged = |error: &dyn std::fmt::Display| Error::Damaged(format!("JPEG: {error}"));
        let options = DecoderOptions::default()
            .jpeg_set_out_colorspace(ColorSpace::RGB)
            .set_max_width(SIDE_MAX)
            .set_max_height(SIDE_MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|error| damaged(&error))?;
        let (width, height) = decoder.dimensions().ok_or_else(|| damaged(&"no size"))?;
        if width < 2 || height < 2 {
            return Err(damaged(&format_args!("{width}x{height} is too small")));
        }
        self.rgb.resize(width * height * 3, 0);
        decoder.decode_into(&mut self.rgb).map_err(|error| damaged(&error))?;
        let size = Size::new(width as u32, height as u32);
        let mut picture = pool.take(size);
        let even_width = size.width as usize;
        if width == even_width {
            from_rgb(&self.rgb, &mut picture)?;
        } else {
            self.rgb_even.resize(size.pixels() * 3, 0);
            copy_rows(&self.rgb, width * 3, &mut self.rgb_even, even_width * 3);
            from_rgb(&self.rgb_even, &mut picture)?;
        }
        Ok(picture)
    }
}

/// No webcam's picture is larger.
const SIDE_MAX: usize = 4096;

fn at_least(bytes: &[u8], want: usize) -> Result<&[u8], Error> {
    bytes.get(..want).ok_or(Error::Short { got: bytes.len(), want })
}

fn planar(planes: PlanesMut<'_>) -> YuvPlanarImageMut<'_, u8> {
    let (stride_y, stride_uv) = (planes.stride_y as u32, planes.stride_uv as u32);
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(planes.y),
        y_stride: stride_y,
        u_plane: BufferStoreMut::Borrowed(planes.u),
        u_stride: stride_uv,
        v_plane: BufferStoreMut::Borrowed(planes.v),
        v_stride: stride_uv,
        width: planes.size.width,
        height: planes.size.height,
    }
}

#[cfg(test)]
mod tests;
