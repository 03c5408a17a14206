//! The JSON form of timestamps and durations.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::behavior::TimestampPrecision;

/// RFC 3339 in UTC, truncated to the precision.
pub(super) fn render(timestamp: Timestamp, precision: TimestampPrecision) -> String {
    match precision {
        TimestampPrecision::Seconds => format!("{timestamp:.0}"),
        TimestampPrecision::Milliseconds => format!("{timestamp:.3}"),
        TimestampPrecision::Microseconds => format!("{timestamp:.6}"),
    }
}

/// An ISO 8601 duration of weeks, days, hours, minutes and seconds. A day has 24 hours. `None` for any other form,
/// such as `2h`.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let iso = text.trim_start_matches(['+', '-']).starts_with('P')
        && text.bytes().all(|byte| !byte.is_ascii_lowercase() && !byte.is_ascii_whitespace());
    let span: Span = iso.then(|| text.parse().ok())??;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_durations_parse() {
        assert_eq!(parse_duration("PT2H"), Some(SignedDuration::from_hours(2)));
        assert_eq!(parse_duration("P1DT12H"), Some(SignedDuration::from_hours(36)));
        assert_eq!(parse_duration("-PT1M"), Some(SignedDuration::from_mins(-1)));
    }

    #[test]
    fn non_iso_durations_do_not_parse() {
        for text in ["", "P", "2h", "PT", "pt2h", "P1", "2 hours", "120"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_truncated_to_the_precision() {
        let timestamp: Timestamp = "2026-01-02T03:04:05.678999Z".parse().unwrap();
        assert_eq!(render(timestamp, TimestampPrecision::Seconds), "2026-01-02T03:04:05Z");
        assert_eq!(render(timestamp, TimestampPrecision::Milliseconds), "2026-01-02T03:04:05.678Z");
        assert_eq!(render(timestamp, TimestampPrecision::Microseconds), "2026-01-02T03:04:05.678999Z");
    }
}
