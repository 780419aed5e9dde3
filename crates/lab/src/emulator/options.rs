//! A link by the options of a program.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use super::direction::{Road, Way};
use crate::link::{Class, Conditions, Plan, Trace};

/// What a link carries, delays and loses.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Capacity of the way forth: a trace in Mahimahi's format, plain or packed by gzip.
    #[arg(long, value_name = "FILE", group = "forth")]
    pub trace: Option<PathBuf>,
    /// The same by description: 3M, or 4M,500k@20,4M@40.
    #[arg(long, value_name = "RATES", group = "forth")]
    pub rate: Option<Plan>,
    /// The same from the generator: good, fair or poor, and a seed.
    #[arg(long, value_name = "CLASS:SEED", group = "forth")]
    pub class: Option<Generated>,
    /// Capacity of the way back: a trace.
    #[arg(long, value_name = "FILE", group = "back")]
    pub back_trace: Option<PathBuf>,
    /// The same by description; without any of the three it is a delay alone.
    #[arg(long, value_name = "RATES", group = "back")]
    pub back_rate: Option<Plan>,
    /// The same from the generator.
    #[arg(long, value_name = "CLASS:SEED", group = "back")]
    pub back_class: Option<Generated>,
    /// Seed of the loss.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where in the trace to begin, in seconds.
    #[arg(long, default_value_t = 0.0)]
    pub offset: f64,
    /// Delay of each way in ms, after the queue.
    #[arg(long, default_value_t = 25.0)]
    pub delay: f64,
    /// Size of the queue before a road that is not open, in bytes.
    #[arg(long, default_value_t = 150_000)]
    pub queue: usize,
    /// Share of packets lost on the way forth, before the queue.
    #[arg(long, default_value_t = 0.0)]
    pub loss: f64,
    /// Mean length of a burst of loss in packets.
    #[arg(long, default_value_t = 1.0)]
    pub burst: f64,
}

/// A link of the generator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generated {
    class: Class,
    seed: u64,
}

impl FromStr for Generated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = |name| Class::ALL.into_iter().find(|class| class.name == name);
        text.split_once(':')
            .and_then(|(class, seed)| Some(Self { class: known(class)?, seed: seed.parse().ok()? }))
            .ok_or_else(|| "want good, fair or poor, a colon and a number, such as poor:7".to_owned())
    }
}

impl Options {
    /// The way forth and the way back.
    ///
    /// # Errors
    /// If a trace can't be read or a number is out of range.
    pub fn ways(&self) -> Result<[Way; 2]> {
        let forth = road(self.trace.as_deref(), self.rate.as_ref(), self.class)?;
        let back = road(self.back_trace.as_deref(), self.back_rate.as_ref(), self.back_class)?;
        anyhow::ensure!((0.0..1.0).contains(&self.loss), "--loss is a share from 0 to below 1");
        let delay = Duration::try_from_secs_f64(self.delay / 1e3).context("--delay is a time in ms")?;
        let offset = Duration::try_from_secs_f64(self.offset).context("--offset is a time in s")?;
        let way = |road: Road, loss| Way {
            road: match road {
                Road::Open => Road::Open,
                Road::Narrow(trace) => Road::Narrow(trace.beginning_at(offset)),
            },
            conditions: Conditions { delay, queue_bytes: self.queue, loss, burst: self.burst },
            seed: self.seed,
        };
        Ok([way(forth, self.loss), way(back, 0.0)])
    }
}

fn road(trace: Option<&Path>, rate: Option<&Plan>, generated: Option<Generated>) -> Result<Road> {
    Ok(match (trace, rate, generated) {
        (Some(path), ..) => {
            let trace = Trace::read(path).with_context(|| format!("read the trace {}", path.display()))?;
            Road::Narrow(trace)
        }
        (None, Some(plan), _) => Road::Narrow(plan.trace()),
        (None, None, Some(Generated { class, seed })) => Road::Narrow(class.generate(seed, GENERATED_S)),
        (None, None, None) => Road::Open,
    })
}

/// After this the generated link begins again.
const GENERATED_S: u32 = 600;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        link: Options,
    }

    fn ways(arguments: &[&str]) -> Result<[Way; 2]> {
        Program::try_parse_from([&["program"], arguments].concat())?.link.ways()
    }

    #[test]
    fn each_way_has_its_own_road() {
        let [forth, back] = ways(&["--rate", "3M", "--back-class", "poor:7", "--loss", "0.03"]).unwrap();
        assert_eq!(
            forth.road,
            Road::Narrow("3M".parse::<Plan>().unwrap().trace().beginning_at(Duration::ZERO))
        );
        assert_eq!(back.road, Road::Narrow(Class::POOR.generate(7, 600).beginning_at(Duration::ZERO)));
        assert_eq!((forth.conditions.loss, back.conditions.loss), (0.03, 0.0));
        let [forth, back] = ways(&["--delay", "30"]).unwrap();
        assert_eq!((&forth.road, &back.road), (&Road::Open, &Road::Open));
        assert_eq!(forth.conditions.delay, Duration::from_millis(30));
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for wrong in [
            &["--class", "poor"][..],
            &["--class", "bad:1"],
            &["--rate", "3M", "--class", "poor:1"],
            &["--loss", "1"],
            &["--delay", "-1"],
            &["--trace", "/nowhere"],
        ] {
            assert!(ways(wrong).is_err(), "{wrong:?}");
        }
    }
}
