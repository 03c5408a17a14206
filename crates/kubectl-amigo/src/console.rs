//! Where output goes: data to stdout, prose to stderr, color where both the terminal and the user want it.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use super::Failure;

/// Success.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Failures.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Titles.
pub const TITLE: Style = Style::new().bold();

/// Clears the line of the cursor. Streams without color keep only `\r`, so spaces must clear the rest.
const CLEAR: &str = "\r\u{1b}[2K";

/// The two streams. Both accept styled text; where color is not wanted, they strip it.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    progress: bool,
    /// Width of the progress line on the screen.
    unfinished: usize,
}

impl Console {
    /// Writes to the streams of the process; obeys `NO_COLOR` and `CLICOLOR`.
    #[must_use]
    pub fn from_process() -> Self {
        Self {
            out: Box::new(anstream::AutoStream::auto(io::stdout())),
            err: Box::new(anstream::AutoStream::auto(io::stderr())),
            progress: io::stderr().is_terminal(),
            unfinished: 0,
        }
    }

    /// Writes to other streams, without color and progress line.
    pub fn with_streams(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(anstream::StripStream::new(Box::new(out) as Box<dyn Write + Send>)),
            err: Box::new(anstream::StripStream::new(Box::new(err) as Box<dyn Write + Send>)),
            progress: false,
            unfinished: 0,
        }
    }

    /// Writes data.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn data(&mut self, text: &str) -> io::Result<()> {
        self.finish();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.data(&format!("{text}\n"))
    }

    /// Writes a line of prose to stderr.
    pub fn report(&mut self, text: &str) {
        self.finish();
        // When stderr is closed, nobody reads this.
        let _ = writeln!(self.err, "{text}");
    }

    pub fn warn(&mut self, text: &str) {
        self.report(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    pub fn error(&mut self, failure: &Failure) {
        self.report(&format!("{BAD}error:{BAD:#} {failure}"));
    }

    /// Shows a line that the next one replaces; nothing when stderr is not a terminal.
    pub fn progress(&mut self, text: &str) {
        if self.progress {
            let width = text.chars().count();
            let _ = write!(self.err, "{CLEAR}{text:<before$}", before = self.unfinished);
            let _ = self.err.flush();
            self.unfinished = width;
        }
    }

    fn finish(&mut self) {
        let width = std::mem::take(&mut self.unfinished);
        if width > 0 {
            let _ = write!(self.err, "{CLEAR}{:width$}\r", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_line_is_cleared_without_escapes() {
        let buffer = Buffer::default();
        let mut console = Console { progress: true, ..Console::with_streams(io::sink(), buffer.clone()) };
        console.progress("waits [10s]");
        console.progress("é [2s]");
        console.report("Granted");
        let written = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "\rwaits [10s]\ré [2s]     \r      \rGranted\n");
    }
}
