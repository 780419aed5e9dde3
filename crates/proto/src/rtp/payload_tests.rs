use proptest::prelude::*;

use super::*;

#[test]
fn a_small_picture_travels_as_one_aggregate_and_one_single_packet() {
    // Golden: SPS, PPS, IDR slice, as every key frame begins.
    let annex_b = Bytes::from_static(&[
        0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 1, 0x65, 0x88, 0x84,
    ]);
    let payloads = split(&annex_b, PAYLOAD_BYTES_MAX);
    assert_eq!(
        payloads,
        [
            Bytes::from_static(&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 4, 0x68, 0xce, 0x3c, 0x80]),
            Bytes::from_static(&[0x65, 0x88, 0x84]),
        ]
    );
}

#[test]
fn a_large_unit_travels_in_fragments_of_equal_size() {
    let mut nal = vec![0, 0, 0, 1, 0x65];
    nal.extend(1..=40);
    let payloads = split(&nal.into(), 16);
    assert_eq!(payloads.iter().map(Bytes::len).collect::<Vec<_>>(), [16, 16, 14]);
    assert_eq!(payloads[0][..3], [0x7c, 0x85, 1]);
    assert_eq!(payloads[1][..3], [0x7c, 0x05, 15]);
    assert_eq!(payloads[2][..3], [0x7c, 0x45, 29]);
}

#[test]
fn a_unit_that_just_fits_is_not_cut() {
    let fits: Bytes = [vec![0, 0, 1, 0x61], vec![7; 15]].concat().into();
    assert_eq!(split(&fits, 16).len(), 1);
    let too_long: Bytes = [vec![0, 0, 1, 0x61], vec![7; 16]].concat().into();
    assert_eq!(split(&too_long, 16).len(), 2);
}

#[test]
fn delimiters_and_filler_stay_behind() {
    let annex_b = Bytes::from_static(&[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x61, 5, 0, 0, 1, 12, 0xff, 0x80]);
    assert_eq!(split(&annex_b, 100), [Bytes::from_static(&[0x61, 5])]);
}

#[test]
fn what_no_sender_sends_is_malformed() {
    for (payload, want) in [
        (&[][..], Malformed::Truncated(0)),
        (&[0x7c], Malformed::Truncated(1)),
        (&[0x7c, 0x85], Malformed::Truncated(2)),
        (&[0x7c, 0xc5, 1], Malformed::Fragment(0xc5)),
        (&[0x7c, 0x80, 1], Malformed::Fragment(0x80)),
        (&[0x7c, 0x9c, 1], Malformed::Fragment(0x9c)),
        (&[0x78], Malformed::Truncated(1)),
        (&[0x78, 0], Malformed::Truncated(1)),
        (&[0x78, 0, 0], Malformed::Aggregate { announced: 0, left: 0 }),
        (&[0x78, 0, 4, 1, 2, 3], Malformed::Aggregate { announced: 4, left: 3 }),
        (&[0x78, 0, 1, 7, 0xff, 0xff, 1], Malformed::Aggregate { announced: 0xffff, left: 1 }),
        (&[0x60, 1], Malformed::Kind(0)),
        (&[0x79, 1], Malformed::Kind(25)),
        (&[0x7d, 1, 2], Malformed::Kind(29)),
    ] {
        assert_eq!(Payload::parse(payload), Err(want), "{payload:02x?}");
    }
}

#[test]
fn fragments_that_do_not_follow_each_other_are_not_glued() {
    let (first, middle, last) = (&[0x7c, 0x85, 1][..], &[0x7c, 0x05, 2][..], &[0x7c, 0x45, 3][..]);
    let single = &[0x61, 9][..];
    let other = &[0x7c, 0x41, 3][..];
    for bad in
        [&[middle, last][..], &[first, first], &[first, single], &[first, other], &[first, middle], &[]]
    {
        assert_eq!(join(bad), Err(Malformed::Sequence), "{bad:02x?}");
    }
    assert_eq!(
        join(&[first, middle, last]),
        Ok((Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 2, 3]), FrameKind::Key))
    );
}

#[test]
fn a_recovery_is_told_by_the_packet_before_it() {
    let note = Anchor(77).note();
    let picture: Bytes = [&[0, 0, 0, 1][..], &note, &[0, 0, 0, 1, 0x61], &[9; 900]].concat().into();
    let payloads = split(&picture, 600);
    assert_eq!(payloads.len(), 3);
    let opens: Vec<_> =
        payloads.iter().map(|payload| Payload::parse(payload).unwrap().opens_recovery()).collect();
    assert_eq!(opens, [Some(Anchor(77)), None, None]);
    let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
    assert_eq!(join(&payloads), Ok((picture, FrameKind::Recovery)));
    // A key frame is one whatever stands before it.
    assert_eq!(join(&[&note, &[0x65, 1]]).map(|(_, kind)| kind), Ok(FrameKind::Key));
}

proptest! {
    #[test]
    fn any_picture_comes_back_as_it_was(units in units(), bytes_max in 16_usize..400) {
        let annex_b = annex_b(&units);
        let payloads = split(&annex_b, bytes_max);
        prop_assert!(payloads.iter().all(|payload| payload.len() <= bytes_max && !payload.is_empty()));
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        let (joined, _) = join(&payloads).expect("what split makes can be joined");
        prop_assert_eq!(joined, annex_b);
    }

    #[test]
    fn no_payload_panics(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        for payload in &payloads {
            if let Ok(payload) = Payload::parse(payload) {
                payload.opens_key_frame();
                payload.opens_recovery();
            }
        }
        join(&payloads).ok();
    }
}

fn join(payloads: &[&[u8]]) -> Result<(Bytes, FrameKind), Malformed> {
    let mut joiner = Joiner::default();
    for payload in payloads {
        joiner.push(payload)?;
    }
    joiner.finish()
}

/// NAL units as encoders make them: no start code inside, no zero at the end.
fn units() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let unit = (
        prop::sample::select(vec![0x61, 0x65, 0x06, 0x67, 0x68]),
        prop::collection::vec(1..=255_u8, 1..2000),
    )
        .prop_map(|(header, body)| [vec![header], body].concat());
    prop::collection::vec(unit, 1..6)
}

fn annex_b(units: &[Vec<u8>]) -> Bytes {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], &unit[..]].concat()).collect()
}
