//! Driving without hands: a text file of timed stick input (`farwheel drive --script FILE`).
//!
//! One statement on each line, executed in order; `#` begins a comment.
//!
//! | statement | does |
//! |---|---|
//! | `arm [MAX]` | asks to arm with the sticks at neutral; goes on when the robot is armed (at most `MAX` s, 10) |
//! | `wait-armed [MAX]` | waits until the robot is armed, without asking |
//! | `wait S` | hands off for `S` seconds: the deadman is released |
//! | `T THROTTLE STEER [BUTTON...]` | a point: at `T` seconds after the last other statement the sticks are there |
//! | `linear` / `hold` | between the points that follow, sticks move evenly (the usual way) / jump |
//! | `follow S [PACE]` | follows the track for `S` seconds by the pose that a simulated car sends; `PACE` 0.1 to 1.2 |
//! | `lap N [MAX] [PACE]` | follows the track until `N` laps are done (at most `MAX` s, 120 for each) |
//! | `disarm`, `estop`, `reset` | what they say |
//! | `end` | ends here |
//!
//! `THROTTLE` and `STEER` are in [-1, 1], forward and right positive. Buttons: `brake`, `boost`, `lights`, `horn`, and
//! `release`, which lets the deadman go at that point (it is held otherwise).

mod player;
mod pursuit;

use std::path::Path;

pub use player::{Order, Outcome, Player, Seen};
pub use pursuit::Pose;

use crate::input::Intent;

/// A script, ready to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    statements: Vec<Statement>,
}

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Error {
    /// Line in the file, from 1.
    pub line: usize,
    /// One sentence.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    line: usize,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Arm { max_s: f32 },
    WaitArmed { max_s: f32 },
    Wait { s: f32 },
    Points { between: Between, points: Vec<Point> },
    Follow { s: f32, pace: f32 },
    Lap { laps: u32, max_s: f32, pace: f32 },
    Order(Order),
    End,
}

/// How the sticks get from one point to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Linear,
    Hold,
}

#[derive(Clone, Debug, PartialEq)]
struct Point {
    at_s: f32,
    intent: Intent,
}

impl Script {
    /// Reads a script file.
    ///
    /// # Errors
    /// When it cannot be read, or at its first line that means nothing.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read script {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("script {}", path.display()))
    }

    /// Reads a script.
    ///
    /// # Errors
    /// At its first line that means nothing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut statements: Vec<Statement> = Vec::new();
        let mut between = Between::Linear;
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |message: String| Error { line, message };
            let words: Vec<&str> = raw.split('#').next().unwrap_or("").split_whitespace().collect();
            let Some((first, rest)) = words.split_first() else { continue };
            if statements.len() >= STATEMENTS_MAX {
                return Err(fail(format!("a script has at most {STATEMENTS_MAX} statements")));
            }
            let kind = match *first {
                "linear" | "hold" => {
                    between = if *first == "hold" { Between::Hold } else { Between::Linear };
                    no_more(rest).map_err(fail)?;
                    continue;
                }
                "arm" => Kind::Arm { max_s: last(rest, "MAX", 10.0).map_err(fail)? },
                "wait-armed" => Kind::WaitArmed { max_s: last(rest, "MAX", 10.0).map_err(fail)? },
                "wait" => match rest {
                    [s] => Kind::Wait { s: number(s, "seconds", 0.0, TIME_MAX_S).map_err(fail)? },
                    _ => return Err(fail("want `wait SECONDS`".into())),
                },
                "follow" => match rest {
                    [s, pace @ ..] => Kind::Follow {
                        s: number(s, "seconds", 0.0, TIME_MAX_S).map_err(fail)?,
                        pace: read_pace(pace).map_err(fail)?,
                    },
                    [] => return Err(fail("want `follow SECONDS [PACE]`".into())),
                },
                "lap" => parse_lap(rest).map_err(fail)?,
                "disarm" => order(rest, Order::Disarm).map_err(fail)?,
                "estop" => order(rest, Order::EmergencyStop).map_err(fail)?,
                "reset" => order(rest, Order::ResetStop).map_err(fail)?,
                "end" => {
                    no_more(rest).map_err(fail)?;
                    statements.push(Statement { line, kind: Kind::End });
                    break;
                }
                word if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                    let point = parse_point(&words).map_err(fail)?;
                    if let Some(Statement { kind: Kind::Points { between: b, points }, .. }) =
                        statements.last_mut()
                        && *b == between
                    {
                        let before = points.last().map_or(0.0, |p| p.at_s);
                        if point.at_s < before {
                            return Err(fail(format!(
                                "time {} is before the point above, {before}",
                                point.at_s
                            )));
                        }
                        points.push(point);
                        continue;
                    }
                    Kind::Points { between, points: vec![point] }
                }
                word => {
                    return Err(fail(format!(
                        "`{word}` means nothing; want a time in seconds, or one of arm, wait-armed, wait, linear, \
                         hold, follow, lap, disarm, estop, reset, end"
                    )));
                }
            };
            statements.push(Statement { line, kind });
        }
        if statements.is_empty() {
            return Err(Error { line: 1, message: "the script holds no statement".into() });
        }
        Ok(Self { statements })
    }
}

fn parse_point(words: &[&str]) -> Result<Point, String> {
    let [at, throttle, steer, buttons @ ..] = words else {
        return Err("want `TIME THROTTLE STEER [BUTTON...]`".into());
    };
    let mut intent = Intent {
        throttle: number(throttle, "throttle", -1.0, 1.0)?,
        steer: number(steer, "steer", -1.0, 1.0)?,
        deadman: true,
        ..Intent::default()
    };
    for button in buttons {
        match *button {
            "brake" => intent.brake = true,
            "boost" => intent.boost = true,
            "lights" => intent.lights = true,
            "horn" => intent.horn = true,
            "release" => intent.deadman = false,
            other => {
                return Err(format!("`{other}` is no button; want brake, boost, lights, horn or release"));
            }
        }
    }
    Ok(Point { at_s: number(at, "time", 0.0, TIME_MAX_S)?, intent })
}

fn parse_lap(rest: &[&str]) -> Result<Kind, String> {
    let [laps, rest @ ..] = rest else { return Err("want `lap N [MAX] [PACE]`".into()) };
    let laps: u32 = laps
        .parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| format!("`{laps}` is no number of laps; want 1 to 1000"))?;
    let (max_s, pace) = match rest {
        [] => (120.0 * laps as f32, &[][..]),
        [max, pace @ ..] => (number(max, "MAX", 1.0, TIME_MAX_S)?, pace),
    };
    Ok(Kind::Lap { laps, max_s, pace: read_pace(pace)? })
}

fn read_pace(words: &[&str]) -> Result<f32, String> {
    match words {
        [] => Ok(0.8),
        [pace] => number(pace, "PACE", 0.1, 1.2),
        [_, more, ..] => Err(format!("`{more}` is one word too many")),
    }
}

fn last(words: &[&str], name: &str, usual: f32) -> Result<f32, String> {
    match words {
        [] => Ok(usual),
        [s] => number(s, name, 0.0, TIME_MAX_S),
        [_, more, ..] => Err(format!("`{more}` is one word too many")),
    }
}

fn order(rest: &[&str], order: Order) -> Result<Kind, String> {
    no_more(rest).map(|()| Kind::Order(order))
}

fn no_more(rest: &[&str]) -> Result<(), String> {
    rest.first().map_or(Ok(()), |more| Err(format!("`{more}` is one word too many")))
}

fn number(word: &str, name: &str, low: f32, high: f32) -> Result<f32, String> {
    let value: f32 = word.parse().map_err(|_| format!("{name} `{word}` is no number"))?;
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{name} {word} is not within {low} to {high}"))
    }
}

/// A script this long is a mistake.
const STATEMENTS_MAX: usize = 100_000;
/// A day.
const TIME_MAX_S: f32 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, want) in [
            ("", "line 1: the script holds no statement"),
            ("# nothing\n", "line 1: the script holds no statement"),
            (
                "arm\n\nfly 3\n",
                "line 3: `fly` means nothing; want a time in seconds, or one of arm, wait-armed, wait, linear, hold, follow, lap, disarm, estop, reset, end",
            ),
            ("0 0\n", "line 1: want `TIME THROTTLE STEER [BUTTON...]`"),
            ("0 2 0\n", "line 1: throttle 2 is not within -1 to 1"),
            ("0 nan 0\n", "line 1: throttle nan is not within -1 to 1"),
            ("0 x 0\n", "line 1: throttle `x` is no number"),
            ("0 0 0 turbo\n", "line 1: `turbo` is no button; want brake, boost, lights, horn or release"),
            ("1 0 0\n0.5 0 0\n", "line 2: time 0.5 is before the point above, 1"),
            ("wait\n", "line 1: want `wait SECONDS`"),
            ("lap\n", "line 1: want `lap N [MAX] [PACE]`"),
            ("lap 0\n", "line 1: `0` is no number of laps; want 1 to 1000"),
            ("lap 1 60 3\n", "line 1: PACE 3 is not within 0.1 to 1.2"),
            ("end now\n", "line 1: `now` is one word too many"),
            ("arm 5 5\n", "line 1: `5` is one word too many"),
        ] {
            let got = Script::parse(text).expect_err(text).to_string();
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn what_follows_the_end_is_not_read() {
        assert_eq!(Script::parse("wait 1\nend\nrubbish").unwrap().statements.len(), 2);
    }

    #[test]
    fn points_in_a_row_form_one_block_until_the_way_between_them_changes() {
        let script = Script::parse("0 0 0\n1 1 0\nhold\n0 0.5 0\nwait 1\n0 0 0").unwrap();
        assert_eq!(script.statements.len(), 4);
    }
}
