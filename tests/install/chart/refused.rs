//! Values that make no sense, and what helm says of them.

use test_support::Run;
use test_support::helm::{chart, helm, values};

fn template(flags: &[&str]) -> Run {
    let chart = chart().display().to_string();
    helm(&[&["template", "amigo-operator", &chart], flags].concat())
}

fn assert_refused(flags: &[&str], message: &str) {
    let run = template(flags);
    assert!(!run.success, "{flags:?} were taken");
    assert!(run.stderr.contains(message), "{flags:?}: {}", run.stderr);
}

#[test]
fn a_budget_for_no_replica_is_refused() {
    assert_refused(
        &["--set=replicas=0"],
        "at '/podDisruptionBudget/enabled': value must be 'false when replicas is 0'",
    );
    template(&["--set=replicas=0,podDisruptionBudget.enabled=false"]).expect("no replica and no budget");
}

#[test]
fn an_empty_list_of_hosts_is_refused() {
    assert_refused(
        &["--set-json=api.allowedHosts=[]"],
        "at '/api/allowedHosts': value must be 'at least one host, such as [api.amigo.ai]'",
    );
}

#[test]
fn a_host_with_a_path_is_refused() {
    for host in ["api.amigo.ai:443", ":", "api.amigo.ai/v1", "ftp://api.amigo.ai", "http://127.0.0.1:8090/v1"] {
        assert_refused(
            &[&format!("--set=api.allowedHosts={{{host}}}")],
            "value must be 'a host name such as api.amigo.ai, or http://HOST or http://HOST:PORT for a host without TLS'",
        );
    }
    template(&["--set=api.allowedHosts={127.0.0.1,fd00::1,http://127.0.0.1:8090,https://[fd00::1]:8443}"])
        .expect("hosts");
}

#[test]
fn values_with_a_default_cannot_be_null() {
    for (name, at) in [("api.allowedHosts", "/api"), ("sweepInterval", ""), ("networkPolicy.from", "/networkPolicy")] {
        let property = name.rsplit('.').next().unwrap();
        assert_refused(&[&format!("--set={name}=null")], &format!("at '{at}': missing property '{property}'"));
    }
    template(&["--set=resources=null,podSecurityContext=null,nodeSelector=null"]).expect("what a cluster may not want");
}

#[test]
fn empty_network_policy_list_is_refused() {
    for name in ["from", "dns.to", "dns.ports", "apiServer.cidrs", "apiServer.ports", "amigo.cidrs", "amigo.ports"] {
        let message = "value must be 'a non-empty list, because an empty list allows all traffic'";
        assert_refused(&[&format!("--set-json=networkPolicy.{name}=[]")], message);
    }
}

#[test]
fn bad_durations_are_refused() {
    for name in ["sweepInterval", "api.callDeadline", "leaderElection.leaseDuration", "test.within"] {
        let path = name.replace('.', "/");
        let message = format!("at '/{path}': value must be 'a duration such as 500ms, 90s, 10m or 1h30m'");
        for senseless in ["soon", "0s", "30m1h", "1m1m", "10"] {
            assert_refused(&[&format!("--set-string={name}={senseless}")], &message);
        }
        template(&[&format!("--set={name}=1h30m")]).expect("a duration");
        // The words of the message are no way out.
        assert_refused(
            &[&format!("--set={name}=a duration such as 500ms\\, 90s\\, 10m or 1h30m")],
            &format!("at '/{path}'"),
        );
    }
    for name in ["grants.maxDuration", "roles.resyncInterval"] {
        assert_refused(&[&format!("--set=organizations.acme.{name}=2h")], "such as PT30M, P1D or P1DT12H");
    }
}

#[test]
fn unknown_names_are_refused() {
    for (flag, message) in [
        ("--set=replicaCount=2", "additional properties 'replicaCount' not allowed"),
        ("--set=networkPolicy.enable=false", "additional properties 'enable' not allowed"),
        ("--set=organizations.acme.allowedNamespace=x", "additional properties 'allowedNamespace' not allowed"),
    ] {
        assert_refused(&[flag], message);
    }
}

#[test]
fn a_monitor_without_a_service_is_refused() {
    assert_refused(
        &["--set=serviceMonitor.enabled=true,metrics.service.enabled=false"],
        "serviceMonitor.enabled requires metrics.service.enabled",
    );
}

#[test]
fn organization_named_as_the_sandbox_is_refused() {
    assert_refused(
        &["--set=sandbox.enabled=true", "--values", &values("organizations")],
        "organizations.acme conflicts with the sandbox's Organization of the same name",
    );
}
