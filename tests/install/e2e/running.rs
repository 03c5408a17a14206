//! The operator and the sandbox of a release: as pods where there are nodes; else as processes of this machine, with
//! the arguments of their Deployments and, for the operator, the token of its `ServiceAccount`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use test_support::{
    eventually,
    operator_process::{OperatorProcess, free_port, is_of_leader, page},
};

use super::cluster::Cluster;
use super::release::{NAMESPACE, RELEASE, arguments};

const WITHIN: Duration = Duration::from_mins(2);

/// What runs.
pub enum Running {
    /// Pods of the cluster.
    Pods,
    /// Processes of this machine.
    Processes {
        /// Two replicas of the operator.
        operators: Vec<OperatorProcess>,
        /// The sandbox.
        _sandbox: Process,
        /// Where it listens.
        port: u16,
        /// What replicas that ended had to say.
        said: String,
    },
}

/// A process that ends with the test.
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts what has no node to run on. Call it before the chart is installed, then [`Running::start`].
    pub fn prepare(cluster: &Cluster) -> Self {
        if cluster.has_nodes {
            return Self::Pods;
        }
        let port = free_port();
        let sandbox = Command::new(env!("CARGO_BIN_EXE_amigo-sandbox"))
            .arg(format!("--listen=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        Self::Processes { operators: Vec::new(), _sandbox: Process(sandbox), port, said: String::new() }
    }

    /// Where the operator reaches the sandbox, if not by its Service.
    pub fn sandbox_url(&self) -> Option<String> {
        match self {
            Self::Pods => None,
            Self::Processes { port, .. } => Some(format!("http://127.0.0.1:{port}")),
        }
    }

    /// Starts the operator as the chart now says, in place of what ran before.
    pub async fn start(&mut self, cluster: &Cluster) {
        if let Self::Processes { operators, said, .. } = self {
            for operator in operators.iter() {
                operator.terminate();
            }
            for mut operator in operators.drain(..) {
                assert!(operator.ended(WITHIN).await.success(), "an orderly end:\n{}", operator.log());
                said.push_str(&operator.log());
            }
            operators.extend([replica(cluster), replica(cluster)]);
        }
        self.until_led(cluster).await;
    }

    /// Waits until one of the replicas leads.
    async fn until_led(&self, cluster: &Cluster) {
        eventually(WITHIN, "a replica leads", || async { is_of_leader(&self.metrics(cluster).await).then_some(()) })
            .await;
    }

    /// Ends the leading replica without a warning, and waits for the other to take over.
    pub async fn kill_leader(&mut self, cluster: &Cluster) {
        match self {
            Self::Pods => {
                let leader = leading_pod(cluster).expect("a leader");
                let delete = ["delete", "pod", &leader, "--namespace", NAMESPACE, "--grace-period=0", "--force"];
                cluster.kubectl(&delete).expect("the leader is gone");
                eventually(WITHIN, "another pod leads", || async { leading_pod(cluster).filter(|pod| *pod != leader) })
                    .await;
            }
            Self::Processes { operators, said, .. } => {
                let mut leads = Vec::new();
                for operator in operators.iter() {
                    leads.push(operator.leads().await);
                }
                let leader = leads.iter().position(|leads| *leads).expect("a leader");
                let mut killed = operators.remove(leader);
                killed.kill();
                said.push_str(&killed.log());
                operators.push(replica(cluster));
            }
        }
        self.until_led(cluster).await;
    }

    /// What the leader counts.
    pub async fn metrics(&self, cluster: &Cluster) -> String {
        match self {
            Self::Pods => match leading_pod(cluster) {
                Some(pod) => forwarded(cluster, &format!("pod/{pod}"), "8080", "/metrics").await,
                None => String::new(),
            },
            Self::Processes { operators, .. } => {
                for operator in operators {
                    let page = operator.page("/metrics").await;
                    if is_of_leader(&page) {
                        return page;
                    }
                }
                String::new()
            }
        }
    }

    /// What the sandbox did, oldest first.
    pub async fn journal(&self, cluster: &Cluster) -> Vec<Value> {
        self.of_sandbox(cluster, "/sandbox/journal").await["commits"].as_array().expect("commits").clone()
    }

    /// Temporary grants that are live at the sandbox.
    pub async fn live(&self, cluster: &Cluster) -> Vec<Value> {
        self.of_sandbox(cluster, "/sandbox/grants").await["acme"].as_array().expect("grants").clone()
    }

    async fn of_sandbox(&self, cluster: &Cluster, path: &str) -> Value {
        let answer = match self {
            Self::Pods => forwarded(cluster, &format!("deployment/{RELEASE}-sandbox"), "8090", path).await,
            Self::Processes { port, .. } => page(*port, path).await,
        };
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer of the sandbox");
        serde_json::from_str(body).expect("JSON of the sandbox")
    }

    /// What all replicas logged.
    pub fn logs(&self, cluster: &Cluster) -> String {
        match self {
            Self::Pods => {
                let of =
                    format!("--selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator");
                cluster.kubectl(&["logs", "--namespace", NAMESPACE, &of, "--tail=-1"]).expect("logs")
            }
            Self::Processes { operators, said, .. } => {
                let logs: Vec<String> = operators.iter().map(OperatorProcess::log).collect();
                format!("{said}{}", logs.concat())
            }
        }
    }

    /// Ends what the suite started.
    pub fn stop(&mut self) {
        if let Self::Processes { operators, .. } = self {
            operators.clear();
        }
    }
}

/// One replica: the Deployment's arguments, with its `ServiceAccount`'s token.
fn replica(cluster: &Cluster) -> OperatorProcess {
    let create = ["create", "token", RELEASE, "--namespace", NAMESPACE, "--duration=1h"];
    let token = cluster.kubectl(&create).expect("a token of the ServiceAccount");
    let namespace = format!("--namespace={NAMESPACE}");
    let given = arguments(cluster, RELEASE);
    let ours = |argument: &&str| *argument != "run" && !argument.starts_with("--listen");
    let flags = given.iter().map(String::as_str).filter(ours).chain([namespace.as_str()]);
    OperatorProcess::start_as(&cluster.kubeconfig_with(token.trim()), &flags.collect::<Vec<_>>())
}

/// The pod that holds the lease: an identity is the pod's name and a number that nobody can guess.
fn leading_pod(cluster: &Cluster) -> Option<String> {
    let path = "--output=jsonpath={.spec.holderIdentity}";
    let holder = cluster.kubectl(&["get", "lease", RELEASE, "--namespace", NAMESPACE, path]).stdout;
    let pod = holder.rsplit_once('_').map(|(pod, _)| pod.to_owned())?;
    let exists = cluster.kubectl(&["get", "pod", &pod, "--namespace", NAMESPACE]).success;
    exists.then_some(pod)
}

/// A page of a pod, by way of the API server.
async fn forwarded(cluster: &Cluster, target: &str, port: &str, path: &str) -> String {
    let arguments = ["port-forward", "--namespace", NAMESPACE, target, &format!(":{port}")];
    let mut forward = Process(cluster.kubectl_running(&arguments));
    // Kept until the end: it writes more, and a closed pipe would end it.
    let mut lines = BufReader::new(forward.0.stdout.take().expect("a pipe")).lines();
    // Forwarding from 127.0.0.1:41234 -> 8080
    let local = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let rest = line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.to_owned();
        rest.parse::<u16>().ok()
    });
    match local {
        Some(local) => page(local, path).await,
        None => String::new(),
    }
}
