//! YUV4MPEG2: raw pictures on a pipe.
//!
//! A header line `YUV4MPEG2 W640 H480 F30:1 ... C420`, then for each picture a line `FRAME` and its planes. Only
//! 8-bit 4:2:0 is read, which is what `ffmpeg -pix_fmt yuv420p` and most programs write.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use farwheel_proto::video::Size;

use crate::frame::{Pool, VideoFrame, copy_rows};

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended between two pictures: nothing is wrong.
    #[error("the stream ended")]
    Ended,
    /// The stream could not be read or ended within a picture.
    #[error("reading y4m: {0}")]
    Io(#[from] io::Error),
    /// This is no y4m stream, or of a kind that is not supported.
    #[error("{0}")]
    Format(String),
}

/// What the header line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Columns and rows in the stream; may be odd.
    pub stored: (u32, u32),
    /// Size of the pictures read: an odd last row or column is left out.
    pub size: Size,
    /// Pictures per second as a fraction; `None` if the stream does not say.
    pub rate: Option<(u32, u32)>,
}

/// Reads pictures from a stream.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    header: Header,
    pool: Pool,
    scratch: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads the header. `stream` need not be buffered: planes are read straight into the picture.
    ///
    /// # Errors
    ///
    /// If the stream ends, is no y4m, or of a kind other than 8-bit 4:2:0.
    pub fn new(mut stream: R) -> Result<Self, Error> {
        let line = read_line(&mut stream)?;
        let header = parse_header(&line)?;
        Ok(Self { stream, header, pool: Pool::new(), scratch: Vec::new() })
    }

    /// What the header line says.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Reads the next picture; it counts as captured when its last byte is there.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] after the last picture; others if the stream breaks.
    pub fn read(&mut self) -> Result<VideoFrame, Error> {
        let line = read_line(&mut self.stream)?;
        if line != "FRAME" && !line.starts_with("FRAME ") {
            return Err(Error::Format(format!("expected a FRAME line of y4m, got {:?}", clip(&line))));
        }
        let mut picture = self.pool.take(self.header.size);
        let (width, height) = (self.header.stored.0 as usize, self.header.stored.1 as usize);
        if width.is_multiple_of(2) && height.is_multiple_of(2) {
            self.stream.read_exact(picture.bytes_mut())?;
        } else {
            let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
            self.scratch.resize(width * height + 2 * half_width * half_height, 0);
            self.stream.read_exact(&mut self.scratch)?;
            let (y, chroma) = self.scratch.split_at(width * height);
            let (u, v) = chroma.split_at(half_width * half_height);
            let planes = picture.planes_mut();
            copy_rows(y, width, planes.y, planes.stride_y);
            copy_rows(u, half_width, planes.u, planes.stride_uv);
            copy_rows(v, half_width, planes.v, planes.stride_uv);
        }
        Ok(picture.share(&mut self.pool, Instant::now()))
    }
}

/// Writes pictures to a stream.
#[derive(Debug)]
pub struct Writer<W> {
    stream: W,
    size: Size,
}

impl<W: Write> Writer<W> {
    /// Writes the header; every picture has to have this size.
    ///
    /// # Errors
    ///
    /// If the stream cannot be written.
    pub fn new(mut stream: W, size: Size, fps: u32) -> io::Result<Self> {
        // Chroma between two rows, as H.264 and JPEG have it.
        writeln!(stream, "YUV4MPEG2 W{} H{} F{fps}:1 Ip A1:1 C420jpeg", size.width, size.height)?;
        Ok(Self { stream, size })
    }

    /// Writes one picture and flushes, so that the reader has it at once.
    ///
    /// # Errors
    ///
    /// If the stream cannot be written, or the picture has another size.
    pub fn write(&mut self, frame: &VideoFrame) -> io::Result<()> {
        if frame.size != self.size {
            let text = format!("picture is {}, the stream {}", frame.size, self.size);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let width = self.size.width as usize;
        if frame.stride_y == width && frame.stride_uv == width / 2 {
            // All of it in one call: the reader wakes once.
            let planes = &frame.data[..self.size.pixels() * 3 / 2];
            write_all(&mut self.stream, &mut [IoSlice::new(FRAME), IoSlice::new(planes)])?;
            return self.stream.flush();
        }
        self.stream.write_all(FRAME)?;
        for (plane, stride, width) in [
            (frame.y(), frame.stride_y, width),
            (frame.u(), frame.stride_uv, width / 2),
            (frame.v(), frame.stride_uv, width / 2),
        ] {
            for row in plane.chunks(stride) {
                self.stream.write_all(&row[..width])?;
            }
        }
        self.stream.flush()
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> W {
        self.stream
    }
}

/// Standard output for pictures of a size, without the line buffer of [`io::stdout`].
///
/// A pipe is made as large as it can be without holding a whole picture: few calls for a quick reader, and nothing stale
/// waits in it for a slow one.
///
/// # Errors
///
/// If the process has no descriptor left.
pub fn stdout(size: Size) -> io::Result<File> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    widen(&file, size);
    Ok(file)
}

fn widen(pipe: impl AsFd, size: Size) {
    let picture = size.pixels() * 3 / 2;
    let bytes = (1 << picture.ilog2()).min(PIPE_BYTES_MAX);
    // Fails on what is no pipe, and at the user's limit; that only costs time.
    rustix::pipe::fcntl_setpipe_size(pipe, bytes).ok();
}

/// Like the unstable `Write::write_all_vectored`.
fn write_all(stream: &mut impl Write, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !parts.is_empty() {
        match stream.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads up to a line feed, byte by byte: lines are short and what follows must stay in the stream.
fn read_line(stream: &mut impl Read) -> Result<String, Error> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) if line.is_empty() => return Err(Error::Ended),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) if byte[0] == b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Ok(_) if line.len() == LINE_MAX => {
                return Err(Error::Format(format!(
                    "not a y4m stream: it starts with {:?}",
                    clip(&String::from_utf8_lossy(&line))
                )));
            }
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn parse_header(line: &str) -> Result<Header, Error> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("YUV4MPEG2") {
        return Err(Error::Format(format!("not a y4m stream: it starts with {:?}", clip(line))));
    }
    let (mut width, mut height, mut rate) = (None, None, None);
    for word in words {
        let Some(tag) = word.chars().next() else { continue };
        let value = &word[tag.len_utf8()..];
        match tag {
            'W' => width = Some(side(value)?),
            'H' => height = Some(side(value)?),
            'F' => rate = fraction(value),
            'C' if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                return Err(Error::Format(format!(
                    "y4m colour format {value:?} is not 8-bit 4:2:0 (use yuv420p)"
                )));
            }
            'I' if !matches!(value, "p" | "?") => {
                return Err(Error::Format(format!("y4m is interlaced ({value:?}), want progressive")));
            }
            _ => {}
        }
    }
    let (Some(width), Some(height)) = (width, height) else {
        return Err(Error::Format("y4m header has no width or no height".into()));
    };
    Ok(Header { stored: (width, height), size: Size::new(width, height), rate })
}

fn side(value: &str) -> Result<u32, Error> {
    match value.parse() {
        Ok(side) if (2..=SIDE_MAX).contains(&side) => Ok(side),
        _ => Err(Error::Format(format!("y4m side is {value:?}, want 2 to {SIDE_MAX}"))),
    }
}

fn fraction(value: &str) -> Option<(u32, u32)> {
    let (over, under) = value.split_once(':')?;
    let (over, under) = (over.parse().ok()?, under.parse().ok()?);
    (over > 0 && under > 0).then_some((over, under))
}

fn clip(text: &str) -> String {
    text.chars().take(24).collect()
}

/// What stands before each picture.
const FRAME: &[u8] = b"FRAME\n";
/// What a user without privileges may have (`/proc/sys/fs/pipe-max-size`).
pub(crate) const PIPE_BYTES_MAX: usize = 1 << 20;
/// Far more than any header has.
const LINE_MAX: usize = 512;
/// The largest side H.264 level 5.2 allows.
const SIDE_MAX: u32 = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strip::Stamp;
    use crate::test_picture::TestPicture;

    fn check(stream: &[u8], want: &str) {
        let got = match Reader::new(stream).and_then(|mut reader| reader.read()) {
            Ok(frame) => format!("picture {}", frame.size),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(want), "got {got:?}, want {want:?}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut source = TestPicture::new(Size::new(64, 48));
        let mut writer = Writer::new(Vec::new(), source.size(), 30).unwrap();
        let sent: Vec<_> = (0..3).map(|index| source.render(Stamp(index * 500), Instant::now())).collect();
        sent.iter().for_each(|frame| writer.write(frame).unwrap());
        let stream = writer.into_inner();
        let mut reader = Reader::new(stream.as_slice()).unwrap();
        assert_eq!(reader.header().rate, Some((30, 1)));
        for frame in &sent {
            assert_eq!(reader.read().unwrap().data, frame.data);
        }
        assert!(matches!(reader.read(), Err(Error::Ended)));
    }

    #[test]
    fn odd_sides_lose_their_last_row_and_column() {
        let mut stream = b"YUV4MPEG2 W3 H3 C420mpeg2\nFRAME\n".to_vec();
        stream.extend([1, 2, 9, 3, 4, 9, 9, 9, 9]);
        stream.extend([5, 9, 9, 9, 6, 9, 9, 9]);
        let frame = Reader::new(stream.as_slice()).unwrap().read().unwrap();
        assert_eq!(frame.data.as_slice(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn bad_streams_are_refused_in_words() {
        check(b"", "the stream ended");
        check(b"\x89PNG\r\n\x1a\n", "not a y4m stream");
        check(&[b'x'; 4096], "not a y4m stream");
        check(b"YUV4MPEG2 W640", "reading y4m");
        check(b"YUV4MPEG2 W640\n", "no width or no height");
        check(b"YUV4MPEG2 W640 H0\n", "want 2 to 4096");
        check(b"YUV4MPEG2 W999999999999 H2\n", "want 2 to 4096");
        check(b"YUV4MPEG2 W4 H4 C444\nFRAME\n", "\"444\" is not 8-bit 4:2:0 (use yuv420p)");
        check(b"YUV4MPEG2 W4 H4 C420p10\nFRAME\n", "\"420p10\" is not 8-bit 4:2:0");
        check(b"YUV4MPEG2 W4 H4 It\nFRAME\n", "interlaced");
        check(b"YUV4MPEG2 W2 H2\nFRUME\n123456", "expected a FRAME line");
        check(b"YUV4MPEG2 W2 H2\nFRAME\n12345", "reading y4m");
        check(b"YUV4MPEG2 W2 H2 F25:1 Xany=thing\nFRAME Ip\n123456", "picture 2x2");
    }

    /// Takes at most so many bytes at a time, and is interrupted now and then.
    struct Trickle(Vec<u8>, usize);

    impl Write for Trickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(5) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let some = &bytes[..bytes.len().min(7)];
            self.0.extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_takes_little_at_a_time_gets_all_of_it() {
        let frame = TestPicture::new(Size::new(64, 48)).render(Stamp(5), Instant::now());
        let mut whole = Writer::new(Vec::new(), frame.size, 30).unwrap();
        let mut pieces = Writer::new(Trickle(Vec::new(), 0), frame.size, 30).unwrap();
        for _ in 0..2 {
            whole.write(&frame).unwrap();
            pieces.write(&frame).unwrap();
        }
        assert!(pieces.into_inner().0 == whole.into_inner());
    }

    #[test]
    fn a_picture_with_padded_rows_is_written_like_one_without() {
        let tight = TestPicture::new(Size::new(64, 48)).render(Stamp(5), Instant::now());
        let pad = |plane: &[u8], width: usize| -> Vec<u8> {
            plane.chunks(width).flat_map(|row| [row, &[9; 8]].concat()).collect()
        };
        let data = [pad(tight.y(), 64), pad(tight.u(), 32), pad(tight.v(), 32)].concat();
        let padded = VideoFrame { data: std::sync::Arc::new(data), stride_y: 72, stride_uv: 40, ..tight };
        let stream = |frame: &VideoFrame| {
            let mut writer = Writer::new(Vec::new(), frame.size, 30).unwrap();
            writer.write(frame).unwrap();
            writer.into_inner()
        };
        assert!(stream(&padded) == stream(&tight));
    }

    #[test]
    fn a_pipe_never_holds_a_whole_picture() {
        for (size, want) in [(Size::new(640, 480), 1 << 18), (Size::new(1280, 720), 1 << 20)] {
            let (_reader, writer) = io::pipe().unwrap();
            widen(&writer, size);
            assert_eq!(rustix::pipe::fcntl_getpipe_size(&writer).unwrap(), want);
        }
    }

    proptest! {
        #[test]
        fn no_stream_makes_the_reader_panic(stream: Vec<u8>, header in "(YUV4MPEG2)?( [WHFCIAX][0-9a-z:]{0,6}){0,5}\n(FRAME\n)?") {
            let mut bytes = header.into_bytes();
            bytes.extend(stream);
            if let Ok(mut reader) = Reader::new(bytes.as_slice()) {
                while reader.read().is_ok() {}
            }
        }
    }
}
