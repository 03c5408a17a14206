//! One replica's view of the Lease, and its single step: get, decide, replace.

use std::time::Duration;

use amigo_runtime::clock::SharedClock;
use http::StatusCode;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::{
    Error, Settings,
    decide::{self, Decision},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseStatus {
    Leading,
    Following,
}

pub struct Candidate {
    leases: Api<Lease>,
    clock: SharedClock,
    pub settings: Settings,
    /// Whether the leader whose Lease it took last had led for less than a minute.
    pub follows_brief_leader: bool,
    // The last record, and the boot time at which it was first observed.
    observed: Option<(LeaseSpec, Duration)>,
    // Whether this replica has read the Lease, or found that there is none, before.
    has_waited: bool,
}

impl Candidate {
    pub fn new(client: Client, clock: SharedClock, settings: Settings) -> Self {
        Self {
            leases: Api::namespaced(client, &settings.namespace),
            clock,
            settings,
            follows_brief_leader: false,
            observed: None,
            has_waited: false,
        }
    }

    pub fn boot(&self) -> Duration {
        self.clock.boot()
    }

    /// Takes or renews the lease if it may.
    pub async fn step(&mut self) -> Result<LeaseStatus, Error> {
        let lease = self.get().await?;
        let observed = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let unchanged_for = self.unchanged_for(observed.as_ref());
        let unchanged_for = std::mem::replace(&mut self.has_waited, true).then_some(unchanged_for);
        let Settings { identity, lease_duration, lease_name, .. } = &self.settings;
        let decision = decide::decide(observed.as_ref(), unchanged_for, identity, *lease_duration);
        tracing::trace!(?decision, lease = lease_name, "leader election step");
        let claim = decide::claim(observed.as_ref(), identity, *lease_duration, self.clock.now());
        if decision == Decision::Take {
            self.follows_brief_leader = observed.as_ref().is_some_and(decide::led_briefly);
        }
        match (decision, lease) {
            (Decision::Follow, _) => Ok(LeaseStatus::Following),
            (_, Some(lease)) => self.replace(lease, claim).await,
            (_, None) => self.create(claim).await,
        }
    }

    /// Releases the Lease if this replica holds it. A conflict may be its own late renewal, so it reads again.
    pub async fn release(&self) -> Result<(), Error> {
        while let Some(lease) = self.get().await? {
            let ours = |spec: &&LeaseSpec| spec.holder_identity.as_deref() == Some(&self.settings.identity);
            let Some(spec) = lease.spec.as_ref().filter(ours) else { return Ok(()) };
            let released = decide::release(spec, self.clock.now());
            if self.replace(lease, released).await? == LeaseStatus::Leading {
                return Ok(());
            }
        }
        Ok(())
    }

    fn unchanged_for(&mut self, spec: Option<&LeaseSpec>) -> Duration {
        let now = self.clock.boot();
        if let (Some((observed, since)), Some(spec)) = (&self.observed, spec)
            && observed == spec
        {
            return now.saturating_sub(*since);
        }
        self.observed = spec.map(|spec| (spec.clone(), now));
        Duration::ZERO
    }

    async fn get(&self) -> Result<Option<Lease>, Error> {
        self.leases.get_opt(&self.settings.lease_name).await.map_err(|error| self.error("read", error))
    }

    /// The object keeps the `resourceVersion` of the read: the API server rejects the write after another change.
    async fn replace(&self, lease: Lease, spec: LeaseSpec) -> Result<LeaseStatus, Error> {
        let lease = Lease { spec: Some(spec), ..lease };
        let replaced = self.leases.replace(&self.settings.lease_name, &PostParams::default(), &lease).await;
        self.status("replace", replaced)
    }

    async fn create(&self, spec: LeaseSpec) -> Result<LeaseStatus, Error> {
        let metadata = ObjectMeta { name: Some(self.settings.lease_name.clone()), ..ObjectMeta::default() };
        let created = self.leases.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await;
        self.status("create", created)
    }

    fn status(&self, verb: &'static str, written: kube::Result<Lease>) -> Result<LeaseStatus, Error> {
        match written {
            Ok(_) => Ok(LeaseStatus::Leading),
            Err(kube::Error::Api(status)) if status.code == StatusCode::CONFLICT => Ok(LeaseStatus::Following),
            Err(error) => Err(self.error(verb, error)),
        }
    }

    fn error(&self, verb: &'static str, source: kube::Error) -> Error {
        let Settings { namespace, lease_name, .. } = &self.settings;
        Error::Lease { verb, namespace: namespace.clone(), name: lease_name.clone(), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use amigo_runtime::clock::SystemClock;
    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower_test::mock::{self, Handle};

    use super::*;

    fn candidate() -> (Candidate, Handle<Request<Body>, Response<Body>>) {
        let (service, handle) = mock::pair();
        let settings = Settings { lease_name: "operator".to_owned(), ..Settings::new("amigo", "me") };
        (Candidate::new(Client::new(service, "amigo"), SystemClock::shared(), settings), handle)
    }

    async fn respond(
        handle: &mut Handle<Request<Body>, Response<Body>>,
        method: Method,
        code: u16,
        body: serde_json::Value,
    ) {
        let (request, send) = handle.next_request().await.expect("a request");
        assert_eq!(request.method(), method);
        send.send_response(Response::builder().status(code).body(body.to_string().into_bytes().into()).unwrap());
    }

    fn free_lease() -> serde_json::Value {
        json!({"metadata": {"name": "operator", "resourceVersion": "7"}, "spec": {"holderIdentity": ""}})
    }

    fn failure(code: u16) -> serde_json::Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": ""})
    }

    #[tokio::test]
    async fn conflict_on_replace_is_not_leading() {
        let (mut candidate, mut handle) = candidate();
        let server = async {
            respond(&mut handle, Method::GET, 200, free_lease()).await;
            respond(&mut handle, Method::GET, 200, free_lease()).await;
            respond(&mut handle, Method::PUT, 409, failure(409)).await;
        };
        let steps = async { (candidate.step().await, candidate.step().await) };
        let ((first, second), ()) = tokio::join!(steps, server);
        assert_eq!(first.unwrap(), LeaseStatus::Following, "a new replica does not compete at once");
        assert_eq!(second.unwrap(), LeaseStatus::Following);
    }

    #[tokio::test]
    async fn other_failure_is_an_error_that_names_the_lease() {
        let (mut candidate, mut handle) = candidate();
        let server = respond(&mut handle, Method::GET, 403, failure(403));
        let (status, ()) = tokio::join!(candidate.step(), server);
        let error = status.unwrap_err().to_string();
        assert!(error.starts_with("cannot read lease amigo/operator"), "{error}");
    }
}
