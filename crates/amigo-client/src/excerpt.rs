//! Short, safe excerpts of external text.

use std::fmt;

/// An excerpt of external text for a log, a condition or an event: at most 300 characters, no control characters, no
/// line breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The maximum number of characters.
    pub const LIMIT: usize = 300;

    /// The start of `text`, with one space for each run of spaces and control characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut excerpt = String::new();
        let mut length = 0;
        for word in text.split(|character: char| character.is_whitespace() || unprintable(character)) {
            if word.is_empty() {
                continue;
            }
            if length > 0 {
                excerpt.push(' ');
                length += 1;
            }
            for character in word.chars() {
                if length >= Self::LIMIT - 1 {
                    excerpt.push('…');
                    return Self(excerpt);
                }
                excerpt.push(character);
                length += 1;
            }
        }
        Self(excerpt)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "no message" } else { &self.0 })
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Control characters, and the invisible ones that reorder or hide text.
fn unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_truncated() {
        let excerpt = Excerpt::new(&"é".repeat(10_000));
        assert_eq!(excerpt.as_str().chars().count(), Excerpt::LIMIT);
        assert!(excerpt.as_str().ends_with('…'));
    }
}
