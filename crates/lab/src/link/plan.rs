//! Links by description: `3M`, `4M,500k@20,4M@40`, `3M,0@30,3M@32`.

use std::str::FromStr;

use super::Trace;

/// A rate, and what it changes to at which second.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Bit/s from these ms on; the first is at 0.
    steps: Vec<(u64, f64)>,
}

/// A description of nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread(String);

impl std::fmt::Display for Misread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no rate; want one such as 500k, 3M or 2.5M and later RATE@SECOND in order", self.0)
    }
}

impl std::error::Error for Misread {}

impl FromStr for Plan {
    type Err = Misread;

    fn from_str(text: &str) -> Result<Self, Misread> {
        let mut steps: Vec<(u64, f64)> = Vec::new();
        for part in text.split(',') {
            let misread = || Misread(part.to_owned());
            let (value, at_ms) = match part.split_once('@') {
                None if steps.is_empty() => (part, 0),
                Some((value, second)) if !steps.is_empty() => {
                    (value, (positive(second).ok_or_else(misread)? * 1000.0) as u64)
                }
                None | Some(_) => return Err(misread()),
            };
            let value = rate(value).ok_or_else(misread)?;
            if steps.last().is_some_and(|(last, _)| *last >= at_ms) {
                return Err(misread());
            }
            steps.push((at_ms, value));
        }
        if steps.iter().all(|(_, rate)| *rate == 0.0) {
            Err(Misread(text.to_owned()))
        } else {
            Ok(Self { steps })
        }
    }
}

impl Plan {
    /// The link; after ten minutes it begins again.
    pub fn trace(&self) -> Trace {
        let rate = |ms: u64| {
            // The ms that ends at a change still has the rate before it.
            let past = self.steps.partition_point(|(at, _)| *at < ms);
            self.steps[past.max(1) - 1].1
        };
        Trace::synthetic(PERIOD_MS, rate)
    }
}

fn rate(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['k', 'M']) {
        Some(number) if text.ends_with('k') => (number, 1e3),
        Some(number) => (number, 1e6),
        None => (text, 1.0),
    };
    positive(number).map(|number| number * unit).filter(|rate| *rate <= RATE_MAX)
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

const PERIOD_MS: u64 = 600_000;
/// More grants than that only fill memory.
const RATE_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualTime;

    #[test]
    fn a_link_changes_its_rate_when_the_plan_says() {
        let plan: Plan = "4M,500k@20,0@30,2.5M@31.5".parse().unwrap();
        let trace = plan.trace();
        let mbit = |from, until| {
            trace.capacity_bytes(VirtualTime::from_ms(from), VirtualTime::from_ms(until)) as f64 * 8.0 / 1e6
        };
        for (from, until, want) in
            [(1, 20_001, 80.0), (20_001, 30_001, 5.0), (30_001, 31_501, 0.0), (31_501, 32_501, 2.5)]
        {
            assert!((mbit(from, until) - want).abs() < 0.03, "{from} to {until}: {}", mbit(from, until));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for wrong in [
            "",
            "x",
            "3M@5",
            "3M,4M",
            "3M,1M@5,2M@5",
            "3M,1M@5,2M@4",
            "-3M",
            "0",
            "nan",
            "3MM",
            "3M,",
            "9999M",
        ] {
            let error = wrong.parse::<Plan>().expect_err(wrong).to_string();
            assert!(error.contains("is no rate"), "{error}");
        }
        assert_eq!("1500000".parse::<Plan>(), "1.5M".parse());
    }
}
