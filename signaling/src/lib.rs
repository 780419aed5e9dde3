//! The signalling server of Farwheel: rooms over WebSocket, STUN and TURN, health, in one process.
//!
//! The protocol and its rules are [`farwheel_proto::signaling`]; here are the sockets.
//!
//! | task | owns | input | when it ends |
//! |---|---|---|---|
//! | accept | the listening socket | connections | the server has stopped |
//! | link, one per client | its WebSocket | frames; outbox of 256 messages or 512 KiB (full: `slow_consumer`) | its session waits to be resumed |
//! | hub | every room ([`farwheel_proto::signaling::rooms::Rooms`]) | queue of 1024 (full: links stop reading) | the server has stopped |
//! | turn | the UDP socket, its clients' allocations | datagrams | relaying over UDP ends, WebSockets go on |
//! | turn stream, one per client over TCP or TLS | its allocation | messages; 64 of data and 32 answers out (full: newest dropped) | its allocation ends |

pub mod config;
mod health;
mod http;
mod hub;
mod link;
mod server;
mod stream;
mod tls;
mod tokens;
pub mod turn;

pub use server::Server;
