//! Histories for the plots and percentiles for the table.

use std::collections::VecDeque;
use std::time::Duration;

/// Histories and percentiles of the present session.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// One entry per 100 ms, oldest first, at most [`Stats::SAMPLES_MAX`].
    pub samples: VecDeque<Sample>,
    /// Percentile rows, in the order they are shown.
    pub rows: Vec<Row>,
    /// Counters since the connection, in the order they are shown.
    pub counters: Vec<Counter>,
    /// How long the session has lasted.
    pub lasted: Duration,
}

impl Stats {
    /// Two minutes at 10 Hz.
    pub const SAMPLES_MAX: usize = 1200;

    /// Adds a sample; the oldest goes when there are too many.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.len() == Self::SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// What was measured at one moment. Not-a-number leaves a gap in the plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Seconds since the session began.
    pub at_s: f64,
    /// Picture age.
    pub picture_age_ms: f32,
    /// Loop age.
    pub loop_age_ms: f32,
    /// Round trip.
    pub rtt_ms: f32,
    /// Received video.
    pub bitrate_mbps: f32,
    /// Pictures shown per second.
    pub fps: f32,
    /// Share of packets lost, 0 to 100.
    pub loss_percent: f32,
}

/// Percentiles of one quantity, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is, such as `Picture age`.
    pub name: String,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Largest.
    pub max_ms: f64,
    /// Number of values.
    pub count: u64,
}

/// A count with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted.
    pub name: String,
    /// The count, with its unit if it has one.
    pub value: String,
}
