//! The report as JUnit XML, the dialect that CI systems read: suites, cases, failures.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{case::Outcome, report::Report};
use crate::Failure;

type Xml = Writer<Vec<u8>>;

impl Report {
    /// The report as JUnit XML, a suite a document.
    ///
    /// # Errors
    /// Never; writing to memory does not fail.
    pub fn junit(&self) -> Result<String, Failure> {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
        write(self, &mut xml)?;
        Ok(String::from_utf8_lossy(&xml.into_inner()).into_owned() + "\n")
    }
}

fn write(report: &Report, xml: &mut Xml) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (tests, failures) = (report.cases.len().to_string(), report.failed.to_string());
    xml.create_element("testsuites")
        .with_attributes([("name", "kubectl amigo test"), ("tests", &tests), ("failures", &failures)])
        .write_inner_content(|xml| {
            let same = |one: &Outcome, next: &Outcome| one.test == next.test && one.place.file == next.place.file;
            report.cases.chunk_by(same).try_for_each(|cases| suite(cases, xml))
        })?;
    Ok(())
}

fn suite(cases: &[Outcome], xml: &mut Xml) -> io::Result<()> {
    let name = cases.first().map(|case| case.test.as_str()).unwrap_or_default();
    let failures = cases.iter().filter(|case| case.failure.is_some()).count().to_string();
    xml.create_element("testsuite")
        .with_attributes([("name", name), ("tests", &cases.len().to_string()), ("failures", &failures)])
        .write_inner_content(|xml| cases.iter().try_for_each(|outcome| case(outcome, xml)))?;
    Ok(())
}

fn case(outcome: &Outcome, xml: &mut Xml) -> io::Result<()> {
    let line = outcome.place.line.to_string();
    let element = xml.create_element("testcase").with_attributes([
        ("classname", outcome.test.as_str()),
        ("name", &outcome.name),
        ("file", &outcome.place.file),
        ("line", &line),
    ]);
    let Some(failure) = &outcome.failure else { return element.write_empty().map(|_| ()) };
    let story = anstream::adapter::strip_str(&outcome.story()).to_string();
    element.write_inner_content(|xml| {
        let failed = xml.create_element("failure").with_attribute(("message", failure.as_str()));
        failed.write_text_content(BytesText::new(&story)).map(|_| ())
    })?;
    Ok(())
}
