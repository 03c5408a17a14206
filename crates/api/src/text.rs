//! What a text shows, and what only looks like something else.

/// Ranges of characters that show nothing, or change how others are shown: format characters of Unicode, and letters
/// without a shape.
const INVISIBLE: [(char, char); 15] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character shows nothing, or changes how others are shown.
#[must_use]
pub fn is_invisible(letter: char) -> bool {
    INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// Whether a character turns the text around it to another direction.
#[must_use]
pub fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The number of visible characters, and blanks between them.
#[must_use]
pub fn visible_length(text: &str) -> usize {
    let trimmed = text.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter));
    trimmed.chars().filter(|letter| !is_invisible(*letter)).count()
}

/// The invisible characters as the content of a character class in RE2.
pub(crate) fn invisible_class() -> String {
    let range = |(first, last): &(char, char)| format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*first), u32::from(*last));
    INVISIBLE.iter().map(range).collect()
}

/// Whether a text is an email address that an identity provider could have issued as it is. A text that contains an
/// address, such as `CN=eng@example.com`, is not.
#[must_use]
pub fn is_plain_address(text: &str) -> bool {
    let is_local = |letter: char| letter.is_alphanumeric() || "._%+'~&-".contains(letter);
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-');
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && local.chars().all(is_local) && domain.contains('.') && domain.split('.').all(is_label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_do_not_count() {
        assert_eq!(visible_length("\u{200b} good \u{200d}reason\u{feff} "), 11);
        assert_eq!(visible_length(&"\u{200b}".repeat(10)), 0);
        assert_eq!(visible_length("\u{200b}          x"), 1);
    }

    #[test]
    fn letters_of_all_languages_are_visible() {
        for text in ["ärgerlich!", "\u{646}\u{62f}", "日本語", "a\u{301}"] {
            assert!(!text.contains(is_invisible), "{text}");
        }
    }

    #[test]
    fn address_has_no_delimiters_of_other_names() {
        for text in ["eng@example.com", "Erin.O'Neil+x@sub.example.co", "jürgen@exämple.de"] {
            assert!(is_plain_address(text), "{text}");
        }
        for text in
            ["dev/eng@example.com", "CN=eng@example.com", "eng@example.com,O=corp", "eng@corp", "a@b@c.d", "@a.b"]
        {
            assert!(!is_plain_address(text), "{text}");
        }
    }
}
