//! Ends child processes and removes their folder when this process ends, even after `kill -9`.
//!
//! # Expected flow
//! A shell reads process ids from its standard input. When the input ends, because this process dropped it or died,
//! the shell kills the processes and removes the folder.
//!
//! # Guarantees
//! No process that [`ProcessReaper::spawn`] started, and no folder, survives this process.
//!
//! # Assumptions
//! The operating system does not reuse a process id before the shell kills it. This process waits for a server
//! earlier only if the server failed to start, milliseconds before.
//!
//! # Caveats
//! A `kill -9` in the microseconds between a spawn and the registration of its process id leaves the process.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

// Servers first, then the folder: a running server would create files again.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
for attempt in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && exit 0; sleep 0.1; done
exit 1
"#;

#[derive(Debug)]
pub struct ProcessReaper {
    shell: Child,
    servers: Vec<Child>,
    folder: PathBuf,
}

impl ProcessReaper {
    /// Starts the reaper of `folder`, in its own process group so that Ctrl-C does not reach it.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "process-reaper"])
            .arg(folder)
            .env("pids", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell, servers: Vec::new(), folder: folder.to_owned() })
    }

    /// Starts a server that ends with the reaper. Ctrl-C does not reach the server either.
    pub fn spawn(&mut self, command: &mut Command) -> io::Result<()> {
        let server = command.process_group(0).spawn()?;
        let id = server.id();
        self.servers.push(server);
        match &mut self.shell.stdin {
            Some(input) => writeln!(input, "{id}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The exit status of a server as text, if the server has ended. `index` counts the servers from 0.
    pub fn exit_status(&mut self, index: usize) -> io::Result<Option<String>> {
        let Some(server) = self.servers.get_mut(index) else { return Ok(None) };
        Ok(server.try_wait()?.map(|status| status.to_string()))
    }

    /// The process ids of the servers, in start order.
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.iter().map(Child::id).collect()
    }

    /// Ends the servers, removes the folder and waits for both, which takes milliseconds. A second call does nothing.
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

impl Drop for ProcessReaper {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot clean up after the control plane");
        }
    }
}
