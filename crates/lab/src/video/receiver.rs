//! The app's side: repair, assembly, feedback.

use std::time::{Duration, Instant};

use farwheel_proto::rate::{ReceiverTime, Reported};
use farwheel_proto::rtp::{Assembler, Command, Packet};
use farwheel_proto::video::MediaTime;

use crate::clock::VirtualTime;

/// Packets that one report tells of at most (its count has 16 bits; this fits one datagram).
const REPORTED_MAX: usize = 500;
/// The receiver's clock is another one.
const CLOCK_OFFSET_US: i64 = -7_000_000_000;

/// What the app sends back.
#[derive(Clone, Debug)]
pub(super) enum Back {
    Report(Vec<Reported>),
    Nack(Vec<u16>),
    RequestRecovery,
    /// What the receiver report tells: this picture was decoded.
    Decoded(MediaTime),
}

#[derive(Debug)]
pub(super) struct Receiver {
    assembler: Assembler,
    /// The first number that no report has told of, and what came from there on.
    next: u16,
    arrived: Vec<(u16, VirtualTime)>,
}

impl Receiver {
    pub(super) fn new(round_trip: Duration) -> Self {
        let mut assembler = Assembler::new();
        assembler.set_rtt(round_trip);
        Self { assembler, next: 1, arrived: Vec::new() }
    }

    pub(super) fn handle_number(&mut self, number: u16, now: VirtualTime) {
        self.arrived.push((number, now));
    }

    pub(super) fn handle_packet(&mut self, packet: Packet, now: Instant) {
        self.assembler.handle_packet(packet, now);
    }

    /// What the last interval brought; none if that is nothing.
    pub(super) fn report(&mut self) -> Option<Back> {
        let distance = |number: u16| usize::from(number.wrapping_sub(self.next));
        let last = self.arrived.iter().map(|(number, _)| distance(*number)).max()?.min(REPORTED_MAX);
        let mut report: Vec<_> = (0..=last as u16)
            .map(|n| Reported { number: self.next.wrapping_add(n), arrival: None })
            .collect();
        for (number, at) in self.arrived.drain(..) {
            if let Some(reported) = report.get_mut(usize::from(number.wrapping_sub(self.next))) {
                reported.arrival = Some(ReceiverTime::from_us(at.0 as i64 + CLOCK_OFFSET_US));
            }
        }
        self.next = self.next.wrapping_add(last as u16 + 1);
        Some(Back::Report(report))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.assembler.poll_timeout()
    }

    /// What is to be sent back, and the pictures that are complete.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> (Vec<Back>, Vec<MediaTime>) {
        if self.assembler.poll_timeout().is_some_and(|at| at <= now) {
            self.assembler.handle_timeout(now);
        }
        let (mut back, mut pictures) = (Vec::new(), Vec::new());
        while let Some(command) = self.assembler.poll_command() {
            match command {
                Command::Frame(frame) => {
                    back.push(Back::Decoded(frame.media_time));
                    pictures.push(frame.media_time);
                }
                Command::Nack(sequences) => back.push(Back::Nack(sequences)),
                Command::RequestKeyframe => back.push(Back::RequestRecovery),
            }
        }
        (back, pictures)
    }
}
