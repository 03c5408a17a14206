//! ISO 8601 durations of days, hours, minutes and seconds, as in manifests and the Amigo API.

use jiff::{SignedDuration, fmt::temporal::SpanParser};
use kube::core::Rule;

/// The format of a duration: days, hours, minutes and seconds, without sign, fraction, week, month or year.
const SHAPE: &str =
    "^P([0-9]{1,6}D|([0-9]{1,6}D)?T([0-9]{1,6}H([0-9]{1,6}M)?([0-9]{1,6}S)?|[0-9]{1,6}M([0-9]{1,6}S)?|[0-9]{1,8}S))$";

/// The shortest temporary grant the Amigo API issues (its change log for API v0.7.0).
pub const SHORTEST_GRANT: SignedDuration = SignedDuration::from_mins(1);

/// The duration of a grant, unless it or its Organization has another.
pub const DEFAULT_GRANT: SignedDuration = SignedDuration::from_hours(2);

/// The activation deadline of a grant, unless it or its Organization has another.
pub const DEFAULT_ACTIVATION_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// The longest temporary grant the Amigo API issues (guide to temporary grants, "Use Short Durations").
pub const LONGEST_GRANT: SignedDuration = SignedDuration::from_hours(72);

/// The shortest `revokeWithin` that leaves room for leases.
pub const SHORTEST_REVOKE_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// A text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {text:?}: use ISO 8601 days, hours, minutes and seconds, such as PT30M, P1D or P1DT12H")]
pub struct DurationError {
    text: String,
}

/// Parses a duration. A day has 24 hours.
///
/// # Errors
/// When the text has another format, such as `2h`, `P1M`, `-PT1H` or `PT1.5H`.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let error = || DurationError { text: text.chars().take(40).collect() };
    if text.len() > 32 || text.contains(['-', '+', '.', ',']) || text.contains(char::is_lowercase) {
        return Err(error());
    }
    let span = SpanParser::new().parse_span(text).map_err(|_| error())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.get_weeks() != 0 || names_calendar_units(text) {
        return Err(error());
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| error())
}

/// Rejects also zero of a forbidden unit (`P0M`), as the schema in the API server does.
fn names_calendar_units(text: &str) -> bool {
    let date = text.split('T').next().unwrap_or(text);
    date.contains(['Y', 'M', 'W'])
}

/// Formats a duration as ISO 8601: whole days as days, else hours, minutes and seconds. Truncates to seconds.
#[must_use]
pub fn format(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    if total > 0 && total % 86400 == 0 {
        return format!("P{}D", total / 86400);
    }
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let mut text = String::from("PT");
    for (amount, unit) in [(hours, 'H'), (minutes, 'M'), (seconds, 'S')] {
        if amount > 0 {
            text.push_str(&amount.to_string());
            text.push(unit);
        }
    }
    if total == 0 {
        text.push_str("0S");
    }
    text
}

/// The CEL rule that checks the format of a duration.
#[must_use]
pub fn shaped(field: &str) -> Rule {
    let message = format!(
        "{field} must be an ISO 8601 duration of days, hours, minutes and seconds, such as PT30M, P1D or P1DT12H"
    );
    Rule::new(format!("self.matches('{SHAPE}')")).message(message.as_str())
}

/// The CEL rule that checks the bounds of a duration. It accepts a malformed duration: [`shaped`] rejects it.
#[must_use]
pub fn between(field: &str, shortest: SignedDuration, longest: SignedDuration) -> Rule {
    let part = |unit: char, seconds: u32| {
        format!(
            "(self.find('[0-9]+{unit}') == '' ? 0 : int(self.find('[0-9]+{unit}').replace('{unit}', '')) * {seconds})"
        )
    };
    let total = [part('D', 86400), part('H', 3600), part('M', 60), part('S', 1)].join(" + ");
    let (least, most) = (shortest.as_secs(), longest.as_secs());
    let message = format!("{field} must be at least {} and at most {}", format(shortest), format(longest));
    Rule::new(format!("!self.matches('{SHAPE}') || [{total}].all(total, total >= {least} && total <= {most})"))
        .message(message.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_accepts_the_durations_of_the_guide() {
        for (text, seconds) in [("PT30M", 1800), ("PT2H", 7200), ("P1D", 86400), ("P3D", 259_200), ("P1DT12H", 129_600)]
        {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn parse_rejects_other_formats() {
        for text in [
            "", "P", "PT", "2h", "2h30m", "P1M", "P1Y", "P1W", "P0M", "-PT1H", "PT-1H", "PT1.5H", "pt2h", "PT2H ",
            "P1DT", "7200",
        ] {
            assert!(parse(text).is_err(), "{text:?} was read as {:?}", parse(text));
        }
    }

    proptest! {
        #[test]
        fn parse_reads_what_format_writes(seconds in 0_i64..10_000_000) {
            let duration = SignedDuration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
