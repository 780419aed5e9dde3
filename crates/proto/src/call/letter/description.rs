//! Descriptions as browsers print them, and the candidates in them.

use serde_json::Value;

use super::Kind;

/// Most candidates that are taken out of a description.
const CANDIDATES_MAX: usize = 64;

/// The description in what a browser's console printed, or in SDP alone.
pub fn find(text: &str) -> Option<(Kind, String)> {
    // Quote marks that a chat program has made typographic.
    let text = text.replace(['\u{201c}', '\u{201d}', '\u{201e}'], "\"");
    in_json(&text).or_else(|| in_json(&unescaped(&text))).or_else(|| bare(&text))
}

fn in_json(text: &str) -> Option<(Kind, String)> {
    let (from, to) = (text.find('{')?, text.rfind('}')?);
    let value: Value = serde_json::from_str(text.get(from..=to)?).ok()?;
    let kind = match value["type"].as_str()? {
        "offer" => Kind::Offer,
        "answer" => Kind::Answer,
        _ => return None,
    };
    let sdp = value["sdp"].as_str()?;
    sdp.contains("v=0").then(|| (kind, with_line_ends(sdp)))
}

/// A string as consoles show it: with every quote mark and backslash escaped once more.
fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// SDP alone says by its role in the handshake what it is.
fn bare(text: &str) -> Option<(Kind, String)> {
    let sdp = &text[text.find("v=0")?..];
    // The rest of what was JSON is none.
    if text.contains('{') || !sdp.contains("a=ice-ufrag:") || !sdp.contains("m=") {
        return None;
    }
    let kind = if sdp.contains("a=setup:actpass") { Kind::Offer } else { Kind::Answer };
    Some((kind, with_line_ends(sdp)))
}

/// Lines that end as RFC 8866 wants it, whatever they ended with.
fn with_line_ends(sdp: &str) -> String {
    let sdp = sdp.replace("\\r\\n", "\n").replace("\\n", "\n");
    let lines = sdp.lines().map(str::trim).filter(|line| line.as_bytes().get(1) == Some(&b'='));
    lines.flat_map(|line| [line, "\r\n"]).collect()
}

/// As a browser prints it, for a browser's console.
pub fn as_json(kind: Kind, sdp: &str) -> String {
    serde_json::json!({"type": kind.as_str(), "sdp": sdp}).to_string()
}

/// Puts candidates (`candidate:…`) at the end of the first section, and says that there are no more.
pub fn with_candidates<'a>(sdp: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let added: String = candidates
        .flat_map(|candidate| ["a=", candidate, "\r\n"])
        .chain(["a=end-of-candidates\r\n"])
        .collect();
    let second = sdp.match_indices("\r\nm=").nth(1).map_or(sdp.len(), |(at, _)| at + 2);
    format!("{}{added}{}", &sdp[..second], &sdp[second..])
}

/// Takes the candidates out of a description: the rest, and the first section's candidates (all media share one
/// transport).
pub fn split_candidates(sdp: &str) -> (String, Vec<String>) {
    let mut candidates = Vec::new();
    let mut sections = 0;
    let rest = sdp
        .lines()
        .filter(|line| {
            sections += usize::from(line.starts_with("m="));
            let Some(attribute) = line.strip_prefix("a=") else { return true };
            if attribute.starts_with("candidate:") {
                if sections == 1 && candidates.len() < CANDIDATES_MAX {
                    candidates.push(attribute.to_owned());
                }
                return false;
            }
            attribute != "end-of-candidates"
        })
        .flat_map(|line| [line, "\r\n"])
        .collect();
    (rest, candidates)
}
