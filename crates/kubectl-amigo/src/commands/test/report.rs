//! What came of the cases, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::case::Outcome;
use crate::{
    console::{BAD, GOOD},
    verdict::quoted,
};

/// All outcomes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many cases had the answer they wanted.
    pub passed: usize,
    /// How many had not.
    pub failed: usize,
    /// The cases in the order of their files.
    pub cases: Vec<Outcome>,
}

impl Report {
    /// Counts.
    #[must_use]
    pub fn new(cases: Vec<Outcome>) -> Self {
        let failed = cases.iter().filter(|case| case.failure.is_some()).count();
        Self { passed: cases.len() - failed, failed, cases }
    }

    /// A line a case; a failed one tells why it got its answer.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let (style, mark) = if case.failure.is_none() { (GOOD, "✓") } else { (BAD, "✗") };
            let _ = writeln!(text, "{style}{mark}{style:#} {} {}: {}", case.place, case.test, case.name);
            if case.failure.is_some() {
                text += &indented(&case.story());
            }
        }
        let style = if self.failed == 0 { GOOD } else { BAD };
        let _ = writeln!(text, "{style}{} passed, {} failed{style:#}", self.passed, self.failed);
        text
    }
}

impl Outcome {
    /// For a failed case: what was wanted, what was asked, and why the answer is what it is.
    pub(super) fn story(&self) -> String {
        let mut text = self.failure.clone().unwrap_or_default();
        let asked = quoted(&self.attributes);
        let _ = write!(text, "\n  role {}, {} on {asked}\n", self.role_name, self.permission);
        text + &self.verdict.told(&|_| String::new())
    }
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "    " + line + "\n")
}
