//! Warnings of the API server, such as those of admission policies, which kubectl prints too, and of unreadable objects.

use std::sync::{Arc, Mutex, PoisonError};

use amigo_runtime::kubernetes::ResponseHook;
use http::{HeaderMap, header::WARNING};

/// Warnings that are not reported yet; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Collects the warnings of responses.
    #[must_use]
    pub fn hook(&self) -> ResponseHook {
        let warnings = self.clone();
        Arc::new(move |headers: &HeaderMap| {
            for warning in headers.get_all(WARNING).iter().filter_map(|value| text(value.to_str().ok()?)) {
                warnings.add(warning);
            }
        })
    }

    /// Adds a warning once: every page of a listing may repeat it.
    pub fn add(&self, warning: String) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !collected.contains(&warning) {
            collected.push(warning);
        }
    }

    /// The warnings since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The text of a warning as the API server writes it: `299 - "text"`, with `\` before quotes.
fn text(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some(text),
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_reported_once_and_unquoted() {
        let warnings = Warnings::default();
        let hook = warnings.hook();
        let mut headers = HeaderMap::new();
        headers.append(WARNING, r#"299 - "access goes on until \"noon\"""#.parse().unwrap());
        headers.append(WARNING, r#"299 - "second" "Mon, 23 Nov 2026 20:00:00 GMT""#.parse().unwrap());
        headers.append(WARNING, "199 - nonsense".parse().unwrap());
        hook(&headers);
        hook(&headers);
        assert_eq!(warnings.take(), ["access goes on until \"noon\"", "second"]);
        assert!(warnings.take().is_empty());
    }
}
