//! Offer and answer as letters: text that people carry between two programs, by mail, chat or a picture (QR), where there
//! is no server to do it.
//!
//! A letter is `farwheel-offer-1:` or `farwheel-answer-1:` and then, in base64:
//!
//! | bytes, big-endian | content |
//! |---|---|
//! | 2 | length of the whole |
//! | 1 | how the description is written: 0 [`primed`], 1 [`compact`] |
//! | 8 | connection id; the answer repeats the offer's |
//! | 4 | when it was written, Unix seconds |
//! | 2 | for how many seconds it counts |
//! | .. | the description with all candidates |
//! | 4 | CRC-32 of the kind (`offer` or `answer`) and all before |
//!
//! It is written with `+` and `/`, since chat programs take `_` for emphasis and make a dash of `--`; both alphabets are
//! read. What chat programs put between the lines (quote marks, spaces, line breaks) is passed over. What a browser's console
//! prints for a description, `{"type":"offer","sdp":"…"}`, is read as well.

pub mod compact;
pub mod description;
pub mod primed;
#[cfg(test)]
mod tests;

use std::time::Duration;

use data_encoding::BASE64_NOPAD;

use crate::signaling::ConnId;

/// A letter counts for so long. People need minutes to carry it; the address that a home router gave to the writer's
/// socket (RFC 4787 REQ-5: at least 2, better 5 minutes without traffic) is not kept for much longer.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Characters in a line: mail programs break longer ones.
const LINE: usize = 64;
/// Bytes of everything but the description.
const FRAME: usize = 2 + 1 + 8 + 4 + 2 + 4;
/// Longest description, also when inflated; one of a call has some 8 KiB.
const SDP_BYTES_MAX: usize = 64 * 1024;
/// Longest text that is looked at.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

const VERSION: &str = "1";
const PRIMED: u8 = 0;
const COMPACT: u8 = 1;

/// What a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first one.
    Offer,
    /// What comes back.
    Answer,
}

impl Kind {
    /// As in the letter's first line and in `type` of a browser's description.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
        }
    }
}

/// A description on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What it is.
    pub kind: Kind,
    /// The connection; none in what a browser's console printed.
    pub conn: Option<ConnId>,
    /// The description with all its candidates.
    pub sdp: String,
}

/// Why a text is not the letter that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// There is no letter in it.
    #[error("this is neither a letter of farwheel nor a description that a browser printed")]
    None,
    /// Its end is missing.
    #[error("the letter is cut off: {have} of {want} characters are there; copy all of it")]
    CutOff {
        /// Characters that are there.
        have: usize,
        /// Characters of the whole.
        want: usize,
    },
    /// Something in it is another than was written.
    #[error("the letter was changed on its way: its checksum is wrong; copy it again")]
    Damaged,
    /// A later version.
    #[error(
        "the letter is of version {0}, and this program reads version 1; use the same version on both sides"
    )]
    Version(String),
    /// Too old.
    #[error("the letter expired {} ago: ask for a fresh one", minutes(*.ago))]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// The one that this side wrote itself.
    #[error("this is your own {}: send it to the other one, and paste what comes back", .0.as_str())]
    Own(Kind),
    /// An offer where an answer is wanted, or the other way round.
    #[error("this is an {}, wanted is an {}", .have.as_str(), .want.as_str())]
    WrongKind {
        /// What it is.
        have: Kind,
        /// What is wanted.
        want: Kind,
    },
    /// The answer to another offer.
    #[error("this answers another offer than the one shown here")]
    OtherOffer,
}

impl LetterError {
    /// In words that stand alone.
    pub fn sentence(&self) -> String {
        let words = self.to_string();
        let mut characters = words.chars();
        let first = characters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(characters).chain(['.']).collect()
    }

    /// Whether more text may make a letter of it.
    pub const fn is_incomplete(&self) -> bool {
        matches!(self, Self::None | Self::CutOff { .. })
    }
}

/// What the reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Anybody's offer.
    Offer,
    /// The answer to this side's own offer.
    AnswerTo(ConnId),
}

/// Writes a letter, in lines.
pub fn write(kind: Kind, conn: ConnId, sdp: &str, unix_seconds: u64) -> String {
    let (how, description) = match compact::pack(sdp) {
        Some(packed) => (COMPACT, packed),
        None => (PRIMED, primed::pack(sdp)),
    };
    let length = FRAME + description.len();
    let mut body = Vec::with_capacity(length);
    let length = u16::try_from(length).expect("this system's own descriptions deflate to some KiB");
    body.extend(length.to_be_bytes());
    body.push(how);
    body.extend(conn.to_bytes());
    body.extend((unix_seconds as u32).to_be_bytes());
    body.extend((LIFETIME.as_secs() as u16).to_be_bytes());
    body.extend(description);
    let sum = checksum(kind, &body);
    body.extend(sum.to_be_bytes());
    let text = BASE64_NOPAD.encode(&body);
    let mut letter = format!("farwheel-{}-{VERSION}:", kind.as_str());
    for line in text.as_bytes().chunks(LINE) {
        letter.push('\n');
        letter.extend(line.iter().map(|byte| char::from(*byte)));
    }
    letter
}

/// A letter in one line, for a picture.
pub fn in_one_line(letter: &str) -> String {
    letter.split_ascii_whitespace().collect()
}

/// Finds the letter in a text, whatever is around it, and checks that it is the one wanted.
///
/// # Errors
///
/// What is wrong with it, in words for the user.
pub fn read(text: &str, wanted: Wanted, unix_seconds: u64) -> Result<Letter, LetterError> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let want = match wanted {
        Wanted::Offer => Kind::Offer,
        Wanted::AnswerTo(_) => Kind::Answer,
    };
    let found = match find(text, want) {
        Some((kind, version, body)) => {
            if version != VERSION {
                return Err(LetterError::Version(version.to_owned()));
            }
            open(kind, body)?
        }
        None => {
            let (kind, sdp) = description::find(text).ok_or(LetterError::None)?;
            Found { kind, conn: None, sdp, expires: None }
        }
    };
    let Found { kind, conn, sdp, expires } = found;
    let own = match wanted {
        Wanted::AnswerTo(own) => Some(own),
        Wanted::Offer => None,
    };
    match (wanted, kind) {
        (Wanted::AnswerTo(_), Kind::Offer) if conn == own => return Err(LetterError::Own(Kind::Offer)),
        (Wanted::AnswerTo(_), Kind::Offer) => {
            return Err(LetterError::WrongKind { have: Kind::Offer, want: Kind::Answer });
        }
        (Wanted::Offer, Kind::Answer) => {
            return Err(LetterError::WrongKind { have: Kind::Answer, want: Kind::Offer });
        }
        (Wanted::AnswerTo(_), Kind::Answer) if conn.is_some() && conn != own => {
            return Err(LetterError::OtherOffer);
        }
        (Wanted::AnswerTo(_), Kind::Answer) | (Wanted::Offer, Kind::Offer) => {}
    }
    if let Some(ago) = expires.and_then(|expires| unix_seconds.checked_sub(expires)) {
        return Err(LetterError::Expired { ago: Duration::from_secs(ago) });
    }
    Ok(Letter { kind, conn, sdp })
}

struct Found {
    kind: Kind,
    conn: Option<ConnId>,
    sdp: String,
    expires: Option<u64>,
}

/// Kind, version, and what comes after the mark. A reply may quote what it answers: the kind that is wanted comes first.
fn find(text: &str, want: Kind) -> Option<(Kind, &str, &str)> {
    // ASCII alone changes, so places stay where they are.
    let lower = text.to_ascii_lowercase();
    [want, Kind::Offer, Kind::Answer].into_iter().find_map(|kind| {
        let mark = format!("farwheel-{}-", kind.as_str());
        let at = lower.find(&mark)? + mark.len();
        let (version, body) = text[at..].split_once(':')?;
        (version.len() <= 8 && version.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .then_some((kind, version, body))
    })
}

fn open(kind: Kind, text: &str) -> Result<Found, LetterError> {
    // The length comes first; so nothing after the letter is taken for a part of it.
    let characters: Vec<u8> = text.bytes().filter_map(character).take(4 * SDP_BYTES_MAX / 3).collect();
    let whole = characters.len();
    let bytes = decode(&characters).ok_or(LetterError::Damaged)?;
    let Some(length) = bytes.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length))) else {
        return Err(LetterError::CutOff { have: whole, want: BASE64_NOPAD.encode_len(FRAME) });
    };
    if length <= FRAME {
        return Err(LetterError::Damaged);
    }
    let Some(body) = bytes.get(..length) else {
        return Err(LetterError::CutOff { have: whole, want: BASE64_NOPAD.encode_len(length) });
    };
    let (body, sum) = body.split_last_chunk().expect("longer than the frame");
    if checksum(kind, body) != u32::from_be_bytes(*sum) {
        return Err(LetterError::Damaged);
    }
    let conn = ConnId::from_bytes(*body[3..].first_chunk().expect("longer than the frame"));
    let written = u32::from_be_bytes(*body[11..].first_chunk().expect("longer than the frame"));
    let lasts = u16::from_be_bytes(*body[15..].first_chunk().expect("longer than the frame"));
    let description = &body[17..];
    let sdp = match body[2] {
        PRIMED => primed::unpack(description),
        COMPACT => compact::unpack(description, conn),
        // Written by a program that knows more; the version says otherwise.
        _ => None,
    };
    let sdp = sdp.ok_or(LetterError::Damaged)?;
    Ok(Found { kind, conn: Some(conn), sdp, expires: Some(u64::from(written) + u64::from(lasts)) })
}

/// A character of either alphabet in the one that is written; none for what chat programs put between.
fn character(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Some(byte),
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        _ => None,
    }
}

/// Decodes as much as there is.
fn decode(characters: &[u8]) -> Option<Vec<u8>> {
    let values: Vec<u32> = characters.iter().map(|byte| value(*byte)).collect::<Option<_>>()?;
    let mut bytes = Vec::with_capacity(values.len() * 3 / 4);
    for group in values.chunks(4) {
        let bits = group.iter().fold(0, |bits, value| bits << 6 | value) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..][..group.len() * 6 / 8]);
    }
    Some(bytes)
}

fn value(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

fn checksum(kind: Kind, body: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(kind.as_str().as_bytes());
    crc.update(body);
    crc.sum()
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "less than a minute".to_owned(),
        60..120 => "a minute".to_owned(),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}
