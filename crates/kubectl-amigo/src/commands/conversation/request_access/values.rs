//! Parsers of option values. An invalid value is a usage error before any call.

use amigo_api::{
    console, duration as iso,
    text::{turns_text, visible_length},
};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, tz::TimeZone};

/// Bounds of a justification in characters, as in the schema.
const JUSTIFICATION: std::ops::RangeInclusive<usize> = 10..=1024;
const LONGEST_EMAIL: usize = 254;
const LONGEST_OWNER: usize = 128;
const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(8760);

/// The guide's CONVERSATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// A console page.
    Page {
        /// Without query and fragment.
        url: String,
        id: String,
    },
    Id(String),
}

impl Conversation {
    pub fn id(&self) -> &str {
        match self {
            Self::Page { id, .. } | Self::Id(id) => id,
        }
    }
}

pub fn conversation(text: &str) -> Result<Conversation, String> {
    // Hosts and hexadecimal digits ignore case; the API accepts lower case only.
    let text = text.trim().to_ascii_lowercase();
    if console::is_conversation_id(&text) {
        return Ok(Conversation::Id(text));
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let page = console::host(&text).zip(console::conversation_of(&text));
    match (scheme, page) {
        (Some(scheme @ ("https" | "http")), Some((host, id))) => {
            let url = format!("{scheme}://{host}/admin/conversation/{id}");
            Ok(Conversation::Page { url, id: id.to_owned() })
        }
        _ => Err("must be a conversation ID (24 hexadecimal digits) or the URL of its console page, \
                  https://ORGANIZATION.amigo.ai/admin/conversation/ID"
            .to_owned()),
    }
}

pub fn justification(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.contains(turns_text) {
        return Err("must not contain characters that change the direction of text".to_owned());
    }
    let (least, most) = (JUSTIFICATION.start(), JUSTIFICATION.end());
    let count = visible_length(text);
    if count >= *least && text.chars().count() <= *most {
        return Ok(text.to_owned());
    }
    Err(format!("must be {least} to {most} visible characters after trimming (got {count})"))
}

pub fn duration(text: &str) -> Result<String, String> {
    within(text, iso::SHORTEST_GRANT, iso::LONGEST_GRANT)
}

pub fn revoke_within(text: &str) -> Result<String, String> {
    within(text, iso::SHORTEST_REVOKE_WITHIN, iso::LONGEST_GRANT)
}

pub fn ttl_after_expiry(text: &str) -> Result<String, String> {
    within(text, SignedDuration::ZERO, LONGEST_TTL)
}

fn within(text: &str, shortest: SignedDuration, longest: SignedDuration) -> Result<String, String> {
    let duration = iso::parse(text).map_err(|error| match meant(text) {
        Some(meant) if (shortest..=longest).contains(&meant) => {
            format!("must be an ISO 8601 duration: {}", iso::format(meant))
        }
        _ => error.to_string(),
    })?;
    if (shortest..=longest).contains(&duration) {
        return Ok(text.to_owned());
    }
    Err(format!("must be at least {} and at most {}", iso::format(shortest), iso::format(longest)))
}

/// The duration in another notation, such as `2h` or `1d`.
fn meant(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    let is_ambiguous = span.get_years() != 0 || span.get_months() != 0;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok().filter(|_| !is_ambiguous)
}

/// As the schema of `notAfter`.
pub fn not_after(text: &str) -> Result<Timestamp, String> {
    let is_uppercase = !text.contains(['t', 'z', ' ']);
    let time = text.trim().parse::<Timestamp>().ok().filter(|_| is_uppercase);
    time.filter(|time| (2000..3000).contains(&time.to_zoned(TimeZone::UTC).year()))
        .ok_or_else(|| "must be an RFC 3339 time such as 2027-01-31T18:00:00Z".to_owned())
}

pub fn email(text: &str) -> Result<String, String> {
    let text = text.trim();
    let shaped = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    });
    if shaped && text.len() <= LONGEST_EMAIL {
        return Ok(text.to_owned());
    }
    Err("must be one email address, such as dana@example.com".to_owned())
}

pub fn owner(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > LONGEST_OWNER || text.contains(char::is_whitespace) {
        return Err("must be a user ID at Amigo, without spaces".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abc123def456abc123def456";

    #[test]
    fn conversation_accepts_an_id_or_a_page() {
        assert_eq!(conversation(&ID.to_uppercase()), Ok(Conversation::Id(ID.to_owned())));
        let page = conversation(&format!("https://ORG.amigo.ai/admin/conversation/{ID}?tab=1#last")).unwrap();
        let url = format!("https://org.amigo.ai/admin/conversation/{ID}");
        assert_eq!(page, Conversation::Page { url, id: ID.to_owned() });
    }

    #[test]
    fn conversation_rejects_other_text() {
        for text in ["", "abc123", "https://org.amigo.ai/admin/conversation/abc123", "https://org.amigo.ai/admin"] {
            assert!(conversation(text).unwrap_err().contains("24 hexadecimal digits"), "{text}");
        }
        assert!(conversation(&format!("org.amigo.ai/admin/conversation/{ID}")).is_err());
        assert!(conversation(&format!("ftp://org.amigo.ai/admin/conversation/{ID}")).is_err());
    }

    #[test]
    fn justification_is_counted_after_trimming() {
        assert_eq!(justification("  Debugging #42 "), Ok("Debugging #42".to_owned()));
        for text in ["too short", "             ", "", " too short \n", &"x".repeat(1025)] {
            assert!(justification(text).unwrap_err().contains("must be 10 to 1024"), "{text}");
        }
        assert!(justification(&"\u{200b}".repeat(10)).unwrap_err().contains("(got 0)"));
        assert!(justification("SUP-1: \u{202e}nosaer doog a").unwrap_err().contains("direction"));
        assert!(justification("ünïcödé ✓✓").is_ok(), "characters count, not bytes");
        assert!(justification("ünïcödé ✓").is_err(), "characters count, not bytes");
    }

    #[test]
    fn duration_in_another_notation_is_translated() {
        assert_eq!(duration("PT4H"), Ok("PT4H".to_owned()));
        for (text, offered) in [("2h", "PT2H"), ("1d", "P1D"), ("1d 12h", "PT36H"), ("90 minutes", "PT1H30M")] {
            assert!(duration(text).unwrap_err().ends_with(offered), "{text}");
        }
        for text in ["1mo", "1y", "4d", "P1M"] {
            assert!(duration(text).unwrap_err().contains("PT30M"), "{text}");
        }
        assert!(duration("soon").unwrap_err().contains("PT30M"));
    }

    #[test]
    fn durations_have_bounds() {
        for text in ["P4D", "PT59S", "P3DT1S"] {
            assert_eq!(duration(text), Err("must be at least PT1M and at most P3D".to_owned()), "{text}");
        }
        assert!(revoke_within("PT4M").unwrap_err().contains("PT5M"));
        assert_eq!(ttl_after_expiry("PT0S"), Ok("PT0S".to_owned()));
    }

    #[test]
    fn not_after_is_a_time() {
        assert_eq!(not_after("2027-01-31T18:00:00+01:00").unwrap().to_string(), "2027-01-31T17:00:00Z");
        for text in ["2027-01-31", "tomorrow", "2027-01-31t18:00:00z", "9999-12-31T23:59:59Z", "PT4H"] {
            assert!(not_after(text).unwrap_err().contains("2027-01-31T18:00:00Z"), "{text}");
        }
    }

    #[test]
    fn email_has_one_at_sign() {
        assert_eq!(email(" dana@example.com "), Ok("dana@example.com".to_owned()));
        for text in ["", "dana", "@example.com", "dana@", "a@b@c", "d ana@example.com"] {
            assert!(email(text).is_err(), "{text}");
        }
    }
}
