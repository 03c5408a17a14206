//! A real etcd and kube-apiserver on free loopback ports, in a temporary folder.
//!
//! # Expected flow
//! [`ControlPlane::start`] returns when `/readyz` says ok, about three seconds later; [`ControlPlane::stop`] or a
//! drop ends both servers and removes the folder.
//!
//! # Guarantees
//! Both servers and the folder are gone when this process is, however it ends. TLS is verified against the
//! certificate the API server made for itself; RBAC is on.
//!
//! # Caveats
//! No kube-controller-manager and no kubelet run: nothing collects owned objects, a namespace's deletion never
//! finishes, no pod starts.
//!
//! # Errors
//! [`Error`]; a server that does not come up is reported with the end of its log.

use std::{
    fs::{self, DirBuilder, File},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::time;

use super::{
    assets::{Assets, AssetsError},
    guardian::Guardian,
    identity::{self, ADMIN, Identity},
    signing_key::SigningKey,
};

const READY_DEADLINE: Duration = Duration::from_mins(1);
const READY_POLL: Duration = Duration::from_millis(50);
const LOG_TAIL_LINES: usize = 20;
// Another program can take a port between our look and the server's.
const STARTS: u32 = 3;
const SERVERS: [&str; 2] = ["etcd", "kube-apiserver"];
const AUDIT_POLICY: &str = "audit-policy.json";
const AUDIT_LOG: &str = "audit.log";

/// What a control plane has beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Users besides `admin`, each with a context of its name in the kubeconfig.
    pub identities: Vec<Identity>,
    /// Users whose every request the API server writes down: see [`ControlPlane::audit_log`].
    pub audited: Vec<String>,
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    assets: Assets,
    folder: PathBuf,
    guardian: Guardian,
    kubeconfig: String,
}

impl ControlPlane {
    /// Starts a control plane whose only user is `admin`.
    ///
    /// # Errors
    /// When a server cannot be started or is not ready within a minute.
    pub async fn start(assets: Assets) -> Result<Self, Error> {
        Self::start_with(assets, Options::default()).await
    }

    /// Starts a control plane.
    ///
    /// # Errors
    /// When a server cannot be started or is not ready within a minute.
    pub async fn start_with(assets: Assets, options: Options) -> Result<Self, Error> {
        let Options { identities: others, audited } = options;
        let mut identities = vec![Identity::admin()];
        identities.extend(others);
        let mut attempt = 1;
        loop {
            match Launch::begin(&assets, &identities, &audited)?.until_ready(&identities).await {
                Ok((launch, kubeconfig)) => {
                    let Launch { folder, guardian, .. } = launch;
                    return Ok(Self { assets, folder, guardian, kubeconfig });
                }
                Err(error) if error.is_port_taken() && attempt < STARTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The kubeconfig as YAML: one context a user, `admin` current.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.clone()
    }

    /// The kubeconfig file; it lives as long as the control plane.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        kubeconfig_path(&self.folder)
    }

    /// The folder everything lives in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the audited users asked for: one JSON object a line, a file that is there from the first request on.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join(AUDIT_LOG)
    }

    /// The kubectl of the same release.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.assets.kubectl()
    }

    /// The process ids of etcd and kube-apiserver.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.guardian.process_ids()
    }

    /// How `admin` connects.
    ///
    /// # Errors
    /// When the kubeconfig does not hold together.
    pub async fn config(&self) -> Result<Config, Error> {
        self.config_of(ADMIN).await
    }

    /// How the user called `name` connects.
    ///
    /// # Errors
    /// When there is no such user.
    pub async fn config_of(&self, name: &str) -> Result<Config, Error> {
        config(&self.kubeconfig, name).await
    }

    /// A client for `admin`. A client belongs to the runtime it was made on: make one for each.
    ///
    /// # Errors
    /// When the kubeconfig does not hold together.
    pub async fn client(&self) -> Result<Client, Error> {
        self.client_of(ADMIN).await
    }

    /// A client for the user called `name`.
    ///
    /// # Errors
    /// When there is no such user.
    pub async fn client_of(&self, name: &str) -> Result<Client, Error> {
        Ok(Client::try_from(self.config_of(name).await?)?)
    }

    /// Ends both servers and removes the folder; returns when that is done.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn stop(mut self) -> Result<(), Error> {
        self.guardian.finish().map_err(at(&self.folder))
    }
}

/// Two servers that run but may not be ready.
struct Launch {
    folder: PathBuf,
    guardian: Guardian,
    port: u16,
}

impl Launch {
    fn begin(assets: &Assets, identities: &[Identity], audited: &[String]) -> Result<Self, Error> {
        let folder = private_folder()?;
        let guardian = Guardian::of(&folder).map_err(|error| {
            // Nobody guards the folder yet.
            let _ = fs::remove_dir_all(&folder);
            Error::Spawn { program: PathBuf::from("sh"), source: error }
        })?;
        let [port, etcd_client, etcd_peer] = free_ports().map_err(at(&folder))?;
        let mut launch = Self { folder, guardian, port };
        launch.write_files(identities, audited)?;
        launch.spawn(SERVERS[0], &assets.etcd(), &etcd_arguments(etcd_client, etcd_peer))?;
        launch.spawn(SERVERS[1], &assets.kube_apiserver(), &apiserver_arguments(port, etcd_client))?;
        Ok(launch)
    }

    fn write_files(&self, identities: &[Identity], audited: &[String]) -> Result<(), Error> {
        let SigningKey { private, public } = SigningKey::generate()?;
        let files = [
            ("tokens.csv", identity::token_file(identities)),
            ("signing.pem", private),
            ("verifying.pem", public),
            (AUDIT_POLICY, audit_policy(audited)),
        ];
        for (name, text) in files {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<(), Error> {
        let log = self.log(name);
        let output = File::create(&log).map_err(at(&log))?;
        let errors = output.try_clone().map_err(at(&log))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(output).stderr(errors);
        self.guardian.watch(&mut command).map_err(|source| Error::Spawn { program: program.to_owned(), source })
    }

    async fn until_ready(mut self, identities: &[Identity]) -> Result<(Self, String), Error> {
        match time::timeout(READY_DEADLINE, self.become_ready(identities)).await {
            Ok(ready) => ready.map(|kubeconfig| (self, kubeconfig)),
            Err(_) => Err(Error::NotReady { seconds: READY_DEADLINE.as_secs(), log: self.log_tail(SERVERS[1]) }),
        }
    }

    async fn become_ready(&mut self, identities: &[Identity]) -> Result<String, Error> {
        let certificate = self.until_certificate().await?;
        let server = format!("https://127.0.0.1:{}", self.port);
        let kubeconfig = identity::kubeconfig(&server, &certificate, identities);
        let kubeconfig = serde_saphyr::to_string(&kubeconfig)?;
        let path = kubeconfig_path(&self.folder);
        fs::write(&path, &kubeconfig).map_err(at(&path))?;
        let mut config = config(&kubeconfig, ADMIN).await?;
        config.default_retry = false;
        let client = Client::try_from(config)?;
        while !is_ready(&client).await {
            self.check_alive()?;
            time::sleep(READY_POLL).await;
        }
        Ok(kubeconfig)
    }

    /// The API server writes its certificate before its key: when the key is there the certificate is whole.
    async fn until_certificate(&mut self) -> Result<Vec<u8>, Error> {
        let certificates = self.folder.join("certificates");
        while !certificates.join("apiserver.key").exists() {
            self.check_alive()?;
            time::sleep(READY_POLL).await;
        }
        let path = certificates.join("apiserver.crt");
        fs::read(&path).map_err(at(&path))
    }

    fn check_alive(&mut self) -> Result<(), Error> {
        for (index, program) in SERVERS.into_iter().enumerate() {
            if let Some(status) = self.guardian.ended(index).map_err(at(&self.folder))? {
                return Err(Error::Ended { program, status, log: self.log_tail(program) });
            }
        }
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn log_tail(&self, name: &str) -> String {
        match fs::read(self.log(name)) {
            Ok(log) => tail(&String::from_utf8_lossy(&log), LOG_TAIL_LINES),
            Err(error) => format!("(no log: {error})"),
        }
    }
}

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs are not there.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// A file of the temporary folder.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// No key for `ServiceAccount` tokens.
    #[error("cannot generate the key that signs ServiceAccount tokens")]
    Key,
    /// A program could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A server ended while it was expected to become ready.
    #[error("{program} ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// `etcd` or `kube-apiserver`.
        program: &'static str,
        /// Its exit status.
        status: String,
        /// The last lines it wrote.
        log: String,
    },
    /// The API server did not become ready in time.
    #[error("kube-apiserver is not ready after {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// The last lines it wrote.
        log: String,
    },
    /// The kubeconfig could not be written as YAML.
    #[error("cannot write the kubeconfig: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The kubeconfig could not be used.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// No client could be built.
    #[error("cannot build a client: {0}")]
    Client(#[from] kube::Error),
}

impl Error {
    fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

impl From<super::signing_key::NoKey> for Error {
    fn from(_: super::signing_key::NoKey) -> Self {
        Self::Key
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// A new folder only this user can read: it holds tokens.
fn private_folder() -> Result<PathBuf, Error> {
    let folder = std::env::temp_dir().join(format!("amigo-control-plane-{}", identity::random_hex(8)));
    DirBuilder::new().mode(0o700).create(&folder).map_err(at(&folder))?;
    Ok(folder)
}

fn kubeconfig_path(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// Different ports: all are held before any is let go.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn etcd_arguments(client: u16, peer: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    vec![
        "--data-dir=etcd".into(),
        "--log-level=warn".into(),
        // Nothing here outlives the process, so nothing needs to reach the disk.
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

fn apiserver_arguments(port: u16, etcd: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        "--cert-dir=certificates".into(),
        "--token-auth-file=tokens.csv".into(),
        "--authorization-mode=RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--service-account-signing-key-file=signing.pem".into(),
        "--service-account-key-file=verifying.pem".into(),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        // No controller creates default ServiceAccounts here, and without one no pod could be created.
        "--disable-admission-plugins=ServiceAccount".into(),
        format!("--audit-policy-file={AUDIT_POLICY}"),
        format!("--audit-log-path={AUDIT_LOG}"),
        // One client, one server: no queueing between tenants, no endpoints to agree on, no profiles.
        "--enable-priority-and-fairness=false".into(),
        "--endpoint-reconciler-type=none".into(),
        "--profiling=false".into(),
    ]
}

/// Who asked for what, without contents; of nobody else anything.
fn audit_policy(audited: &[String]) -> String {
    let nobody_else = json!({ "level": "None" });
    let rules = match audited {
        [] => vec![nobody_else],
        users => vec![json!({ "level": "Metadata", "users": users, "omitStages": ["RequestReceived"] }), nobody_else],
    };
    json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules }).to_string()
}

async fn config(kubeconfig: &str, user: &str) -> Result<Config, Error> {
    let options = KubeConfigOptions { context: Some(user.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig)?, &options).await?;
    // A proxy meant for the outside world cannot reach our loopback.
    config.proxy_url = None;
    Ok(config)
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok_and(|answer| answer == "ok")
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
        assert_eq!(tail("", 2), "");
    }

    #[test]
    fn free_ports_differ() {
        let [first, second, third] = free_ports().unwrap();
        assert!(first != second && second != third && first != third);
    }
}
