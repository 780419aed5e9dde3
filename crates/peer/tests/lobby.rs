//! The lobby against servers that misbehave. Against the real one: signaling/tests/server/lobby.rs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use farwheel_peer::signaling::ErrorCode;
use farwheel_peer::signaling::lobby::{Config, Sight, look};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Long enough for a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn config(server: String) -> Config {
    Config { server, name: "Ada".into(), token: None, ca: None }
}

/// What the lobby sees of a server that says `words` after the client's `hello`, whatever it asks.
async fn seen(words: Vec<Message>) -> Sight {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[allow(clippy::result_large_err, reason = "the signature that the library calls")]
        let shake = |_: &Request, mut response: Response| {
            let protocol = "rtcsig.v1.json".parse().expect("a header");
            response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        let mut socket = accept_hdr_async(stream, shake).await.unwrap();
        socket.next().await.unwrap().unwrap();
        for word in words {
            // The client may have had enough already.
            socket.send(word).await.ok();
        }
        while let Some(Ok(_)) = socket.next().await {}
    });
    let seen = look(config(format!("ws://{address}")), PATIENCE).await;
    server.await.unwrap();
    seen
}

fn hello_ok() -> Message {
    Message::text(
        r#"{"type":"hello_ok","session":"4c9lm8jd1r0q9k6n2f3v5t7a8c","resume_token":"0b1q8v6m3n5k7j9h2g4f6d8s00","peer_id":"0123456789abcdefghijklmnoo","resumed":false,"last_seq":0,"heartbeat_ms":15000,"ice_servers":[]}"#,
    )
}

#[tokio::test]
async fn nonsense_from_a_server_is_told_in_words_and_breaks_nothing() {
    let giant = format!(r#"{{"type":"rooms","rooms":[{}]}}"#, vec!["{}"; 200_000].join(","));
    for bad in [
        "{oops".to_owned(),
        "[]".to_owned(),
        r#"{"type":"rooms"}"#.to_owned(),
        r#"{"type":"rooms","rooms":[{"room":"../..","robots":[],"peers":1,"max":8,"locked":false}]}"#
            .to_owned(),
        "[".repeat(100_000),
        giant,
    ] {
        let start: String = bad.chars().take(60).collect();
        let seen = seen(vec![hello_ok(), Message::text(bad)]).await;
        let Sight::Away { reason, code: None, .. } = &seen else { panic!("{start}: {seen:?}") };
        assert!(reason.starts_with("server sent what is no message"), "{start}: {reason}");
    }
}

#[tokio::test]
async fn a_server_of_another_version_is_refused_by_its_code() {
    let error = r#"{"type":"error","code":"unsupported_version","message":"this server speaks rtcsig/9","fatal":true}"#;
    let seen = seen(vec![Message::text(error)]).await;
    assert!(
        matches!(&seen, Sight::Refused(refusal) if refusal.code == ErrorCode::UnsupportedVersion),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for_longer_than_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(50);
    let seen = look(config(format!("ws://{address}")), patience).await;
    assert!(matches!(&seen, Sight::Away { reason, .. } if reason.contains("no answer")), "{seen:?}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_or_that_is_none_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let seen = look(config(format!("ws://{address}")), PATIENCE).await;
    assert!(matches!(&seen, Sight::Away { reason, .. } if reason.contains("refused")), "{seen:?}");
    let seen = look(config("ftp://example.org".into()), PATIENCE).await;
    assert!(matches!(&seen, Sight::Refused(refusal) if refusal.message.contains("ws://")), "{seen:?}");
}
