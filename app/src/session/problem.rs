//! Failures in words: what happened, and what to do about it.

use farwheel_peer::signaling::{DialError, ErrorCode, Refusal};

use crate::model::connect::{Field, Problem};

/// What the server's refusal means to the user.
pub fn refused(refusal: &Refusal, room: &str) -> Problem {
    let (what, remedy, field) = match refusal.code {
        ErrorCode::Unauthorized => (
            "The server does not accept this token.".to_owned(),
            "Check the token, or ask the owner of the server for a fresh one.",
            Field::Token,
        ),
        ErrorCode::Forbidden => (
            format!("This token does not allow you into room {room} in this role."),
            "Use another room, join as a viewer, or ask the owner of the server.",
            Field::Token,
        ),
        ErrorCode::RoomNotFound => (
            format!("There is no room {room} on this server."),
            "Check the room's name; it is the one that the robot was started with.",
            Field::Room,
        ),
        ErrorCode::RoomFull => {
            (format!("Room {room} is full."), "Wait until somebody leaves, or use another room.", Field::Room)
        }
        ErrorCode::UnsupportedVersion => (
            "The server speaks another version of the protocol.".to_owned(),
            "Update this program or the server, so that both have the same version.",
            Field::Server,
        ),
        ErrorCode::RateLimited => (
            "The server asks this computer to slow down.".to_owned(),
            "Wait a few minutes and try again.",
            Field::Server,
        ),
        ErrorCode::Kicked => {
            ("A moderator removed you from the room.".to_owned(), "Ask the owner of the room.", Field::Form)
        }
        ErrorCode::SessionReplaced => (
            "This session goes on in another window or on another computer.".to_owned(),
            "Close the other one, then connect again.",
            Field::Form,
        ),
        ErrorCode::Draining => ("The server shuts down.".to_owned(), "Try again in a minute.", Field::Server),
        ErrorCode::BadJson
        | ErrorCode::BadMessage
        | ErrorCode::UnknownType
        | ErrorCode::HelloTimeout
        | ErrorCode::SlowConsumer
        | ErrorCode::TooLarge
        | ErrorCode::Dead
        | ErrorCode::AlreadyJoined
        | ErrorCode::NotJoined
        | ErrorCode::PeerNotFound
        | ErrorCode::NotSupported => (
            format!("The server refused: {}.", refusal.message.trim_end_matches('.')),
            "Try again; if it happens again, report it with the code below.",
            Field::Form,
        ),
    };
    Problem { what, remedy: remedy.into(), code: Some(refusal.code.as_str().into()), field }
}

/// What is wrong with what the user gave, before anything is tried.
pub fn unusable(error: &DialError) -> Problem {
    let (code, what, remedy) = match error {
        DialError::Url { url, reason } => (
            "bad_address",
            format!("{url} is no address of a server: {reason}."),
            "Write it like ws://192.168.1.10:8443 or wss://example.org.",
        ),
        DialError::Certificates { path, reason } => (
            "bad_certificates",
            format!("The certificates in {} cannot be used: {reason}.", path.display()),
            "Give a PEM file with the certificate of the server's authority.",
        ),
    };
    Problem { what, remedy: remedy.into(), code: Some(code.into()), field: Field::Server }
}

/// What it means that the server cannot be reached, from the client's own words.
pub fn unreachable(server: &str, reason: &str) -> Problem {
    let lower = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let (code, what, remedy) = if has(&["what is no message"]) {
        (
            "bad_answer",
            format!("The server at {server} sends what this program does not understand."),
            "Check address and port; if they are right, update this program or the server.",
        )
    } else if has(&["certificate", "tls", "handshake alert", "unknownissuer", "corrupt message"]) {
        (
            "tls",
            format!("The secure connection to {server} cannot be made: {reason}."),
            "Check the address (ws:// for a server without TLS) and the date of this computer; for a private \
             certificate give its file with --ca.",
        )
    } else if has(&["refused"]) {
        (
            "connection_refused",
            format!("Nothing answers at {server}."),
            "Start the server (`farwheel-signaling serve`), or check address and port.",
        )
    } else if has(&["failed to lookup", "resolve", "name or service", "no such host", "dns"]) {
        (
            "name_not_found",
            format!("There is no computer with the name in {server}."),
            "Check the spelling of the address and your network connection.",
        )
    } else if has(&["timed out", "timeout", "no answer", "did not answer"]) {
        (
            "timeout",
            format!("{server} does not answer in time."),
            "Check your network connection, and that no firewall is in the way.",
        )
    } else if has(&["unreachable"]) {
        ("unreachable", format!("There is no way to {server}."), "Check your network connection.")
    } else if has(&["http", "404", "400", "upgrade", "subprotocol"]) {
        (
            "not_signaling",
            format!("Something answers at {server}, but it is no Farwheel server: {reason}."),
            "Check address and port.",
        )
    } else {
        (
            "unreachable",
            format!("The server {server} cannot be reached: {reason}."),
            "Check the address and your network connection.",
        )
    };
    Problem { what, remedy: remedy.into(), code: Some(code.into()), field: Field::Server }
}

/// What it means that nobody lets this side in.
pub fn denied(room: &str) -> Problem {
    Problem {
        what: format!("You were not let into room {room}."),
        remedy: "Ask somebody who is in it, then try again.".into(),
        code: Some("denied".into()),
        field: Field::Room,
    }
}

/// What it means that the room holds no robot.
pub fn no_robot(room: &str) -> Problem {
    Problem {
        what: format!("There is no robot in room {room}."),
        remedy: "Start `farwheel-robot run` with this server and this room; the app connects by itself then."
            .into(),
        code: Some("no_robot".into()),
        field: Field::Room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do_and_keeps_its_code() {
        for code in ErrorCode::ALL {
            let problem = refused(&Refusal { code, message: "no".into() }, "car");
            assert!(problem.what.ends_with('.') && problem.remedy.ends_with('.'), "{problem:?}");
            assert_eq!(problem.code.as_deref(), Some(code.as_str()));
        }
    }

    #[test]
    fn a_wrong_address_is_not_blamed_on_the_server() {
        let error = DialError::Url { url: "car:1".into(), reason: "it begins with nothing".into() };
        let problem = unusable(&error);
        assert_eq!(problem.what, "car:1 is no address of a server: it begins with nothing.");
        assert_eq!(problem.code.as_deref(), Some("bad_address"));
    }

    #[test]
    fn an_unreachable_server_is_explained_by_its_cause() {
        for (reason, code) in [
            ("Connection refused (os error 111)", "connection_refused"),
            ("failed to lookup address information: Name or service not known", "name_not_found"),
            ("invalid peer certificate: UnknownIssuer", "tls"),
            ("connection timed out", "timeout"),
            ("10.0.0.1:8443 did not answer within 5 s", "timeout"),
            ("no answer within 5 s", "timeout"),
            ("server sent what is no message: Space limit exceeded: 400000 > 262144", "bad_answer"),
            ("Network is unreachable (os error 101)", "unreachable"),
            ("HTTP error: 404 Not Found", "not_signaling"),
            ("something else", "unreachable"),
        ] {
            let problem = unreachable("ws://h:1", reason);
            assert_eq!(problem.code.as_deref(), Some(code), "{reason}");
            assert!(problem.what.contains("ws://h:1"), "{problem:?}");
        }
    }
}
