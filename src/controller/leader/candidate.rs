//! One candidate's view of the lease, and its single step: get, decide, replace.

use std::time::Duration;

use amigo_runtime::clock::SharedClock;
use http::StatusCode;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::{
    Error, Options,
    decide::{self, Decision},
};

/// Where a step left the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseStatus {
    Leading,
    Following,
}

pub struct Candidate {
    leases: Api<Lease>,
    clock: SharedClock,
    pub options: Options,
    // The record last seen, and since when (boot time).
    seen: Option<(LeaseSpec, Duration)>,
}

impl Candidate {
    pub fn new(client: Client, clock: SharedClock, options: Options) -> Self {
        Self { leases: Api::namespaced(client, &options.namespace), clock, options, seen: None }
    }

    /// Boot time.
    pub fn boot(&self) -> Duration {
        self.clock.boot()
    }

    /// Takes or renews the lease if it may.
    pub async fn step(&mut self) -> Result<LeaseStatus, Error> {
        let lease = self.get().await?;
        let known = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let unchanged_for = self.unchanged_for(known.as_ref());
        let Options { identity, lease_duration, .. } = &self.options;
        let decision = decide::decide(known.as_ref(), unchanged_for, identity, *lease_duration);
        tracing::trace!(?decision, lease = self.options.name, "one step of the leader election");
        let claim = decide::claim(known.as_ref(), identity, *lease_duration, self.clock.now());
        match (decision, lease) {
            (Decision::Follow, _) => Ok(LeaseStatus::Following),
            (_, Some(lease)) => self.replace(lease, claim).await,
            (_, None) => self.create(claim).await,
        }
    }

    /// Gives the lease back if it is ours. A conflict may be a renewal of our own still on its way: look again.
    pub async fn release(&self) -> Result<(), Error> {
        while let Some(lease) = self.get().await? {
            let ours = |spec: &&LeaseSpec| spec.holder_identity.as_deref() == Some(&self.options.identity);
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
        if let (Some((seen, since)), Some(spec)) = (&self.seen, spec)
            && seen == spec
        {
            return now.saturating_sub(*since);
        }
        self.seen = spec.map(|spec| (spec.clone(), now));
        Duration::ZERO
    }

    async fn get(&self) -> Result<Option<Lease>, Error> {
        self.leases.get_opt(&self.options.name).await.map_err(|error| self.error("read", error))
    }

    /// The object keeps the `resourceVersion` it was read with: the server refuses if it changed since.
    async fn replace(&self, lease: Lease, spec: LeaseSpec) -> Result<LeaseStatus, Error> {
        let lease = Lease { spec: Some(spec), ..lease };
        let replaced = self.leases.replace(&self.options.name, &PostParams::default(), &lease).await;
        self.standing("replace", replaced)
    }

    async fn create(&self, spec: LeaseSpec) -> Result<LeaseStatus, Error> {
        let metadata = ObjectMeta { name: Some(self.options.name.clone()), ..ObjectMeta::default() };
        let created = self.leases.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await;
        self.standing("create", created)
    }

    fn standing(&self, verb: &'static str, written: kube::Result<Lease>) -> Result<LeaseStatus, Error> {
        match written {
            Ok(_) => Ok(LeaseStatus::Leading),
            Err(kube::Error::Api(status)) if status.code == StatusCode::CONFLICT => Ok(LeaseStatus::Following),
            Err(error) => Err(self.error(verb, error)),
        }
    }

    fn error(&self, verb: &'static str, source: kube::Error) -> Error {
        let Options { namespace, name, .. } = &self.options;
        Error::Lease { verb, namespace: namespace.clone(), name: name.clone(), source: Box::new(source) }
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
        let options = Options::new("amigo", "operator", "me");
        (Candidate::new(Client::new(service, "amigo"), SystemClock::shared(), options), handle)
    }

    async fn answer(
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

    fn refusal(code: u16) -> serde_json::Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": ""})
    }

    #[tokio::test]
    async fn a_conflict_on_replace_is_not_leading() {
        let (mut candidate, mut handle) = candidate();
        let server = async {
            answer(&mut handle, Method::GET, 200, free_lease()).await;
            answer(&mut handle, Method::PUT, 409, refusal(409)).await;
        };
        let (standing, ()) = tokio::join!(candidate.step(), server);
        assert_eq!(standing.unwrap(), LeaseStatus::Following);
    }

    #[tokio::test]
    async fn any_other_refusal_is_an_error_that_names_the_lease() {
        let (mut candidate, mut handle) = candidate();
        let server = answer(&mut handle, Method::GET, 403, refusal(403));
        let (standing, ()) = tokio::join!(candidate.step(), server);
        let error = standing.unwrap_err().to_string();
        assert!(error.starts_with("cannot read lease amigo/operator"), "{error}");
    }
}
