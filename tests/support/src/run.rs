//! Programs that run to their end, kubectl above all.

use std::{
    env,
    io::Write as _,
    process::{Child, Command, Output, Stdio},
    thread,
};

use amigo_dev::ControlPlane;

use crate::program;

/// How a program ended.
#[derive(Debug)]
pub struct Run {
    /// Whether it exited with 0.
    pub success: bool,
    /// What it exited with; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: warnings and refusals.
    pub stderr: String,
}

impl Run {
    /// Runs a program to its end, with this on its standard input.
    pub fn of(command: &mut Command, input: &str) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut to_child = child.stdin.take().expect("its standard input");
        let input = input.to_owned();
        // Beside the reading: a program that answers before it has read everything would wait for us, and we for it.
        let written = thread::spawn(move || to_child.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("its output");
        // A program may end without reading; its output tells why.
        let _ = written.join().expect("the writer ends");
        ended(&output)
    }

    /// The standard output of a run that must succeed.
    pub fn expect(self, what: &str) -> String {
        assert!(self.success, "{what}: {}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs kubectl with the kubeconfig of `plane`.
pub fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> Run {
    kubectl_with(plane, arguments, "")
}

/// As `kubectl`, with this on its standard input.
pub fn kubectl_with(plane: &ControlPlane, arguments: &[&str], input: &str) -> Run {
    Run::of(kubectl_command(plane).args(arguments), input)
}

/// kubectl with the kubeconfig of `plane`, and the plugin on its path.
pub fn kubectl_command(plane: &ControlPlane) -> Command {
    let plugin = program("kubectl-amigo").parent().expect("a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([plugin].into_iter().chain(env::split_paths(&path))).expect("a path");
    let mut command = Command::new(plane.kubectl());
    command
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig_path())
        .env("KUBECACHEDIR", plane.folder().join("kubectl-cache"))
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("AMIGO_USER_EMAIL");
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    ended(&command.output().expect("the program runs"))
}

/// Waits for the end of a command whose output goes into pipes.
pub fn finished(child: Child) -> Run {
    ended(&child.wait_with_output().expect("the program ends"))
}

fn ended(output: &Output) -> Run {
    Run {
        success: output.status.success(),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
