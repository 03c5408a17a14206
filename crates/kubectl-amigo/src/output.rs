//! Output formats: one type behind `-o`, and one printer.

use clap::{
    Arg, Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;

use super::Failure;

/// The formats behind `-o`; each command accepts some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// The same with more columns.
    Wide,
    Json,
    Yaml,
    /// `resource.group/name`, one a line.
    Name,
    /// `JUnit` XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// `-o` and `--json`. A command names the formats it accepts with [`formats`].
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputOptions {
    #[arg(long, short, value_name = "FORMAT", conflicts_with = "json")]
    output: Option<OutputFormat>,
    /// Same as `-o json`
    #[arg(long)]
    json: bool,
}

impl OutputOptions {
    /// The format that the user named, if any.
    pub fn chosen(self) -> Option<OutputFormat> {
        if self.json { Some(OutputFormat::Json) } else { self.output }
    }

    /// The format that the user named, or text for people.
    pub fn format(self) -> OutputFormat {
        self.chosen().unwrap_or_default()
    }
}

/// Restricts `-o` to the formats of one command; the first is its default.
pub fn formats(accepted: &[OutputFormat]) -> impl FnOnce(Arg) -> Arg + use<> {
    let values: Vec<_> = accepted.iter().filter_map(OutputFormat::to_possible_value).collect();
    let default = values.first().map_or("", |value| value.get_name()).to_owned();
    // Every accepted value is the name of a format.
    let parser = PossibleValuesParser::new(values).map(|name| OutputFormat::from_str(&name, false).unwrap_or_default());
    move |argument| argument.value_parser(parser).help(format!("Output format [default: {default}]"))
}

/// The value as JSON or YAML, else as the text of the command.
///
/// # Errors
/// When JSON or YAML cannot represent the value.
pub fn render<T: Serialize + ?Sized>(
    value: &T,
    format: OutputFormat,
    text: impl FnOnce(&T) -> String,
) -> Result<String, Failure> {
    match format {
        OutputFormat::Json => json(value),
        OutputFormat::Yaml => yaml(value),
        _ => Ok(text(value)),
    }
}

/// Indented JSON with a line end.
///
/// # Errors
/// When JSON cannot represent the value.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed(format!("cannot print as JSON: {error}")))?;
    Ok(text + "\n")
}

/// YAML.
///
/// # Errors
/// When YAML cannot represent the value.
pub fn yaml<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    serde_saphyr::to_string(&value).map_err(|error| Failure::failed(format!("cannot print as YAML: {error}")))
}

/// `resource.group/name`, as kubectl names an object.
#[must_use]
pub fn name<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}.{}/{}", K::kind(&()).to_lowercase(), K::group(&()), object.name_any())
}

/// A Kubernetes object as kubectl prints it: without `managedFields`, and by its name where the format is not JSON or
/// YAML.
///
/// # Errors
/// When JSON or YAML cannot represent the object.
pub fn object<K>(object: &K, format: OutputFormat) -> Result<String, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    render(&without_managed_fields(object), format, |object| name(object) + "\n")
}

fn without_managed_fields<K: Resource + Clone>(object: &K) -> K {
    let mut shown = object.clone();
    shown.meta_mut().managed_fields = None;
    shown
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(mut_arg("output", formats(&[OutputFormat::Table, OutputFormat::Json])))]
    struct TestCommand {
        #[command(flatten)]
        output: OutputOptions,
    }

    fn parse(line: &str) -> Result<OutputFormat, clap::Error> {
        TestCommand::try_parse_from(line.split(' ')).map(|command| command.output.format())
    }

    #[test]
    fn json_is_an_alias_of_output_json() {
        assert_eq!(parse("command -o json").unwrap(), OutputFormat::Json);
        assert_eq!(parse("command --json").unwrap(), OutputFormat::Json);
        assert!(parse("command --json -o json").is_err());
    }

    #[test]
    fn command_rejects_formats_of_others() {
        assert!(parse("command -o sarif").unwrap_err().to_string().contains("table, json"));
        for line in ["command", "command -o text"] {
            assert_eq!(parse(line).unwrap(), OutputFormat::Table, "{line}");
        }
    }
}
