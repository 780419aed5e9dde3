//! One remote's sound: packets in, a part of the mix out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, Counts, Heard, Playout, Received, Speech};

use super::codec::{Decoder, Error};

/// Packets between the connection and the mixer: more than come in any 10 ms. Full: the oldest is dropped, as it is the
/// first to be too late.
const PACKETS_MAX: usize = 128;

/// A remote's place in the mix; it ends when this is dropped.
pub struct Voice {
    shared: Arc<Shared>,
}

/// What is known of a remote's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Status {
    /// Effective value of the last 100 ms as sent, [0, 1].
    pub level: f32,
    /// Somebody speaks.
    pub speaks: bool,
    /// How much later it is played than its fastest packets would allow.
    pub waits: Duration,
    /// What happened so far.
    pub counts: Counts,
    /// What is heard when; none while nothing plays.
    pub heard: Option<Heard>,
}

pub(crate) struct Shared {
    packets: Mutex<VecDeque<Received>>,
    /// As the bits of an `f32`.
    volume: AtomicU32,
    extra_us: AtomicU32,
    is_over: AtomicBool,
    status: Mutex<Status>,
}

impl Voice {
    pub(crate) fn new() -> (Self, Arc<Shared>) {
        let shared = Arc::new(Shared {
            packets: Mutex::new(VecDeque::with_capacity(PACKETS_MAX)),
            volume: AtomicU32::new(1.0_f32.to_bits()),
            extra_us: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
            status: Mutex::default(),
        });
        (Self { shared: Arc::clone(&shared) }, shared)
    }

    /// Takes a packet from the network; never waits.
    pub fn push(&self, packet: Received) {
        let mut packets = unpoisoned(&self.shared.packets);
        if packets.len() == PACKETS_MAX {
            packets.pop_front();
        }
        packets.push_back(packet);
    }

    /// Plays it so loud: 1 as sent, [0, 2].
    pub fn set_volume(&self, volume: f32) {
        let volume = if volume.is_finite() { volume.clamp(0.0, 2.0) } else { 1.0 };
        self.shared.volume.store(volume.to_bits(), Ordering::Relaxed);
    }

    /// Plays it later by this than its link needs: see [`farwheel_proto::sound::Lips::extra`].
    pub fn set_extra(&self, extra: Duration) {
        self.shared.extra_us.store(extra.as_micros().min(1_000_000) as u32, Ordering::Relaxed);
    }

    /// What is known now.
    pub fn status(&self) -> Status {
        *unpoisoned(&self.shared.status)
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

// No code that can panic runs under these locks.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mixer's side of a voice.
pub(crate) struct Remote {
    shared: Arc<Shared>,
    // Exchanged with the one that is filled, so that nobody who fills it waits for the playout.
    inbox: VecDeque<Received>,
    playout: Playout,
    decoder: Decoder,
    speech: Speech,
    volume: f32,
}

impl Remote {
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, Error> {
        let (playout, speech) = (Playout::default(), Speech::default());
        Ok(Self {
            shared,
            inbox: VecDeque::with_capacity(PACKETS_MAX),
            playout,
            decoder: Decoder::new()?,
            speech,
            volume: 1.0,
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Relaxed)
    }

    /// Adds its next 10 ms to the mix, which are heard from `heard_at` on.
    pub(crate) fn mix(&mut self, now: Instant, heard_at: Instant, mix: &mut [f32; BLOCK]) {
        std::mem::swap(&mut *unpoisoned(&self.shared.packets), &mut self.inbox);
        for packet in self.inbox.drain(..) {
            self.playout.handle_packet(packet);
        }
        let extra_us = self.shared.extra_us.load(Ordering::Relaxed);
        self.playout.set_extra(Duration::from_micros(u64::from(extra_us)));
        let mut block = [0.0; BLOCK];
        self.playout.block(now, &mut self.decoder, &mut block);
        // Where the block began, had nothing been put in or taken out within it.
        let heard = self
            .playout
            .position()
            .map(|after| Heard { media_time: after.plus((BLOCK as u32).wrapping_neg()), at: heard_at });
        self.speech.handle_block(&block);
        let volume = f32::from_bits(self.shared.volume.load(Ordering::Relaxed));
        // The volume goes over within the block: a step would click.
        let step = (volume - self.volume) / BLOCK as f32;
        for (mixed, sample) in mix.iter_mut().zip(block) {
            self.volume += step;
            *mixed += sample * self.volume;
        }
        self.volume = volume;
        *unpoisoned(&self.shared.status) = Status {
            level: self.speech.level(),
            speaks: self.speech.speaks(),
            waits: self.playout.waits(now),
            counts: self.playout.counts(),
            heard,
        };
    }
}
