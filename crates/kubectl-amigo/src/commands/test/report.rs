//! The results of all cases.

use std::fmt::Write as _;

use serde::Serialize;

use super::runner::Outcome;
use crate::{
    console::{BAD, GOOD},
    verdict::format_attributes,
};

#[derive(Debug, Serialize)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
    /// In the order of the files.
    pub cases: Vec<Outcome>,
}

impl Report {
    pub fn new(cases: Vec<Outcome>) -> Self {
        let failed = cases.iter().filter(|case| case.failure.is_some()).count();
        Self { passed: cases.len() - failed, failed, cases }
    }

    /// One line per case, and the explanation of failed cases.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let (style, mark) = if case.failure.is_none() { (GOOD, "✓") } else { (BAD, "✗") };
            let _ = writeln!(text, "{style}{mark}{style:#} {} {}: {}", case.location, case.test, case.name);
            if case.failure.is_some() {
                text.extend(case.explanation().lines().map(|line| format!("    {line}\n")));
            }
        }
        let style = if self.failed == 0 { GOOD } else { BAD };
        let _ = writeln!(text, "{style}{} passed, {} failed{style:#}", self.passed, self.failed);
        text
    }
}

impl Outcome {
    /// The failure, the input of the check, and its verdict.
    pub(super) fn explanation(&self) -> String {
        let mut text = self.failure.clone().unwrap_or_default();
        let attributes = format_attributes(&self.attributes);
        let _ = write!(text, "\n  role {}, {}, attributes {attributes}\n", self.role_name, self.permission);
        text + &self.verdict.render(&|_| String::new())
    }
}
