//! Any description in some hundred bytes: deflated (RFC 1951) by one that has already written a call's description, and
//! inflated by one that has already read it. What is alike in every call then costs next to nothing, so that a letter is
//! short enough for a picture (QR).

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress};

use super::SDP_BYTES_MAX;

/// What both have seen: a call's description as this system's engine writes it, without what is drawn by lot. A part of the
/// protocol: whatever is changed here makes other letters.
const SEEN: &str = include_str!("primed.sdp");

/// Deflates a description.
pub fn pack(sdp: &str) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(SEEN.len() + sdp.len() + 1024);
    feed(&mut compress, SEEN, &mut out, FlushCompress::Sync);
    // A synchronised stream goes on at a whole byte.
    let seen = out.len();
    feed(&mut compress, sdp, &mut out, FlushCompress::Finish);
    out.split_off(seen)
}

fn feed(compress: &mut Compress, text: &str, out: &mut Vec<u8>, flush: FlushCompress) {
    let end = compress.total_in() + text.len() as u64;
    loop {
        let rest = text.len() - (end - compress.total_in()) as usize;
        out.reserve(text.len() + 64);
        compress.compress_vec(&text.as_bytes()[rest..], out, flush).expect("a stream of its own making");
        // With room left there is nothing more to come.
        if compress.total_in() == end && out.len() < out.capacity() {
            return;
        }
    }
}

/// Inflates a description; `None` if the bytes are none.
pub fn unpack(bytes: &[u8]) -> Option<String> {
    // What was seen comes first as a block that is stored as it is: RFC 1951, 3.2.4.
    let length = (SEEN.len() as u16).to_le_bytes();
    let mut stream = vec![0, length[0], length[1], !length[0], !length[1]];
    stream.extend(SEEN.as_bytes());
    stream.extend(bytes);
    let most = SEEN.len() + SDP_BYTES_MAX;
    let mut text = String::new();
    DeflateDecoder::new(&stream[..]).take(most as u64 + 1).read_to_string(&mut text).ok()?;
    if text.len() > most {
        return None;
    }
    text.strip_prefix(SEEN).map(str::to_owned)
}

const _: () = assert!(SEEN.len() < 32 * 1024, "deflate looks back so far");
