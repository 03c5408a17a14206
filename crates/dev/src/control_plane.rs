//! A real etcd and kube-apiserver on free loopback ports, in a temporary folder.
//!
//! # Expected flow
//! [`ControlPlane::start`] returns when `/readyz` succeeds, after about three seconds. [`ControlPlane::stop`] or a drop
//! ends both servers and removes the folder.
//!
//! # Guarantees
//! No server and no folder survives this process, however it ends. Clients verify the API server's self-signed
//! certificate. RBAC is enabled.
//!
//! # Caveats
//! No kube-controller-manager and no kubelet run. Nothing collects owned objects, the deletion of a namespace never
//! finishes, and no pod starts.

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
    identity::{self, ADMIN, Identity},
    process_reaper::ProcessReaper,
};

const READY_DEADLINE: Duration = Duration::from_mins(1);
const READY_POLL: Duration = Duration::from_millis(50);
const LOG_TAIL_LINES: usize = 20;
// Another program can take a free port before the server does.
const MAX_STARTS: u32 = 3;
const SERVERS: [&str; 2] = ["etcd", "kube-apiserver"];
const AUDIT_POLICY: &str = "audit-policy.json";
const AUDIT_LOG: &str = "audit.log";

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Users besides `admin`. Each has a context of the same name in the kubeconfig.
    pub identities: Vec<Identity>,
    /// Users whose requests the API server records in [`ControlPlane::audit_log`].
    pub audited: Vec<String>,
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    assets: Assets,
    folder: PathBuf,
    reaper: ProcessReaper,
    kubeconfig: String,
}

impl ControlPlane {
    /// Starts a control plane whose only user is `admin`.
    ///
    /// # Errors
    /// If a server cannot start or is not ready within a minute.
    pub async fn start(assets: Assets) -> Result<Self, Error> {
        Self::start_with(assets, Options::default()).await
    }

    /// Starts a control plane.
    ///
    /// # Errors
    /// If a server cannot start or is not ready within a minute.
    pub async fn start_with(assets: Assets, options: Options) -> Result<Self, Error> {
        let Options { identities: others, audited } = options;
        let mut identities = vec![Identity::admin()];
        identities.extend(others);
        let mut attempt = 1;
        loop {
            match Launch::begin(&assets, &identities, &audited)?.until_ready(&identities).await {
                Ok((launch, kubeconfig)) => {
                    let Launch { folder, reaper, .. } = launch;
                    return Ok(Self { assets, folder, reaper, kubeconfig });
                }
                Err(error) if error.is_port_taken() && attempt < MAX_STARTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The kubeconfig as YAML, with one context per user. The current context is `admin`.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.clone()
    }

    /// The kubeconfig file, which exists as long as the control plane.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        kubeconfig_path(&self.folder)
    }

    /// The folder of all files and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The requests of the audited users, one JSON object per line. The first request creates the file.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join(AUDIT_LOG)
    }

    /// The kubectl of the same release as the API server.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.assets.kubectl()
    }

    /// The process ids of etcd and kube-apiserver.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.reaper.process_ids()
    }

    /// The client configuration of `admin`.
    ///
    /// # Errors
    /// If the kubeconfig is invalid.
    pub async fn config(&self) -> Result<Config, Error> {
        self.config_of(ADMIN).await
    }

    /// The client configuration of the user `name`.
    ///
    /// # Errors
    /// If there is no such user.
    pub async fn config_of(&self, name: &str) -> Result<Config, Error> {
        config(&self.kubeconfig, name).await
    }

    /// A client for `admin`. A client works only on the runtime that created it.
    ///
    /// # Errors
    /// If the kubeconfig is invalid.
    pub async fn client(&self) -> Result<Client, Error> {
        self.client_of(ADMIN).await
    }

    /// A client for the user `name`.
    ///
    /// # Errors
    /// If there is no such user.
    pub async fn client_of(&self, name: &str) -> Result<Client, Error> {
        Ok(Client::try_from(self.config_of(name).await?)?)
    }

    /// Ends both servers and removes the folder.
    ///
    /// # Errors
    /// If the folder cannot be removed.
    pub fn stop(mut self) -> Result<(), Error> {
        self.reaper.finish().map_err(at(&self.folder))
    }
}

/// Two servers that may not be ready yet.
struct Launch {
    folder: PathBuf,
    reaper: ProcessReaper,
    port: u16,
}

impl Launch {
    fn begin(assets: &Assets, identities: &[Identity], audited: &[String]) -> Result<Self, Error> {
        let folder = private_folder()?;
        let reaper = ProcessReaper::new(&folder).map_err(|error| {
            // Without a reaper, nothing else removes the folder.
            let _ = fs::remove_dir_all(&folder);
            Error::Spawn { program: PathBuf::from("sh"), source: error }
        })?;
        let [port, etcd_client, etcd_peer] = free_ports().map_err(at(&folder))?;
        let mut launch = Self { folder, reaper, port };
        launch.write_files(identities, audited)?;
        launch.spawn(SERVERS[0], &assets.etcd(), &etcd_arguments(etcd_client, etcd_peer))?;
        launch.spawn(SERVERS[1], &assets.kube_apiserver(), &apiserver_arguments(port, etcd_client))?;
        Ok(launch)
    }

    fn write_files(&self, identities: &[Identity], audited: &[String]) -> Result<(), Error> {
        let key = rcgen::KeyPair::generate()?;
        let files = [
            ("tokens.csv", identity::token_file(identities)),
            ("signing.pem", key.serialize_pem()),
            ("verifying.pem", key.public_key_pem()),
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
        self.reaper.spawn(&mut command).map_err(|source| Error::Spawn { program: program.to_owned(), source })
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

    /// The API server writes its certificate before its key, so an existing key means a complete certificate.
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
            if let Some(status) = self.reaper.exit_status(index).map_err(at(&self.folder))? {
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

/// A failure to start, use or stop a control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Assets(#[from] AssetsError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot generate the key that signs ServiceAccount tokens: {0}")]
    SigningKey(#[from] rcgen::Error),
    #[error("cannot start {}: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("{program} ended with {status} before it was ready; the end of its log:\n{log}")]
    Ended { program: &'static str, status: String, log: String },
    #[error("kube-apiserver is not ready after {seconds} s; the end of its log:\n{log}")]
    NotReady { seconds: u64, log: String },
    #[error("cannot write the kubeconfig: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("cannot build a client: {0}")]
    Client(#[from] kube::Error),
}

impl Error {
    fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// A folder that only this user can read, because it contains tokens.
fn private_folder() -> Result<PathBuf, Error> {
    let folder = std::env::temp_dir().join(format!("amigo-control-plane-{}", identity::random_hex(8)));
    DirBuilder::new().mode(0o700).create(&folder).map_err(at(&folder))?;
    Ok(folder)
}

fn kubeconfig_path(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// Binds all ports before it releases any, so that they differ.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn etcd_arguments(client: u16, peer: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    vec![
        "--data-dir=etcd".into(),
        "--log-level=warn".into(),
        // Nothing outlives the process, so nothing must reach the disk.
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
        // No controller creates default ServiceAccounts, and admission rejects pods without one.
        "--disable-admission-plugins=ServiceAccount".into(),
        format!("--audit-policy-file={AUDIT_POLICY}"),
        format!("--audit-log-path={AUDIT_LOG}"),
        // One server on loopback needs no fair queueing, no endpoint reconciliation and no profiling.
        "--enable-priority-and-fairness=false".into(),
        "--endpoint-reconciler-type=none".into(),
        "--profiling=false".into(),
    ]
}

/// Records the metadata of the audited users' requests and nothing else.
fn audit_policy(audited: &[String]) -> String {
    let others = json!({ "level": "None" });
    let rules = match audited {
        [] => vec![others],
        users => vec![json!({ "level": "Metadata", "users": users, "omitStages": ["RequestReceived"] }), others],
    };
    json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules }).to_string()
}

async fn config(kubeconfig: &str, user: &str) -> Result<Config, Error> {
    let options = KubeConfigOptions { context: Some(user.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig)?, &options).await?;
    // A proxy cannot reach this machine's loopback address.
    config.proxy_url = None;
    Ok(config)
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok_and(|body| body == "ok")
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_returns_the_last_lines() {
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
