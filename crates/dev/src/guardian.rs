//! A shell that outlives this process just long enough to end what it started.
//!
//! # Expected flow
//! The guardian reads process ids from its standard input. End of input (we dropped it, or we died, `kill -9`
//! included) makes it kill them all and remove the folder.
//!
//! # Guarantees
//! No process told to [`Guardian::watch`] and no folder survives this process.
//!
//! # Assumptions
//! No process id is given to another program between its end and the guardian's kill. We reap a server before that
//! only when it failed to start, milliseconds earlier.
//!
//! # Caveats
//! A `kill -9` between a spawn and its `watch`, microseconds apart, leaves that process.
//!
//! # Errors
//! Only those of starting the shell and of writing to it.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

// Servers first, then the folder: a living server would write into it again.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
for attempt in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && exit 0; sleep 0.1; done
exit 1
"#;

/// The guardian of one folder and of the processes that live in it.
#[derive(Debug)]
pub struct Guardian {
    shell: Child,
    servers: Vec<Child>,
    folder: PathBuf,
}

impl Guardian {
    /// Starts the guardian of `folder`, in a process group of its own so that Ctrl-C does not reach it.
    ///
    /// # Errors
    /// When there is no `sh`.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guardian"])
            .arg(folder)
            .env("pids", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell, servers: Vec::new(), folder: folder.to_owned() })
    }

    /// Starts a server that ends with the guardian; `Ctrl-C` does not reach it either.
    ///
    /// # Errors
    /// When it cannot be started, or the guardian is gone.
    pub fn watch(&mut self, command: &mut Command) -> io::Result<()> {
        let server = command.process_group(0).spawn()?;
        let id = server.id();
        self.servers.push(server);
        match &mut self.shell.stdin {
            Some(input) => writeln!(input, "{id}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The exit status, as text, of the server started as the `index`-th, if it has ended.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn ended(&mut self, index: usize) -> io::Result<Option<String>> {
        let Some(server) = self.servers.get_mut(index) else { return Ok(None) };
        Ok(server.try_wait()?.map(|status| status.to_string()))
    }

    /// The process ids of the servers, in the order they were started.
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.iter().map(Child::id).collect()
    }

    /// Ends the servers and removes the folder; waits until both is done (milliseconds). A second call does nothing.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn finish(&mut self) -> io::Result<()> {
        drop(self.shell.stdin.take());
        let status = self.shell.wait()?;
        for server in &mut self.servers {
            server.kill()?;
            server.wait()?;
        }
        if status.success() {
            return Ok(());
        }
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot tidy up after the control plane");
        }
    }
}
