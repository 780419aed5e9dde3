//! Letters on their way through people's hands.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const CONN: ConnId = ConnId::new(0xc0ff_ee00_0000_0001);

/// Of a connection of data channels alone, as this system's engine writes it.
const DATA: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    a=fingerprint:sha-256 3C:4F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:FF\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\n\
    a=sctp-port:5000\r\na=ice-ufrag:abcdEFGH12345678\r\na=ice-pwd:abcdefghijklmnopqrstuvwxyz012345\r\n\
    a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n\
    a=candidate:2 1 udp 1694498815 198.51.100.3 61000 typ srflx raddr 192.0.2.7 rport 50000\r\n\
    a=candidate:3 1 udp 2130706175 2001:db8::7 50001 typ host\r\na=end-of-candidates\r\n";

fn call() -> String {
    DATA.replace("m=application", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\nm=application")
}

fn offer(sdp: &str) -> String {
    write(Kind::Offer, CONN, sdp, NOW)
}

#[test]
fn a_letter_arrives_as_it_was_written() {
    let letter = read(&offer(&call()), Wanted::Offer, NOW).unwrap();
    assert_eq!(letter, Letter { kind: Kind::Offer, conn: Some(CONN), sdp: call() });
    let answer = write(Kind::Answer, CONN, &call(), NOW);
    assert!(answer.starts_with("farwheel-answer-1:\n"));
    assert!(answer.lines().all(|line| line.len() <= LINE), "{answer}");
    let letter = read(&answer, Wanted::AnswerTo(CONN), NOW).unwrap();
    assert_eq!(letter.kind, Kind::Answer);
}

#[test]
fn what_chat_programs_do_to_a_letter_is_undone() {
    let letter = offer(&call());
    let want = read(&letter, Wanted::Offer, NOW).unwrap();
    let quoted: String = letter.lines().map(|line| format!("> {line}\n")).collect();
    let body_spaced = {
        let (head, body) = letter.split_once(':').unwrap();
        format!("{head}:{}", body.chars().flat_map(|c| [c, '\u{200b}', ' ']).collect::<String>())
    };
    for text in [
        quoted,
        body_spaced,
        in_one_line(&letter),
        letter.replace('\n', "\r\n"),
        letter.replace('+', "-").replace('/', "_"),
        letter.replace("farwheel", "Farwheel"),
        format!("Hi! Paste this:\n```\n{letter}\n```\nSee you in a minute, Ada (sent from my telephone)"),
        format!("\u{201c}{letter}\u{201d}"),
        format!("*{letter}*"),
        format!("{letter}\n\nOn Sunday Ada wrote:\n{}", write(Kind::Answer, CONN, DATA, NOW)),
    ] {
        assert_eq!(read(&text, Wanted::Offer, NOW).as_ref(), Ok(&want), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_in_words() {
    let letter = offer(&call());
    let expired = |seconds| read(&letter, Wanted::Offer, NOW + 600 + seconds).unwrap_err().to_string();
    for (got, want) in [
        (expired(5), "the letter expired less than a minute ago: ask for a fresh one"),
        (expired(3 * 60 + 5), "the letter expired 3 minutes ago: ask for a fresh one"),
        (
            read(&letter, Wanted::AnswerTo(CONN), NOW).unwrap_err().to_string(),
            "this is your own offer: send it to the other one, and paste what comes back",
        ),
        (
            read(&letter, Wanted::AnswerTo(ConnId::new(1)), NOW).unwrap_err().to_string(),
            "this is an offer, wanted is an answer",
        ),
        (
            read(&write(Kind::Answer, CONN, DATA, NOW), Wanted::Offer, NOW).unwrap_err().to_string(),
            "this is an answer, wanted is an offer",
        ),
        (
            read(&write(Kind::Answer, CONN, DATA, NOW), Wanted::AnswerTo(ConnId::new(1)), NOW)
                .unwrap_err()
                .to_string(),
            "this answers another offer than the one shown here",
        ),
        (
            read(&letter.replace("-1:", "-2:"), Wanted::Offer, NOW).unwrap_err().to_string(),
            "the letter is of version 2, and this program reads version 1; use the same version on both sides",
        ),
        (
            read("Hello, how are you?", Wanted::Offer, NOW).unwrap_err().to_string(),
            "this is neither a letter of farwheel nor a description that a browser printed",
        ),
        (
            // The kind counts, though both kinds would be read alike.
            read(&letter.replace("-offer-", "-answer-"), Wanted::AnswerTo(CONN), NOW)
                .unwrap_err()
                .to_string(),
            "the letter was changed on its way: its checksum is wrong; copy it again",
        ),
    ] {
        assert_eq!(got, want);
    }
    assert!(read(&letter, Wanted::Offer, NOW + 599).is_ok());
    assert!(read(&letter, Wanted::Offer, NOW - 3600).is_ok(), "the clocks differ");
}

#[test]
fn a_letter_that_is_cut_off_anywhere_is_told_from_a_damaged_one() {
    let letter = offer(&call());
    let body = letter.find(':').unwrap() + 1;
    for end in body..letter.len() {
        let error = read(&letter[..end], Wanted::Offer, NOW).unwrap_err();
        let have = letter[body..end].bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        assert!(matches!(error, LetterError::CutOff { have: h, .. } if h == have), "{end}: {error}");
        assert!(error.is_incomplete());
    }
}

#[test]
fn a_short_description_makes_a_short_letter() {
    let packed = compact::pack(DATA).unwrap();
    assert!((91..=183).contains(&packed.len()), "{} bytes", packed.len());
    let letter = read(&offer(DATA), Wanted::Offer, NOW).unwrap();
    for line in [
        "a=setup:actpass",
        "a=ice-ufrag:abcdEFGH12345678",
        "a=ice-pwd:abcdefghijklmnopqrstuvwxyz012345",
        "a=fingerprint:sha-256 3C:4F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:FF",
        "a=candidate:1 1 udp 2130706175 192.0.2.7 50000 typ host",
        "a=candidate:2 1 udp 2130705919 2001:db8::7 50001 typ host",
        "a=candidate:3 1 udp 1694498047 198.51.100.3 61000 typ srflx raddr 0.0.0.0 rport 9",
        "a=sctp-port:5000",
    ] {
        assert!(letter.sdp.lines().any(|have| have == line), "{line} in {}", letter.sdp);
    }
    assert_eq!(compact::pack(&letter.sdp), Some(packed), "nothing more gets lost the second time");
    assert!(in_one_line(&offer(DATA)).len() < 260);
}

#[test]
fn a_description_with_more_to_it_is_not_made_shorter() {
    for sdp in [
        call(),
        DATA.replace("192.0.2.7 50000", "4c1b0b32-a0c7-4bb9-8b3a-5c9d1e7f0a11.local 50000"),
        DATA.replace("1 udp 2130706431", "1 tcp 2130706431"),
        DATA.replace("sha-256", "sha-512"),
        DATA.replace("a=mid:0", "a=mid:data"),
        DATA.replace("abcdEFGH12345678", "with space"),
    ] {
        assert_eq!(compact::pack(&sdp), None, "{sdp}");
        assert_eq!(read(&offer(&sdp), Wanted::Offer, NOW).unwrap().sdp, sdp);
    }
}

#[test]
fn what_a_browsers_console_prints_is_read() {
    let json = description::as_json(Kind::Offer, DATA);
    let shown = format!("'{}'", json.replace('\\', "\\\\"));
    let string = serde_json::to_string(&json).unwrap();
    for text in [
        json.clone(),
        shown,
        string,
        format!("> JSON.stringify(pc.localDescription)\n{json}\n"),
        json.replace('"', "\u{201d}"),
        DATA.to_owned(),
        DATA.replace("\r\n", "\n"),
    ] {
        let letter = read(&text, Wanted::Offer, NOW).unwrap();
        assert_eq!(letter, Letter { kind: Kind::Offer, conn: None, sdp: DATA.into() }, "{text}");
    }
    let answer = description::as_json(Kind::Answer, &DATA.replace("actpass", "active"));
    assert_eq!(read(&answer, Wanted::AnswerTo(CONN), NOW).unwrap().kind, Kind::Answer);
    for text in [&json[..json.len() - 1], "{}", r#"{"type":"offer"}"#, r#"{"type":"pranswer","sdp":"v=0"}"#] {
        assert_eq!(read(text, Wanted::Offer, NOW), Err(LetterError::None), "{text}");
    }
}

#[test]
fn candidates_come_out_of_a_description_and_back_into_it() {
    let (rest, candidates) = description::split_candidates(DATA);
    assert_eq!(candidates.len(), 3);
    assert!(!rest.contains("candidate"));
    assert_eq!(description::with_candidates(&rest, candidates.iter().map(String::as_str)), DATA);
    let two =
        format!("{rest}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:9 1 udp 1 192.0.2.9 1 typ host\r\n");
    let (two_rest, of_first) = description::split_candidates(&two);
    assert!(of_first.is_empty(), "all share the first section's");
    let whole = description::with_candidates(&two_rest, candidates.iter().map(String::as_str));
    assert!(whole.find("a=candidate:3").unwrap() < whole.find("m=video").unwrap(), "{whole}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for text in [text.clone(), format!("farwheel-offer-1:{text}"), format!("farwheel-answer-1:{}", BASE64_NOPAD.encode(&bytes))] {
            read(&text, Wanted::Offer, NOW).ok();
            read(&text, Wanted::AnswerTo(CONN), NOW).ok();
        }
        compact::unpack(&bytes, CONN);
    }

    #[test]
    fn one_changed_character_never_passes(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9+/]") {
        let letter = offer(&call());
        let body = letter.find(':').unwrap() + 2;
        let at = body + at.index(letter.len() - body);
        let to = to.as_bytes()[0];
        let mut bytes = letter.into_bytes();
        prop_assume!(bytes[at] != to && bytes[at] != b'\n');
        // The last character holds bits that say nothing.
        prop_assume!(at + 1 < bytes.len());
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(read(&changed, Wanted::Offer, NOW).is_err());
    }
}
