//! Logs to standard error, as text or JSON, with RFC 3339 times in UTC.

use std::io::{self, IsTerminal as _};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::traces::Extra;

// The debug logs of these libraries may contain requests, including credentials.
const WIRE: [&str; 5] = ["hyper", "hyper_util", "hyper_rustls", "rustls", "tower"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For terminals.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Sets up logging for the process. `filter` has the syntax of `RUST_LOG`, such as `info,amigo_operator=debug`. The HTTP
/// and TLS libraries always stay at `info` or above.
///
/// # Errors
/// If the filter is invalid, or logging is already set up.
pub fn init(format: LogFormat, filter: &str) -> Result<(), Error> {
    init_with(format, filter, None)
}

/// As [`init`], with an additional layer.
///
/// # Errors
/// As [`init`].
pub fn init_with(format: LogFormat, filter: &str, extra: Option<Extra>) -> Result<(), Error> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(format, filter, colour, (io::stderr, extra))?.try_init().map_err(Error::SetUp)
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid log filter: {0}")]
    Filter(#[from] ParseError),
    #[error("cannot set up logging: {0}")]
    SetUp(tracing_subscriber::util::TryInitError),
}

type BoxSubscriber = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colour: bool,
    (writer, extra): (W, Option<Extra>),
) -> Result<BoxSubscriber, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)?.and(filter_fn(is_safe));
    let lines = fmt::layer().with_writer(writer).with_ansi(colour);
    let registry = tracing_subscriber::registry().with(extra);
    Ok(match format {
        LogFormat::Text => Box::new(registry.with(lines.with_filter(filter))),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true).with_filter(filter))),
    })
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !WIRE.contains(&library)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, work: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(format, filter, false, (move || writer.clone(), None)).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_flat_object_per_line() {
        let line = logged(LogFormat::Json, "info", || tracing::info!(grant = "a/b", "issued"));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["message"], &line["grant"]), (&"issued".into(), &"a/b".into()));
        assert!(line["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }

    #[test]
    fn text_has_message_and_fields() {
        let line = logged(LogFormat::Text, "info", || tracing::info!(grant = "a/b", "issued"));
        assert!(line.ends_with("issued grant=\"a/b\"\n"), "{line}");
    }

    #[test]
    fn http_libraries_never_log_details() {
        let lines = logged(LogFormat::Text, "trace,hyper::proto=trace", || {
            tracing::trace!(target: "hyper::proto::h1", "authorization: Bearer secret");
            tracing::debug!(target: "rustls::client", "secret");
            tracing::trace!("ours");
        });
        assert!(lines.contains("ours") && !lines.contains("secret"), "{lines}");
    }

    #[test]
    fn invalid_filter_is_an_error() {
        assert!(matches!(subscriber(LogFormat::Text, "a=b=c", false, (io::sink, None)), Err(Error::Filter(_))));
    }
}
