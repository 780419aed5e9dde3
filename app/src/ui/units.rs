//! Numbers in words: the one place where figures get their digits and their units.

use std::time::Duration;

use crate::model::Level;
use crate::model::settings::Units;

/// Shown for a value that is not known.
pub(crate) const DASH: &str = "–";

/// Milliseconds: `42 ms`, `1.24 s` from one second on.
pub(crate) fn age(value: Option<Duration>) -> (String, &'static str) {
    match value {
        None => (DASH.into(), "ms"),
        Some(value) if value.as_millis() < 1000 => (value.as_millis().to_string(), "ms"),
        Some(value) if value.as_secs() < 10 => (format!("{:.2}", value.as_secs_f64()), "s"),
        Some(value) => (format!("{:.0}", value.as_secs_f64()), "s"),
    }
}

/// How worrying the age of a picture or of the loop is: amber above 150 ms, red above 300 ms.
pub(crate) fn age_level(value: Option<Duration>) -> Level {
    match value {
        None => Level::Neutral,
        Some(value) if value > Duration::from_millis(300) => Level::Bad,
        Some(value) if value > Duration::from_millis(150) => Level::Warning,
        Some(_) => Level::Good,
    }
}

/// Speed as number and unit; the sign is shown by the gear, not here.
pub(crate) fn speed(metres_per_second: f32, units: Units) -> (String, &'static str) {
    let value = metres_per_second.abs();
    match units {
        Units::Metric => (format!("{:.1}", value * 3.6), "km/h"),
        Units::Si => (format!("{value:.1}"), "m/s"),
        Units::Imperial => (format!("{:.1}", value * 2.236_936), "mph"),
    }
}

/// Temperature with its unit.
pub(crate) fn temperature(celsius: f32, units: Units) -> String {
    match units {
        Units::Metric | Units::Si => format!("{celsius:.0} °C"),
        Units::Imperial => format!("{:.0} °F", celsius * 1.8 + 32.0),
    }
}

/// Bits per second: `2.14 Mbit/s`, `640 kbit/s`.
pub(crate) fn bitrate(bits_per_second: Option<f64>) -> (String, &'static str) {
    match bits_per_second {
        None => (DASH.into(), "Mbit/s"),
        Some(value) if value < 1_000_000.0 => (format!("{:.0}", value / 1000.0), "kbit/s"),
        Some(value) => (format!("{:.1}", value / 1_000_000.0), "Mbit/s"),
    }
}

/// Bytes: `4.2 MB`, `124 MB`, `1.24 GB`.
pub(crate) fn data(bytes: f64) -> String {
    match bytes / 1e6 {
        mb if mb < 9.95 => format!("{mb:.1} MB"),
        mb if mb < 999.5 => format!("{mb:.0} MB"),
        mb => format!("{:.2} GB", mb / 1e3),
    }
}

/// Share in percent: one digit below ten.
pub(crate) fn percent(share: Option<f32>) -> String {
    match share {
        None => DASH.into(),
        Some(share) if share * 100.0 < 9.95 => format!("{:.1}", share * 100.0),
        Some(share) => format!("{:.0}", share * 100.0),
    }
}

/// Minutes, seconds and hundredths: `0:41.07`.
pub(crate) fn lap(value: Duration) -> String {
    let hundredths = value.as_millis() / 10;
    format!("{}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
}

/// How long ago in words.
pub(crate) fn ago(value: Duration) -> String {
    let count = |n: u64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    match value.as_secs() {
        0..60 => "just now".into(),
        seconds @ 60..3600 => count(seconds / 60, "minute"),
        seconds @ 3600..86_400 => count(seconds / 3600, "hour"),
        seconds => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn data_has_three_digits_at_most() {
        for (bytes, want) in [
            (0.0, "0.0 MB"),
            (4_240_000.0, "4.2 MB"),
            (9_960_000.0, "10 MB"),
            (124_000_000.0, "124 MB"),
            (999_400_000.0, "999 MB"),
            (1_240_000_000.0, "1.24 GB"),
        ] {
            assert_eq!(data(bytes), want);
        }
    }

    #[test]
    fn ages_switch_to_seconds_at_one_second() {
        for (value, want) in [
            (None, ("–", "ms")),
            (ms(0), ("0", "ms")),
            (ms(999), ("999", "ms")),
            (ms(1000), ("1.00", "s")),
            (ms(9990), ("9.99", "s")),
            (ms(64_200), ("64", "s")),
        ] {
            let (number, unit) = age(value);
            assert_eq!((number.as_str(), unit), want, "{value:?}");
        }
    }

    #[test]
    fn a_picture_is_amber_above_150_ms_and_red_above_300() {
        for (value, want) in [
            (ms(150), Level::Good),
            (ms(151), Level::Warning),
            (ms(300), Level::Warning),
            (ms(301), Level::Bad),
            (None, Level::Neutral),
        ] {
            assert_eq!(age_level(value), want, "{value:?}");
        }
    }

    #[test]
    fn speeds_and_temperatures_follow_the_units() {
        assert_eq!(speed(-10.0, Units::Metric), ("36.0".into(), "km/h"));
        assert_eq!(speed(10.0, Units::Si), ("10.0".into(), "m/s"));
        assert_eq!(speed(10.0, Units::Imperial), ("22.4".into(), "mph"));
        assert_eq!(temperature(100.0, Units::Imperial), "212 °F");
        assert_eq!(temperature(45.4, Units::Si), "45 °C");
    }

    #[test]
    fn laps_and_rates_keep_their_width() {
        assert_eq!(lap(Duration::from_millis(41_079)), "0:41.07");
        assert_eq!(lap(Duration::from_millis(61_000)), "1:01.00");
        assert_eq!(bitrate(Some(640_400.0)), ("640".into(), "kbit/s"));
        assert_eq!(bitrate(Some(2_140_000.0)), ("2.1".into(), "Mbit/s"));
        assert_eq!(percent(Some(0.0994)), "9.9");
        assert_eq!(percent(Some(0.5)), "50");
    }

    #[test]
    fn times_past_are_whole_words() {
        for (seconds, want) in [
            (3, "just now"),
            (60, "1 minute ago"),
            (7199, "1 hour ago"),
            (7200, "2 hours ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), want);
        }
    }
}
