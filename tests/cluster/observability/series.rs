//! The series of a running operator.

use test_support::{TestEnv, operator::operator};

/// The value of a series that begins like this, if it is shown.
async fn value(series: &str) -> Option<f64> {
    let page = operator().await.metrics.encode().expect("metrics");
    page.lines().find_map(|line| line.strip_prefix(series)?.split(' ').next_back()?.parse().ok())
}

async fn until(env: &TestEnv, series: &str, value_is: f64) {
    let metrics = operator().await.metrics.clone();
    let is = |page: String| {
        page.lines().any(|line| {
            let value = line.strip_prefix(series).and_then(|rest| rest.split(' ').next_back()?.parse::<f64>().ok());
            value.is_some_and(|value| (value - value_is).abs() < f64::EPSILON)
        })
    };
    env.until(&format!("{series} is {value_is}"), || is(metrics.encode().expect("metrics")).then_some(())).await;
}

#[tokio::test]
async fn an_organization_is_counted_while_it_is_there() {
    let env = TestEnv::ready("counted").await;
    let of = |metric: &str| format!("amigo_operator_{metric}{{organization=\"{}\"", env.organization);
    until(&env, &of("organization_ready"), 1.0).await;
    until(&env, &of("grants"), 0.0).await;
    let (swept, key) = (of("last_sweep_timestamp_seconds"), of("api_key_expiry_timestamp_seconds"));
    assert!(value(&swept).await > Some(1e9) && value(&key).await > value(&swept).await);
    assert!(value(&of("api_key_creation_timestamp_seconds")).await > Some(1e9));
    assert!(value(&of("rate_limit_used_requests")).await.is_some());
    env.delete("amorg", &env.organization).await;
    let metrics = operator().await.metrics.clone();
    let forgotten = || !metrics.encode().unwrap().contains(&format!("\"{}\"", env.organization));
    env.until("no series of the Organization is left", || forgotten().then_some(())).await;
}

#[tokio::test]
async fn requests_are_counted_by_what_they_say() {
    let env = TestEnv::ready("requests").await;
    let of = |ready: &str, reason: &str| {
        let (kind, name) = ("TemporaryPermissionGrant", &env.organization);
        format!(
            "amigo_operator_objects{{kind=\"{kind}\",organization=\"{name}\",ready=\"{ready}\",reason=\"{reason}\"}}"
        )
    };
    let request = |name: &str, user: &str| {
        format!(
            "apiVersion: permissions.amigo.ai/v1alpha1\nkind: TemporaryPermissionGrant\nmetadata: {{name: {name}}}\nspec:\n  \
             organizationRef: {{name: ORGANIZATION}}\n  user: {{{user}}}\n  duration: PT10M\n  \
             justification: a test asks for it\n  permissions: [{{permissionName: \"Conversation:GetMessage\", \
             conditions: {{org_id: {{type: Equals, value: acme}}}}}}]\n"
        )
    };
    env.apply(&request("served", "userId: user-eng-2c91")).await;
    env.apply(&request("nobody", "email: nobody@example.com")).await;
    until(&env, &of("True", "Active"), 1.0).await;
    until(&env, &of("False", "UserNotFound"), 1.0).await;
    let waiting =
        format!("amigo_operator_oldest_waiting_grant_timestamp_seconds{{organization=\"{}\"", env.organization);
    assert_eq!(value(&waiting).await, None, "what needs somebody's help does not wait for the operator");
}

#[tokio::test]
async fn an_organization_with_a_wrong_key_says_why() {
    let env = TestEnv::with_operator("wrong-key").await;
    env.apply(&env.secret("not-the-key")).await;
    env.apply(&env.organization_at(env.amigo_url(), "")).await;
    let labels = format!("kind=\"Organization\",organization=\"{}\",ready=\"False\"", env.organization);
    until(&env, &format!("amigo_operator_objects{{{labels},reason=\"CredentialsRejected\"}}"), 1.0).await;
    until(&env, &format!("amigo_operator_organization_ready{{organization=\"{}\"}}", env.organization), 0.0).await;
    assert!(
        value("amigo_operator_api_requests_total{operation=\"sign_in\",outcome=\"unauthorized\",status=\"401\"}").await
            > Some(0.0)
    );
}
