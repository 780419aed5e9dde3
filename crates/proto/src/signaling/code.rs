//! Error codes: stable strings in `error.code`, stable numbers in WebSocket close frames.

use serde::{Deserialize, Serialize};

/// Why a request failed or a connection ended. Strings and numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, not an object, nested too deep, or a binary frame. Closes.
    BadJson,
    /// A field is missing or wrong. Closes only before `hello_ok`.
    BadMessage,
    /// The `type` is not known to this server. Never closes.
    UnknownType,
    /// None of the protocols on offer is spoken here. Closes.
    UnsupportedVersion,
    /// No `hello` within the time allowed. Closes.
    HelloTimeout,
    /// The outbound queue is full because the peer reads too slowly. Closes.
    SlowConsumer,
    /// The session was resumed on another connection. Closes.
    SessionReplaced,
    /// A moderator removed this peer. Closes.
    Kicked,
    /// Too many messages, sessions or failed logins. Closes.
    RateLimited,
    /// The token is missing or wrong. Closes.
    Unauthorized,
    /// The token does not allow this. Closes when it answers `join` or `pair`.
    Forbidden,
    /// This server has no such room and does not make it. Closes.
    RoomNotFound,
    /// The room has as many peers as it may have. Closes.
    RoomFull,
    /// A message is larger than the limit. Closes, except for a `data` payload.
    TooLarge,
    /// The server shuts down. Closes.
    Draining,
    /// No message within the time allowed. Closes.
    Dead,
    /// The session is in a room already. Never closes.
    AlreadyJoined,
    /// The session is in no room. Never closes.
    NotJoined,
    /// The addressee is not in the room. Never closes.
    PeerNotFound,
    /// This server knows the message and does not offer the function. Never closes.
    NotSupported,
}

impl ErrorCode {
    /// Every code, in the order of docs/PROTOCOL.md.
    pub const ALL: [Self; 20] = [
        Self::BadJson,
        Self::BadMessage,
        Self::UnknownType,
        Self::UnsupportedVersion,
        Self::HelloTimeout,
        Self::SlowConsumer,
        Self::SessionReplaced,
        Self::Kicked,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RoomNotFound,
        Self::RoomFull,
        Self::TooLarge,
        Self::Draining,
        Self::Dead,
        Self::AlreadyJoined,
        Self::NotJoined,
        Self::PeerNotFound,
        Self::NotSupported,
    ];

    /// The string of `error.code`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadMessage => "bad_message",
            Self::UnknownType => "unknown_type",
            Self::UnsupportedVersion => "unsupported_version",
            Self::HelloTimeout => "hello_timeout",
            Self::SlowConsumer => "slow_consumer",
            Self::SessionReplaced => "session_replaced",
            Self::Kicked => "kicked",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::RoomNotFound => "room_not_found",
            Self::RoomFull => "room_full",
            Self::TooLarge => "too_large",
            Self::Draining => "draining",
            Self::Dead => "dead",
            Self::AlreadyJoined => "already_joined",
            Self::NotJoined => "not_joined",
            Self::PeerNotFound => "peer_not_found",
            Self::NotSupported => "not_supported",
        }
    }

    /// The WebSocket close code (RFC 6455 section 7.4); `None` for errors that never close.
    pub const fn close_code(self) -> Option<u16> {
        Some(match self {
            Self::BadJson => 4000,
            Self::BadMessage => 4001,
            Self::UnsupportedVersion => 4002,
            Self::HelloTimeout => 4003,
            Self::Dead => 4004,
            Self::SlowConsumer => 4008,
            Self::SessionReplaced => 4010,
            Self::Kicked => 4011,
            Self::RateLimited => 4029,
            Self::Unauthorized => 4401,
            Self::Forbidden => 4403,
            Self::RoomNotFound => 4404,
            Self::RoomFull => 4409,
            Self::TooLarge => 1009,
            Self::Draining => 1001,
            Self::UnknownType
            | Self::AlreadyJoined
            | Self::NotJoined
            | Self::PeerNotFound
            | Self::NotSupported => return None,
        })
    }

    /// The code that closes with `close`, if one does.
    pub fn from_close_code(close: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.close_code() == Some(close))
    }

    /// Whether connecting again without a change on the user's side can help.
    pub const fn is_worth_retrying(self) -> bool {
        match self {
            Self::HelloTimeout | Self::SlowConsumer | Self::RateLimited | Self::Draining | Self::Dead => true,
            Self::BadJson
            | Self::BadMessage
            | Self::UnknownType
            | Self::UnsupportedVersion
            | Self::SessionReplaced
            | Self::Kicked
            | Self::Unauthorized
            | Self::Forbidden
            | Self::RoomNotFound
            | Self::RoomFull
            | Self::TooLarge
            | Self::AlreadyJoined
            | Self::NotJoined
            | Self::PeerNotFound
            | Self::NotSupported => false,
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_in_json_are_those_of_as_str() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn close_codes_are_the_published_ones_and_lead_back() {
        let published = [
            ("bad_json", 4000),
            ("bad_message", 4001),
            ("unsupported_version", 4002),
            ("hello_timeout", 4003),
            ("dead", 4004),
            ("slow_consumer", 4008),
            ("session_replaced", 4010),
            ("kicked", 4011),
            ("rate_limited", 4029),
            ("unauthorized", 4401),
            ("forbidden", 4403),
            ("room_not_found", 4404),
            ("room_full", 4409),
            ("too_large", 1009),
            ("draining", 1001),
        ];
        for (name, number) in published {
            let code = ErrorCode::from_close_code(number).unwrap();
            assert_eq!(code.as_str(), name);
        }
        assert_eq!(ErrorCode::ALL.iter().filter(|code| code.close_code().is_some()).count(), published.len());
        assert_eq!(ErrorCode::from_close_code(1000), None);
    }
}
