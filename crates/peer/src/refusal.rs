//! A section of media that the peer's answer refuses, told to the engine as one that stands still.
//!
//! RFC 9429 section 5.3.1 refuses a section by port 0 and leaves its codecs out. The engine takes that for "this kind of media
//! is settled, without a codec" and can offer nothing any more (docs/ENGINE.md), so no ICE restart. A section that is accepted
//! as `inactive` (RFC 8866 section 6.7) means the same to whoever sends: nothing goes through it.

/// The answer as the engine may have it: each section with port 0 gets back what this side offered for its `mid`, inactive.
pub(crate) fn softened(answer: &str, offer: &str) -> String {
    let offered = sections(offer);
    let mut out = String::with_capacity(answer.len());
    for section in sections(answer) {
        let own = mid(&section)
            .filter(|_| is_refused(&section))
            .and_then(|wanted| offered.iter().find(|own| mid(own) == Some(wanted)));
        let lines = match own {
            Some(own) => stood_still(own),
            None => section,
        };
        for line in lines {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

/// How many sections of this kind, `"audio"` or `"video"`, a description has that are not refused and know the codec.
pub(crate) fn taken(description: &str, kind: &str, codec: &str) -> usize {
    let knows = |line: &&str| {
        let mapped = line.strip_prefix("a=rtpmap:").and_then(|map| map.split(' ').nth(1));
        mapped.and_then(|map| map.split('/').next()).is_some_and(|name| name.eq_ignore_ascii_case(codec))
    };
    let is_taken = |section: &&Vec<&str>| {
        kind_of(section) == Some(kind)
            && !is_refused(section)
            && !section.contains(&INACTIVE)
            && section.iter().any(&knows)
    };
    sections(description).iter().filter(is_taken).count()
}

const INACTIVE: &str = "a=inactive";

/// The lines of each section, those before the first section first.
fn sections(description: &str) -> Vec<Vec<&str>> {
    let mut all = vec![Vec::new()];
    for line in description.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            all.push(Vec::new());
        }
        all.last_mut().expect("begun with one").push(line);
    }
    all
}

/// What a section says of its codecs, without directions, streams, candidates and credentials, which it does not need.
fn stood_still<'a>(own: &[&'a str]) -> Vec<&'a str> {
    const KEPT: [&str; 6] = ["m=", "c=", "a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-"];
    let kept = own.iter().copied().filter(|line| KEPT.iter().any(|start| line.starts_with(start)));
    kept.chain([INACTIVE]).collect()
}

fn kind_of<'a>(section: &[&'a str]) -> Option<&'a str> {
    section.first()?.strip_prefix("m=")?.split(' ').next()
}

fn mid<'a>(section: &[&'a str]) -> Option<&'a str> {
    section.iter().find_map(|line| line.strip_prefix("a=mid:"))
}

fn is_refused(section: &[&str]) -> bool {
    section.first().is_some_and(|line| line.starts_with("m=") && line.split(' ').nth(1) == Some("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\na=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:0\r\na=rtpmap:102 H264/90000\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\n\
        a=sendrecv\r\na=ssrc:1 cname:x\r\n";
    const ANSWER: &str =
        "v=0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:0\r\na=recvonly\r\n";

    #[test]
    fn what_is_refused_comes_back_inactive_and_the_rest_stays() {
        let refused = format!("{ANSWER}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n");
        let want = format!(
            "{ANSWER}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\n\
            a=inactive\r\n"
        );
        assert_eq!(softened(&refused, OFFER), want);
        assert_eq!([&refused, &want].map(|answer| taken(answer, "audio", "opus")), [0, 0]);
    }

    #[test]
    fn what_is_accepted_or_was_never_offered_is_left_alone() {
        let accepted = format!("{ANSWER}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendrecv\r\n");
        let foreign = format!("{ANSWER}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:7\r\n");
        let nameless = format!("{ANSWER}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n");
        for answer in [accepted.as_str(), &foreign, &nameless, "", "m=", "m=audio"] {
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(lines(&softened(answer, OFFER)), lines(answer));
        }
    }

    #[test]
    fn sections_count_that_are_open_and_know_the_codec() {
        let with = |codec: &str| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtpmap:0 {codec}\r\n");
        let two = format!("{}{}", with("OPUS/48000/2"), with("opus/48000/2"));
        for (description, want) in [
            (OFFER, 1),
            (two.as_str(), 2),
            (&with("PCMU/8000"), 0),
            (&format!("{}a=inactive\r\n", with("opus/48000/2")), 0),
            (&with("opus/48000/2").replace(" 9 ", " 0 "), 0),
            ("m=audio", 0),
            ("", 0),
        ] {
            assert_eq!(taken(description, "audio", "opus"), want, "{description:?}");
        }
        assert_eq!(taken(OFFER, "video", "H264"), 1);
        assert_eq!(taken(OFFER, "video", "VP8"), 0);
    }
}
