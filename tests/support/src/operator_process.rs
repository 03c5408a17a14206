//! The operator as its users run it: a process of its own, to be watched, stopped and killed.
//!
//! `OPERATOR_LOG` sets what it logs, in the syntax of `RUST_LOG`. `OPERATOR_BINARY` names another build of it, such as
//! a release build, which would take minutes to link into a test as well.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use amigo_dev::ControlPlane;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{OPERATOR, eventually, program};

/// The protocol's times, short, as in `stage::TIMING`; a lease that runs out in seconds.
const SHORT_TIMES: &[&str] = &[
    "--send-window=2s",
    "--commit-time=1500ms",
    "--list-lag=500ms",
    "--tick=1s",
    "--call-deadline=3s",
    "--lease-duration=3s",
];

/// What a process of the tests has for its call deadline.
pub const CALL_DEADLINE: Duration = Duration::from_secs(3);
/// What a process of the tests has for its retry period.
pub const RETRY_PERIOD: Duration = Duration::from_millis(400);

/// A running operator; killed when dropped.
pub struct OperatorProcess {
    /// When it was started.
    pub started: Instant,
    child: Child,
    folder: TempDir,
    port: u16,
}

/// Memory in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Resident at most so far.
    pub peak: u64,
}

impl OperatorProcess {
    /// Starts the operator with short times; `flags` come last and win.
    pub fn start(plane: &ControlPlane, flags: &[&str]) -> Self {
        Self::start_with(&kubeconfig_of_operator(plane), flags, &[])
    }

    /// Starts the operator with its own defaults.
    pub fn start_as_shipped(plane: &ControlPlane, flags: &[&str]) -> Self {
        Self::start_as(&kubeconfig_of_operator(plane), flags)
    }

    /// Starts the operator with short times as whoever the kubeconfig's current context names, with these variables.
    pub fn start_with(kubeconfig: &str, flags: &[&str], variables: &[(&str, OsString)]) -> Self {
        let flags: Vec<&str> = SHORT_TIMES.iter().chain(flags).copied().collect();
        Self::spawn(kubeconfig, &flags, variables)
    }

    /// Starts the operator as whoever the kubeconfig's current context names; `flags` win.
    pub fn start_as(kubeconfig: &str, flags: &[&str]) -> Self {
        Self::spawn(kubeconfig, flags, &[])
    }

    fn spawn(kubeconfig: &str, flags: &[&str], variables: &[(&str, OsString)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig_path = folder.path().join("kubeconfig");
        fs::write(&kubeconfig_path, kubeconfig).expect("a kubeconfig");
        let port = free_port();
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let child = Command::new(binary())
            .arg("run")
            .args(["--namespace=default", "--allowed-api-host=http://127.0.0.1"])
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(flags)
            .env("KUBECONFIG", &kubeconfig_path)
            .envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("RUST_LOG", env::var("OPERATOR_LOG").unwrap_or_else(|_| "info".to_owned()))
            .stdin(Stdio::null())
            .stdout(file("audit"))
            .stderr(file("log"))
            .spawn()
            .expect("the operator starts");
        Self { started: Instant::now(), child, folder, port }
    }

    /// As `kill -9`: no time for anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// As the kubelet asks a pod to stop.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("a process to stop");
    }

    /// How the process ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits for the process's own end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {within:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it leads.
    pub async fn until_leading(&self) {
        let what = "this operator leads";
        eventually(Duration::from_secs(20), what, || async { self.leads().await.then_some(()) }).await;
    }

    /// Whether it leads, by its own account.
    pub async fn leads(&self) -> bool {
        is_of_leader(&self.page("/metrics").await)
    }

    /// One number of `/metrics`, by the start of its line.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.page("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next_back()?.parse().ok())
    }

    /// A page it serves; empty if it does not.
    pub async fn page(&self, path: &str) -> String {
        page(self.port, path).await
    }

    /// What it logged.
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// Its audit lines.
    pub fn audit(&self) -> String {
        read(&self.folder.path().join("audit"))
    }

    /// What the kernel says of its memory.
    pub fn memory(&self) -> Memory {
        let status = read(&PathBuf::from(format!("/proc/{}/status", self.child.id())));
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the status");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        Memory { resident: value("VmRSS:"), peak: value("VmHWM:") }
    }

    fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("a process id");
        Pid::from_raw(id).expect("not zero")
    }
}

impl Drop for OperatorProcess {
    #[expect(clippy::print_stdout, reason = "the log of a failed test is the test's own output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(50).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            println!("the end of the operator's log:\n{}", end.join("\n"));
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a page of metrics is the leader's. Its whole line: the metric's help begins with the same words.
pub fn is_of_leader(page: &str) -> bool {
    page.lines().any(|line| line == "amigo_operator_leader 1")
}

/// A page that somebody serves on this machine, headers first; empty if nobody does.
pub async fn page(port: u16, path: &str) -> String {
    let Ok(mut connection) = TcpStream::connect(("127.0.0.1", port)).await else { return String::new() };
    let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    let mut page = String::new();
    if connection.write_all(request.as_bytes()).await.is_ok() {
        // Whatever came before an error is what there is.
        let _ = connection.read_to_string(&mut page).await;
    }
    page
}

/// Whether the operator under test is a release build.
pub fn is_release() -> bool {
    !cfg!(debug_assertions) || env::var_os("OPERATOR_BINARY").is_some()
}

/// The operator under test.
pub fn binary() -> PathBuf {
    env::var_os("OPERATOR_BINARY").map_or_else(|| program("amigo-operator"), PathBuf::from)
}

fn kubeconfig_of_operator(plane: &ControlPlane) -> String {
    plane.kubeconfig().replace("current-context: admin", &format!("current-context: {OPERATOR}"))
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
