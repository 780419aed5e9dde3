//! What the programs at both ends of a link say of a run: pictures shown, commands sent and counted, pulses.
//!
//! Peers write rows (`crates/lab/peers/measuring.py`): unix time in µs, delay in µs, PSNR or -, width, height. Farwheel's
//! programs tell the same in their logs, when asked to (`FARWHEEL_LOG=measure=trace`,
//! `FARWHEEL_ROBOT_LOG=farwheel_robot::control=trace`).

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::VirtualTime;
use crate::video::Shown;

/// All that was said, by the link's time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Testimony {
    /// Pictures shown, in their order.
    pub shown: Vec<Shown>,
    /// Likeness of some of them to what was sent, in dB.
    pub psnr_db: Vec<(VirtualTime, f64)>,
    /// Size of the shown pictures, from when on.
    pub sizes: Vec<(VirtualTime, [u32; 2])>,
    /// Commands in the order of sending: when, and when the robot counted it; none if it never did.
    pub commands: Vec<(VirtualTime, Option<VirtualTime>)>,
}

/// Reads what was said by the link's time.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    /// Unix time of the link's beginning, in µs.
    pub zero_unix_us: u64,
}

impl Hearing {
    /// Rows of a peer; a line that is none is left out.
    pub fn rows(self, text: &str) -> Testimony {
        let mut heard = Testimony::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [at, delay, psnr, width, height] = words[..] else { continue };
            let (Ok(at), Ok(delay_us)) = (at.parse::<u64>(), delay.parse::<i64>()) else { continue };
            let Some(at) = self.link_time(at) else { continue };
            heard.show(at, Duration::from_micros(delay_us.max(0) as u64));
            heard.psnr_db.extend(psnr.parse().ok().map(|psnr| (at, psnr)));
            heard.size(at, width.parse().ok().zip(height.parse().ok()));
        }
        heard
    }

    /// Logs of the app and the robot.
    pub fn logs(self, app: &str, robot: &str) -> Testimony {
        let mut heard = Testimony::default();
        let mut sent: Vec<(VirtualTime, u32)> = Vec::new();
        for (at, said, fields) in self.lines(app) {
            match said {
                Said::Shown => {
                    let Some(delay_us) = number(fields, "delay_us") else { continue };
                    heard.show(at, Duration::from_micros(delay_us));
                    heard.size(at, number(fields, "width").zip(number(fields, "height")));
                }
                Said::Compared => heard.psnr_db.extend(number(fields, "psnr_db").map(|psnr| (at, psnr))),
                Said::Sent => sent.extend(number(fields, "sequence").map(|sequence| (at, sequence))),
                Said::Counts => {}
            }
        }
        // Numbers begin again with each lease: what is counted is the newest of its number that was sent before.
        let mut numbered: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, (_, sequence)) in sent.iter().enumerate() {
            numbered.entry(*sequence).or_default().push(index);
        }
        heard.commands = sent.iter().map(|&(at, _)| (at, None)).collect();
        for (at, said, fields) in self.lines(robot) {
            let (Said::Counts, Some(sequence)) = (said, number::<u32>(fields, "sequence")) else { continue };
            let indices = numbered.get(&sequence).into_iter().flatten();
            let newest =
                indices.copied().filter(|&index| sent[index].0 <= at).max_by_key(|&index| sent[index].0);
            if let Some(index) = newest {
                heard.commands[index].1.get_or_insert(at);
            }
        }
        heard
    }

    fn lines(self, log: &str) -> impl Iterator<Item = (VirtualTime, Said, &str)> {
        log.lines().filter_map(move |line| {
            let (said, (before, fields)) =
                SAID.iter().find_map(|(said, words)| Some((*said, line.split_once(words)?)))?;
            let time = humantime::parse_rfc3339(before.split_whitespace().next()?).ok()?;
            let at = self.link_time(time.duration_since(UNIX_EPOCH).ok()?.as_micros() as u64)?;
            Some((at, said, fields))
        })
    }

    /// None before the link began.
    fn link_time(self, unix_us: u64) -> Option<VirtualTime> {
        unix_us.checked_sub(self.zero_unix_us).map(VirtualTime)
    }
}

impl Testimony {
    fn show(&mut self, at: VirtualTime, delay: Duration) {
        self.shown.push(Shown { at, captured: VirtualTime(at.0.saturating_sub(delay.as_micros() as u64)) });
    }

    fn size(&mut self, at: VirtualTime, size: Option<(u32, u32)>) {
        let Some(size) = size.map(|(width, height)| [width, height]) else { return };
        if self.sizes.last().is_none_or(|(_, last)| *last != size) {
            self.sizes.push((at, size));
        }
    }
}

#[derive(Clone, Copy)]
enum Said {
    Shown,
    Compared,
    Sent,
    Counts,
}

fn number<T: std::str::FromStr>(fields: &str, name: &str) -> Option<T> {
    fields.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

const SAID: [(Said, &str); 4] = [
    (Said::Shown, "picture shown "),
    (Said::Compared, "picture compared "),
    (Said::Sent, "command sent "),
    (Said::Counts, "command counts "),
];
#[cfg(test)]
mod tests {
    use super::*;

    const HEARING: Hearing = Hearing { zero_unix_us: 1_700_000_000_000_000 };

    #[test]
    fn rows_are_read_by_the_links_time() {
        let heard = HEARING.rows(
            "1699999999000000 5 - 1280 720\n1700000001000000 40000 38.50 1280 720\nrubbish\n\
             1700000001033000 45000 - 640 360\n",
        );
        let ms = VirtualTime::from_ms;
        let shown = |at, captured| Shown { at: ms(at), captured: ms(captured) };
        assert_eq!(heard.shown, [shown(1000, 960), shown(1033, 988)]);
        assert_eq!(heard.psnr_db, [(ms(1000), 38.5)]);
        assert_eq!(heard.sizes, [(ms(1000), [1280, 720]), (ms(1033), [640, 360])]);
    }

    #[test]
    fn a_command_is_found_again_by_its_number_and_a_lost_one_is_not() {
        let app = "2023-11-14T22:13:21.000000Z TRACE measure: command sent sequence=1\n\
                   2023-11-14T22:13:21.020000Z TRACE measure: command sent sequence=2\n\
                   2023-11-14T22:13:21.030000Z TRACE measure: picture shown delay_us=50000 width=1280 height=720\n\
                   2023-11-14T22:13:21.031000Z TRACE measure: picture compared psnr_db=40.25\n\
                   2023-11-14T22:13:22.000000Z TRACE measure: command sent sequence=1\n\
                   2023-11-14T22:13:22.020000Z TRACE measure: command sent sequence=2\n";
        let robot = "2023-11-14T22:13:20.500000Z TRACE command counts sequence=1\n\
                     2023-11-14T22:13:21.026000Z TRACE command counts sequence=1\n\
                     2023-11-14T22:13:22.027000Z TRACE command counts sequence=1\n\
                     2023-11-14T22:13:22.028000Z DEBUG command does not count sequence=2\n\
                     2023-11-14T22:13:22.050000Z TRACE command counts sequence=2\n";
        let heard = HEARING.logs(app, robot);
        let ms = VirtualTime::from_ms;
        assert_eq!(
            heard.commands,
            [
                (ms(1000), Some(ms(1026))),
                (ms(1020), None),
                (ms(2000), Some(ms(2027))),
                (ms(2020), Some(ms(2050))),
            ]
        );
        assert_eq!(heard.shown, [Shown { at: ms(1030), captured: ms(980) }]);
        assert_eq!((heard.psnr_db[0], heard.sizes[0]), ((ms(1031), 40.25), (ms(1030), [1280, 720])));
    }
}
