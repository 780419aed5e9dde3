//! Little-endian fields, one after the other: what every datagram of this module is made of.

/// Reads fields from the front of a datagram whose length was checked once; past its end it reads zeroes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                *head
            }
            None => {
                self.rest = &[];
                [0; N]
            }
        }
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    pub(super) fn i8(&mut self) -> i8 {
        i8::from_le_bytes(self.take())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn i16(&mut self) -> i16 {
        i16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(super) fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// Writes fields into a datagram of fixed size.
pub(super) struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    pub(super) fn put<const M: usize>(&mut self, field: [u8; M]) -> &mut Self {
        self.bytes[self.at..self.at + M].copy_from_slice(&field);
        self.at += M;
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.put([value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    /// The datagram.
    pub(super) fn finish(&self) -> [u8; N] {
        debug_assert_eq!(self.at, N, "a datagram is written in full");
        self.bytes
    }
}

/// Why a datagram is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Its length does not fit.
    #[error("{name} datagram has {len} bytes, want {want}")]
    Length {
        /// Which kind was wanted.
        name: &'static str,
        /// Bytes it has.
        len: usize,
        /// Bytes it should have (at least, where more are tolerated).
        want: usize,
    },
    /// It speaks another version of the protocol.
    #[error("{name} datagram has version {version}, want {want}")]
    Version {
        /// Which kind was wanted.
        name: &'static str,
        /// Its version.
        version: u8,
        /// The version understood here.
        want: u8,
    },
    /// It is of another type.
    #[error("{name} datagram has type {kind}, want {want}")]
    Kind {
        /// Which kind was wanted.
        name: &'static str,
        /// Its type byte.
        kind: u8,
        /// The type byte wanted.
        want: u8,
    },
    /// A field has a value that means nothing.
    #[error("{name} datagram has {field} {value}, which means nothing")]
    Field {
        /// Which kind was wanted.
        name: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
}

/// What a datagram's first two bytes and its length must be.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) len: usize,
    pub(super) tail: Tail,
}

/// Whether bytes after the known ones are tolerated (a later minor version may add fields).
#[derive(PartialEq, Eq)]
pub(super) enum Tail {
    Refused,
    Ignored,
}

impl Shape {
    /// Checks length, version and type, and gives a reader of what follows them.
    pub(super) fn open<'a>(&self, bytes: &'a [u8]) -> Result<Reader<'a>, DatagramError> {
        let &Self { name, version: want_version, kind: want_kind, len: want, .. } = self;
        let short = DatagramError::Length { name, len: bytes.len(), want };
        let &[version, kind, ref rest @ ..] = bytes else { return Err(short) };
        // The version comes first: the length of another version's datagram is not ours to judge.
        if version != want_version {
            return Err(DatagramError::Version { name, version, want: want_version });
        }
        if kind != want_kind {
            return Err(DatagramError::Kind { name, kind, want: want_kind });
        }
        if bytes.len() < want || (self.tail == Tail::Refused && bytes.len() != want) {
            return Err(short);
        }
        Ok(Reader::new(rest))
    }
}

/// Milliseconds of `duration` for a `u16` field, saturating below `u16::MAX`, which stands for "none".
pub(super) fn ms16(duration: std::time::Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(NONE16).min(NONE16 - 1)
}

/// "No value" in a `u16` field.
pub(super) const NONE16: u16 = u16::MAX;

/// A `u16` field that may hold no value.
pub(super) const fn some16(value: u16) -> Option<u16> {
    if value == NONE16 { None } else { Some(value) }
}
