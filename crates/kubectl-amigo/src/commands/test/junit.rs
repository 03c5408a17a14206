//! The report as JUnit XML.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{report::Report, runner::Outcome};
use crate::Failure;

impl Report {
    /// One suite per test document.
    pub fn to_junit(&self) -> Result<String, Failure> {
        let mut report = quick_junit::Report::new("kubectl amigo test");
        let is_same_test =
            |one: &Outcome, other: &Outcome| one.test == other.test && one.location.file == other.location.file;
        for cases in self.cases.chunk_by(is_same_test) {
            let mut suite = TestSuite::new(cases[0].test.as_str());
            suite.add_test_cases(cases.iter().map(test_case));
            report.add_test_suite(suite);
        }
        report.to_string().map_err(|error| Failure::failed(format!("cannot print as JUnit XML: {error}")))
    }
}

fn test_case(outcome: &Outcome) -> TestCase {
    let status = match &outcome.failure {
        None => TestCaseStatus::success(),
        Some(failure) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(failure.as_str()).set_description(outcome.explanation());
            status
        }
    };
    let mut case = TestCase::new(outcome.name.as_str(), status);
    case.set_classname(outcome.test.as_str());
    case.extra.insert("file".into(), outcome.location.file.as_str().into());
    case.extra.insert("line".into(), outcome.location.line.to_string().into());
    case
}
