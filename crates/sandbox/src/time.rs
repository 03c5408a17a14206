//! The JSON form of timestamps and durations.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::behavior::TimestampPrecision;

/// RFC 3339 in UTC, truncated to the precision.
pub(super) fn render(timestamp: Timestamp, precision: TimestampPrecision) -> String {
    match precision {
        TimestampPrecision::Seconds => format!("{timestamp:.0}"),
        TimestampPrecision::Milliseconds => format!("{timestamp:.3}"),
        TimestampPrecision::Microseconds => format!("{timestamp:.6}"),
    }
}

/// A duration as the API's framework reads it: ISO 8601, in which a month has 30 days and a year 365, or days and a time
/// (`2 days 00:30:00`), or a number of seconds. The error is the type of the problem.
pub(super) fn read_duration(value: &Value) -> Result<SignedDuration, &'static str> {
    const UNREADABLE: &str = "time_delta_parsing";
    match value {
        Value::String(text) => {
            let duration = speedate::Duration::parse_str(text).map_err(|_| UNREADABLE)?;
            let fraction = SignedDuration::from_micros(duration.signed_microseconds().into());
            Ok(SignedDuration::from_secs(duration.signed_total_seconds()).saturating_add(fraction))
        }
        Value::Number(seconds) => {
            SignedDuration::try_from_secs_f64(seconds.as_f64().unwrap_or(f64::NAN)).map_err(|_| UNREADABLE)
        }
        _ => Err("time_delta_type"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(value: &Value) -> Result<f64, &'static str> {
        read_duration(value).map(|duration| duration.as_secs_f64())
    }

    #[test]
    fn durations_are_read_as_the_framework_does() {
        for (value, expected) in [
            (json!("PT2H"), 7_200.0),
            (json!("P1DT12H"), 129_600.0),
            (json!("P1M"), 2_592_000.0),
            (json!("P1Y"), 31_536_000.0),
            (json!("PT0.5H"), 1_800.0),
            (json!("PT1,5S"), 1.5),
            (json!("-PT1M"), -60.0),
            (json!("-PT0.5S"), -0.5),
            (json!("2 days 00:00:00"), 172_800.0),
            (json!("2 days, 00:00:00"), 172_800.0),
            (json!("3D"), 259_200.0),
            (json!("01:00"), 3_600.0),
            (json!("01:00:00.5"), 3_600.5),
            (json!(3600), 3_600.0),
            (json!(0.5), 0.5),
            (json!(-1), -1.0),
        ] {
            assert_eq!(seconds(&value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn other_durations_are_not_read() {
        for text in
            ["", "P", "2h", "PT", "pt2h", "P1", "2 hours", "120", "3600.5", " PT2H", "PT2H ", "1:00", "00:60:00"]
        {
            assert_eq!(seconds(&json!(text)), Err("time_delta_parsing"), "{text}");
        }
        for value in [json!(true), json!(null), json!([]), json!({})] {
            assert_eq!(seconds(&value), Err("time_delta_type"), "{value}");
        }
        assert_eq!(seconds(&json!(1e300)), Err("time_delta_parsing"));
    }

    #[test]
    fn timestamps_are_truncated_to_the_precision() {
        let timestamp: Timestamp = "2026-01-02T03:04:05.678999Z".parse().unwrap();
        assert_eq!(render(timestamp, TimestampPrecision::Seconds), "2026-01-02T03:04:05Z");
        assert_eq!(render(timestamp, TimestampPrecision::Milliseconds), "2026-01-02T03:04:05.678Z");
        assert_eq!(render(timestamp, TimestampPrecision::Microseconds), "2026-01-02T03:04:05.678999Z");
    }
}
