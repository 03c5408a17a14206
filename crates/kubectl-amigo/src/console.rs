//! Where output goes: data to stdout, prose to stderr, colour where both the terminal and the user want it.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use super::Failure;

/// Good news.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What needs attention.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Bad news.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Titles.
pub const TITLE: Style = Style::new().bold();

/// Clears the line the cursor is on; without colour only its first character is left, so blanks clear the rest.
const CLEAR: &str = "\r\u{1b}[2K";

/// The two streams. Styled text may be written to both: where colour is not wanted it is stripped.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    progress: bool,
    /// Characters of the progress line that stands there.
    unfinished: usize,
}

impl Console {
    /// The process's own streams; `NO_COLOR` and `CLICOLOR` are obeyed.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            out: Box::new(anstream::AutoStream::auto(io::stdout())),
            err: Box::new(anstream::AutoStream::auto(io::stderr())),
            progress: io::stderr().is_terminal(),
            unfinished: 0,
        }
    }

    /// Other streams, which get neither colour nor a progress line.
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
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

    /// Writes one line of data.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.data(&format!("{text}\n"))
    }

    /// Tells something on stderr.
    pub fn tell(&mut self, text: &str) {
        self.finish();
        // Whoever closed stderr does not want to be told.
        let _ = writeln!(self.err, "{text}");
    }

    /// Warns on stderr.
    pub fn warn(&mut self, text: &str) {
        self.tell(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// Says on stderr why the command failed.
    pub fn complain(&mut self, failure: &Failure) {
        self.tell(&format!("{BAD}error:{BAD:#} {failure}"));
    }

    /// Shows one line that the next one replaces; nothing where stderr is no terminal.
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
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_progress_line_leaves_nothing_behind_where_escapes_are_stripped() {
        let screen = Screen::default();
        let mut console = Console { progress: true, ..Console::to(io::sink(), screen.clone()) };
        console.progress("waits [10s]");
        console.progress("é [2s]");
        console.tell("Granted");
        let written = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "\rwaits [10s]\ré [2s]     \r      \rGranted\n");
    }
}
