use super::*;

const ADA: &str = "sha-256 aa:01";
const BOB: &str = "sha-256 bb:02";
const EVE: &str = "sha-256 ee:03";

fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

fn begin(number: u8, own: &str, other: &str) -> (Verifier, Message) {
    let fingerprints = Fingerprints { own: own.into(), other: other.into() };
    Verifier::new(&identity(number), fingerprints, [number + 100; 32])
}

/// Over the wire and back.
fn carried(message: &Message) -> Message {
    serde_json::from_slice(&serde_json::to_vec(message).expect("plain")).expect("own message")
}

/// Each gets what the other one sends, changed on its way.
fn exchange(a: &mut (Verifier, Message), b: &mut (Verifier, Message), change: impl Fn(Message) -> Message) {
    let from_a = a.0.handle_message(&carried(&b.1));
    let from_b = b.0.handle_message(&carried(&a.1));
    if let Some(message) = from_a {
        b.0.handle_message(&change(carried(&message)));
    }
    if let Some(message) = from_b {
        a.0.handle_message(&change(carried(&message)));
    }
}

fn words(verifier: &Verifier) -> &str {
    &verifier.outcome().expect("over").expect("went well").words
}

#[test]
fn both_sides_get_the_same_four_words_and_each_others_key() {
    let (mut ada, mut bob) = (begin(1, ADA, BOB), begin(2, BOB, ADA));
    exchange(&mut ada, &mut bob, |message| message);
    assert_eq!(words(&ada.0), words(&bob.0));
    assert_eq!(words(&ada.0).split(' ').count(), 4);
    assert_eq!(ada.0.outcome().expect("over").expect("well").key, identity(2).key());
    assert_eq!(bob.0.outcome().expect("over").expect("well").key, identity(1).key());
}

#[test]
fn who_sits_between_gets_other_words_on_each_side() {
    let (mut ada, mut eve_to_ada) = (begin(1, ADA, EVE), begin(3, EVE, ADA));
    let (mut bob, mut eve_to_bob) = (begin(2, BOB, EVE), begin(3, EVE, BOB));
    exchange(&mut ada, &mut eve_to_ada, |message| message);
    exchange(&mut bob, &mut eve_to_bob, |message| message);
    assert_ne!(words(&ada.0), words(&bob.0));
}

#[test]
fn who_sits_between_cannot_pass_identities_on() {
    // Eve has a certificate of her own towards each, and carries their messages over unchanged.
    let (mut ada, mut bob) = (begin(1, ADA, EVE), begin(2, BOB, EVE));
    exchange(&mut ada, &mut bob, |message| message);
    assert_eq!(ada.0.outcome(), Some(Err(Failure::Changed)));
    assert_eq!(bob.0.outcome(), Some(Err(Failure::Changed)));
}

#[test]
fn a_part_that_is_changed_after_the_commitment_is_seen() {
    let other = identity(9);
    let changes: [fn(Message) -> Message; 2] = [
        |message| match message {
            Message::Reveal { key, signature, .. } => {
                Message::Reveal { nonce: Bytes32([7; 32]), key, signature }
            }
            commit @ Message::Commit { .. } => commit,
        },
        |message| match message {
            Message::Reveal { nonce, signature, .. } => {
                Message::Reveal { nonce, key: identity(9).key(), signature }
            }
            commit @ Message::Commit { .. } => commit,
        },
    ];
    for change in changes {
        let (mut ada, mut bob) = (begin(1, ADA, BOB), begin(2, BOB, ADA));
        exchange(&mut ada, &mut bob, change);
        assert_eq!(ada.0.outcome(), Some(Err(Failure::Changed)));
    }
    // A signature by another, or over another connection.
    for signature in
        [other.sign(&claim(BOB, ADA)), identity(2).sign(&claim(BOB, EVE)), identity(2).sign(&claim(ADA, BOB))]
    {
        let (mut ada, mut bob) = (begin(1, ADA, BOB), begin(2, BOB, ADA));
        exchange(&mut ada, &mut bob, |message| match message {
            Message::Reveal { nonce, key, .. } => Message::Reveal { nonce, key, signature },
            commit @ Message::Commit { .. } => commit,
        });
        assert_eq!(ada.0.outcome(), Some(Err(Failure::Signature)));
    }
}

#[test]
fn nothing_is_revealed_to_who_has_not_committed() {
    let (mut ada, bob) = (begin(1, ADA, BOB), begin(2, BOB, ADA));
    let signature = identity(2).sign(b"");
    let reveal = Message::Reveal { nonce: Bytes32([0; 32]), key: identity(2).key(), signature };
    assert_eq!(ada.0.handle_message(&reveal), None);
    assert_eq!(ada.0.outcome(), Some(Err(Failure::Order)));
    assert_eq!(ada.0.handle_message(&bob.1), None, "failed is failed");
}

#[test]
fn a_second_commitment_ends_it() {
    let (mut ada, bob) = (begin(1, ADA, BOB), begin(2, BOB, ADA));
    assert!(ada.0.handle_message(&bob.1).is_some());
    assert_eq!(ada.0.handle_message(&bob.1), None);
    assert_eq!(ada.0.outcome(), Some(Err(Failure::Order)));
}

#[test]
fn what_is_sent_back_is_not_taken_for_another() {
    let (mut ada, own) = begin(1, ADA, BOB);
    let reveal = ada.handle_message(&own).expect("a hash like any other");
    ada.handle_message(&reveal);
    assert_eq!(ada.outcome(), Some(Err(Failure::Mirror)));
}

#[test]
fn numbers_of_wrong_length_are_not_read() {
    for text in [
        r#"{"step":"commit","hash":""}"#.to_owned(),
        format!(r#"{{"step":"commit","hash":"{}"}}"#, "0".repeat(63)),
        format!(r#"{{"step":"commit","hash":"{}"}}"#, "g".repeat(64)),
        format!(r#"{{"step":"commit","hash":"{}"}}"#, "é".repeat(32)),
    ] {
        assert!(serde_json::from_str::<Message>(&text).is_err(), "{text}");
    }
}
