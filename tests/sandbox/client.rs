//! The operator's client against a served sandbox: one part that Amigo rejects, or that nobody can read, spares the others.

use std::sync::Arc;

use amigo_client::{
    ApiAddress, Client, Credentials, RateLimiter, RemoteGrants, RemoteUser, Transport, TransportOptions,
};
use amigo_sandbox::{Hierarchy, Operation, Sandbox};
use futures::future::join_all;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::*;

async fn served(world: &World) -> Client {
    let (sandbox, clock) = (world.sandbox.clone(), world.clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { sandbox.serve(listener, std::future::pending()).await });
    let credentials =
        Credentials { api_key: "sandbox-api-key".into(), api_key_id: KEY.to_owned(), user_id: OPERATOR.to_owned() };
    let transport = Transport::new(&TransportOptions::default()).unwrap();
    let rate_limiter = Arc::new(RateLimiter::new(80, &[].into(), clock.clone()));
    let address = ApiAddress { base_url, organization: "acme".to_owned() };
    Client::new(transport, address, credentials, rate_limiter, clock)
}

fn look_ups(sandbox: &Sandbox) -> usize {
    sandbox.requests().log.iter().filter(|request| request.operation == Some(Operation::GetUsers)).count()
}

#[tokio::test]
async fn rejected_address_fails_alone_in_its_batch() {
    let world = world().without_limits();
    let client = served(&world).await;
    let emails = ["eng@example.com", "a@corp.local", "nobody@example.com", "colleague@example.com"];
    let [engineer, rejected, nobody, colleague] =
        <[_; 4]>::try_from(join_all(emails.map(|email| client.user_by_email(email))).await).unwrap();

    let id = |found: Option<RemoteUser>| found.map(|user| user.user_id);
    assert_eq!(id(engineer.unwrap()).as_deref(), Some(ENGINEER));
    assert_eq!(id(colleague.unwrap()).as_deref(), Some(COLLEAGUE));
    assert_eq!(nobody.unwrap(), None);
    assert_eq!(rejected.unwrap_err().status(), Some(422));
    assert_eq!(
        look_ups(&world.sandbox),
        5,
        "the batch of four, its halves, and the two addresses of the rejected half"
    );
}

#[tokio::test]
async fn batch_without_rejected_address_is_not_halved() {
    let world = world().without_limits();
    let client = served(&world).await;
    join_all(["eng@example.com", "dana@example.com"].map(|email| client.user_by_email(email))).await;
    assert_eq!(look_ups(&world.sandbox), 1);
}

#[tokio::test]
async fn unreadable_role_leaves_the_others_readable() {
    let world = world().with(|behavior| behavior.create_role_hierarchy = Hierarchy::Off);
    let client = served(&world).await;
    let odd = json!({ "region": { "type": "Equals", "value": { "name": "north" } } });
    let role = altered(reviewer(), "/permission_grants/0", "conditions", odd);
    assert_eq!(world.operator().await.post("/role/", role).await.status, 201);
    let roles = client.roles().await.unwrap();
    let unreadable: Vec<_> = roles.iter().filter(|role| matches!(role.grants, RemoteGrants::Raw { .. })).collect();
    assert_eq!(unreadable.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["message reviewer"]);
    assert!(roles.len() > 3);
}
