//! Text for people at a terminal: columns, and spans of time.

use std::fmt::Write as _;

use amigo_api::text::is_invisible;
use jiff::Timestamp;

/// Spaces between two columns, as in kubectl.
const GAP: usize = 3;

/// A table that can grow: columns as wide as their widest cell so far. An empty cell shows as `-`.
///
/// Widths count characters: what is printed here are names, addresses and times.
#[derive(Clone, Debug)]
pub struct Columns {
    titles: Vec<&'static str>,
    widths: Vec<usize>,
}

impl Columns {
    #[must_use]
    pub fn new(titles: impl Into<Vec<&'static str>>) -> Self {
        let titles = titles.into();
        let widths = titles.iter().map(|title| title.chars().count()).collect();
        Self { titles, widths }
    }

    /// Widens the columns for these rows, which have a cell for each column.
    pub fn fit<R: AsRef<[String]>>(&mut self, rows: &[R]) {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row.as_ref()) {
                *width = cell.chars().count().max(*width);
            }
        }
    }

    #[must_use]
    pub fn head(&self) -> String {
        self.line(self.titles.iter().copied())
    }

    /// The rows, without titles.
    #[must_use]
    pub fn body<R: AsRef<[String]>>(&self, rows: &[R]) -> String {
        rows.iter().map(|row| self.line(row.as_ref().iter().map(String::as_str))).collect()
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let mut text = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            let cell = printable(if cell.is_empty() { "-" } else { cell });
            // Writing to a String cannot fail.
            let _ = write!(text, "{cell:<width$}", width = width + GAP);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// A table with its titles.
#[must_use]
pub fn columns<const N: usize>(titles: [&'static str; N], rows: &[[String; N]]) -> String {
    let mut columns = Columns::new(titles);
    columns.fit(rows);
    columns.head() + &columns.body(rows)
}

/// The text with `\u{fffd}` for control and invisible characters: text of others must not control the terminal, turn the
/// line around, or hide.
#[must_use]
pub fn printable(text: &str) -> String {
    let is_marked = |letter: char| letter.is_control() || is_invisible(letter) && !JOINERS.contains(&letter);
    text.chars().map(|letter| if is_marked(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// They are part of words in some languages, and of emoji.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The same on one line, with single spaces between words.
#[must_use]
pub fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How long until `end`, in its two largest units; `0s` when it has passed.
#[must_use]
pub fn countdown(end: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_until(end).as_secs().max(0);
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_widest_cell() {
        let rows = [["one".to_owned(), "a longer cell".to_owned()], [String::new(), "x".to_owned()]];
        assert_eq!(columns(["NAME", "B"], &rows), "NAME   B\none    a longer cell\n-      x\n");
    }

    #[test]
    fn cells_do_not_control_the_terminal() {
        assert_eq!(one_line(" two\n\tlines \u{1b}[2J"), "two lines \u{fffd}[2J");
        assert_eq!(one_line("SUP-1: \u{202e}nosaer\u{200b}"), "SUP-1: \u{fffd}nosaer\u{fffd}");
        assert_eq!(one_line("\u{646}\u{200c}\u{627}"), "\u{646}\u{200c}\u{627}");
        assert!(!columns(["A"], &[["\u{1b}]0;x\u{7}".to_owned()]]).contains('\u{1b}'));
    }

    #[test]
    fn countdown_has_two_units() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (seconds, text) in [(-5, "0s"), (9, "9s"), (65, "1m05s"), (3600, "1h00m"), (259_200, "3d00h")] {
            assert_eq!(countdown(at(1_000_000 + seconds), at(1_000_000)), text);
        }
    }
}
