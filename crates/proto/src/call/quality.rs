//! How good a connection to a member is: zero to four bars, and why they are not four.
//!
//! Each figure gives bars of its own, and the worst counts. They fall at once and rise after 3 s, so that they do not flicker.
//!
//! | bars | round trip | packets lost | age of the picture | share of the wanted rate that the link carries |
//! |---|---|---|---|---|
//! | 4 | to 200 ms | to 1 % | to 250 ms | from 70 % |
//! | 3 | to 300 ms | to 3 % | to 400 ms | from 40 % |
//! | 2 | to 500 ms | to 8 % | to 700 ms | from 20 % |
//! | 1 | above | above | above | below |
//! | 0 | nothing heard for 1.5 s | | | |
//!
//! People notice a delay of 150 ms one way and are disturbed by 400 ms (ITU-T G.114); Opus hides 3 % of lost packets well
//! and 8 % audibly.

use std::time::{Duration, Instant};

/// Figures of one connection, as of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Nothing is heard of the other side.
    pub silent: Option<Duration>,
    /// Round trip.
    pub rtt: Option<Duration>,
    /// Packets lost on the way here, [0, 1].
    pub loss_in: f32,
    /// Packets lost on the way there, [0, 1].
    pub loss_out: f32,
    /// Age of the other's picture when it is shown.
    pub picture_age: Option<Duration>,
    /// What the link carries of the rate that the other's tile is worth, [0, 1]; none: it shows no picture of ours.
    pub share_out: Option<f32>,
}

/// Bars and the reason why they are not four.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// [0, 4].
    pub bars: u8,
    /// What is worst, in a few words.
    pub reason: Option<String>,
}

/// Judges one connection over time.
#[derive(Debug, Default)]
pub struct Judge {
    shown: Option<Quality>,
    /// Better than what is shown since then, and at least so good.
    better: Option<(Instant, Quality)>,
}

impl Judge {
    /// Takes the newest figures and tells what to show.
    pub fn handle(&mut self, figures: &Figures, now: Instant) -> Quality {
        let judged = figures.judge();
        let shown = match &self.shown {
            Some(shown) if judged.bars > shown.bars => {
                let (since, least) = match self.better.take() {
                    Some((since, least)) if least.bars <= judged.bars => (since, least),
                    Some((since, _)) => (since, judged),
                    None => (now, judged),
                };
                if since + RISE_AFTER <= now {
                    least
                } else {
                    self.better = Some((since, least));
                    shown.clone()
                }
            }
            Some(_) | None => {
                self.better = None;
                judged
            }
        };
        self.shown = Some(shown.clone());
        shown
    }
}

impl Figures {
    fn judge(&self) -> Quality {
        if self.silent.is_some_and(|silent| silent >= SILENCE) {
            return Quality { bars: 0, reason: Some("nothing is heard".to_owned()) };
        }
        let above =
            |value: f64, limits: [f64; 3]| 4 - limits.iter().filter(|limit| value > **limit).count() as u8;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let percent = |share: f32| f64::from(share) * 100.0;
        let mut all: Vec<(u8, String)> = Vec::with_capacity(5);
        if let Some(rtt) = self.rtt {
            let text = format!("long way: {:.0} ms there and back", ms(rtt));
            all.push((above(ms(rtt), [200.0, 300.0, 500.0]), text));
        }
        for (loss, way) in [(self.loss_in, "from them"), (self.loss_out, "to them")] {
            let text = format!("{:.0} % of packets are lost on the way {way}", percent(loss));
            all.push((above(percent(loss), [1.0, 3.0, 8.0]), text));
        }
        if let Some(age) = self.picture_age {
            let text = format!("their picture is {:.0} ms old", ms(age));
            all.push((above(ms(age), [250.0, 400.0, 700.0]), text));
        }
        if let Some(share) = self.share_out {
            let text = format!("the link carries {:.0} % of our picture", percent(share));
            all.push((above(-percent(share), [-70.0, -40.0, -20.0]), text));
        }
        let worst = all.into_iter().min_by_key(|(bars, _)| *bars).filter(|(bars, _)| *bars < 4);
        match worst {
            Some((bars, reason)) => Quality { bars, reason: Some(reason) },
            None => Quality { bars: 4, reason: None },
        }
    }
}

const SILENCE: Duration = Duration::from_millis(1500);
const RISE_AFTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::super::test::start;
    use super::*;

    fn good() -> Figures {
        Figures {
            rtt: Some(Duration::from_millis(20)),
            picture_age: Some(Duration::from_millis(60)),
            share_out: Some(1.0),
            ..Figures::default()
        }
    }

    fn rtt(ms: u64) -> Figures {
        Figures { rtt: Some(Duration::from_millis(ms)), ..good() }
    }

    #[test]
    fn the_worst_figure_counts_and_is_named() {
        let age = |ms| Figures { picture_age: Some(Duration::from_millis(ms)), ..good() };
        let loss_in = |loss_in| Figures { loss_in, ..good() };
        let loss_out = |loss_out| Figures { loss_out, ..good() };
        let share = |share| Figures { share_out: Some(share), ..good() };
        let silent = |ms| Figures { silent: Some(Duration::from_millis(ms)), ..good() };
        for (figures, bars, word) in [
            (good(), 4, None),
            (Figures::default(), 4, None),
            (rtt(200), 4, None),
            (rtt(201), 3, Some("long way: 201 ms")),
            (rtt(301), 2, Some("301 ms")),
            (rtt(501), 1, Some("501 ms")),
            (loss_in(0.01), 4, None),
            (loss_in(0.02), 3, Some("2 % of packets are lost on the way from them")),
            (loss_out(0.05), 2, Some("to them")),
            (loss_out(0.2), 1, Some("20 %")),
            (age(251), 3, Some("their picture is 251 ms old")),
            (age(900), 1, Some("900 ms")),
            (share(0.71), 4, None),
            (share(0.5), 3, Some("the link carries 50 % of our picture")),
            (share(0.1), 1, Some("10 %")),
            (silent(1499), 4, None),
            (silent(1500), 0, Some("nothing is heard")),
            (Figures { loss_in: 0.5, ..rtt(250) }, 1, Some("50 %")),
        ] {
            let quality = figures.judge();
            assert_eq!(quality.bars, bars, "{figures:?}");
            match (word, &quality.reason) {
                (None, None) => {}
                (Some(word), Some(reason)) => assert!(reason.contains(word), "{reason}"),
                _ => panic!("{figures:?}: {quality:?}"),
            }
        }
    }

    #[test]
    fn bars_fall_at_once_and_rise_after_three_seconds_to_the_least_of_that_time() {
        let (mut judge, start) = (Judge::default(), start());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(judge.handle(&good(), at(0)).bars, 4);
        assert_eq!(judge.handle(&rtt(600), at(100)).bars, 1);
        assert_eq!(judge.handle(&good(), at(200)).bars, 1);
        assert_eq!(judge.handle(&rtt(250), at(1000)).bars, 1);
        assert_eq!(judge.handle(&good(), at(3199)).bars, 1);
        assert_eq!(judge.handle(&good(), at(3200)).bars, 3);
        assert_eq!(judge.handle(&good(), at(6199)).bars, 3);
        assert_eq!(judge.handle(&good(), at(6300)).bars, 3, "counted from when it was better");
        assert_eq!(judge.handle(&good(), at(9300)).bars, 4);
    }
}
