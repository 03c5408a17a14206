//! The chapters of the story. Each stands on those before.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::{Value, json};
use test_support::repository;
use test_support::{Run, eventually};
use tokio::time::Instant;

use super::cluster::Cluster;
use super::release::{NAMESPACE, Previous, RELEASE, left_behind, upgrade, upgrade_to_this};
use super::running::Running;
use super::users::{COLLEAGUE, EDITOR, LEAD, REQUESTER, TEAM, VIEWER, apply_as, kubectl_as, leave, let_in};

// A fresh operator starts with a quarter of every rate limit, and images may have to be pulled.
const WITHIN: Duration = Duration::from_mins(5);
const CONVERSATION: &str = "abc123def456abc123def456";
// Older CRDs have no short name for it, and RBAC has roles, too.
const ROLES: &str = "roles.permissions.amigo.ai";
const LATER: &str = "roles.permissions.amigo.ai/later";
// The one request that is renewed while the story goes on.
const RENEWED: &str = "long-investigation";

/// The installation, and what was told of it so far.
pub struct Story {
    cluster: Cluster,
    running: Running,
    began: Instant,
}

impl Story {
    /// Installs the version before this one.
    pub async fn begin() -> Self {
        let cluster = Cluster::find().await;
        let mut running = Running::prepare(&cluster);
        let previous = Previous::find();
        upgrade(&cluster, &previous.chart, running.sandbox_url().as_deref());
        running.start(&cluster).await;
        let story = Self { cluster, running, began: Instant::now() };
        story.tell(&format!("installed: {}", previous.what));
        story.until("organization/acme", "Ready", "True").await;
        let_in(&story.cluster);
        story.cluster.until_requests_are_judged().await;
        story.tell("the Organization is Ready, the team has its roles");
        story
    }

    /// Every example of a role and an assignment, by the role editor.
    pub async fn roles_are_kept_as_their_editor_writes_them(&mut self) {
        let files = ["role-conversation-reviewer", "role-content-moderator", "role-viewer", "role-assignment"];
        for file in files {
            self.apply(EDITOR, &example(file)).expect(file);
        }
        for role in ["conversation-reviewer", "content-moderator", "viewer"] {
            self.until(&format!("{ROLES}/{role}"), "Ready", "True").await;
        }
        self.until("roleassignment/colleague", "Ready", "True").await;
        assert_eq!(self.committed("RoleCreated").await, 3);
        assert_eq!(self.committed("RoleAssigned").await, 1);
        let described = r#"{"spec":{"description":"Reviews what administrators may see, since the upgrade as well"}}"#;
        let patch = ["patch", ROLES, "conversation-reviewer", "--type=merge", "--patch", described];
        self.kubectl(EDITOR, &patch).expect("a changed description");
        self.until_committed("RoleModified", 1).await;
        self.tell("three roles and an assignment are at Amigo, a change followed");
    }

    /// The plugin's request, the examples' requests, and a short one whose end a later chapter looks at.
    pub async fn a_requester_gets_access_and_only_what_is_asked_for(&mut self) {
        self.apply(REQUESTER, &short_request()).expect("a short request");
        self.until("tpg/short", "Ready", "True").await;
        let asked = self.ask("Debugging reported issue #42").expect("access");
        assert!(asked.contains("Conversation:GetInteractionInsights"), "{asked}");
        // The second names a user by id, which could be anybody.
        for (file, person) in
            [("grant-conversation", REQUESTER), ("grant-permissions", LEAD), ("grant-revocable", REQUESTER)]
        {
            self.apply(person, &asked_by(&example(file), person)).expect(file);
        }
        for name in ["conversation-abc123", "two-owners", RENEWED] {
            self.until(&format!("tpg/{name}"), "Ready", "True").await;
        }
        assert_eq!(self.issued().await.len(), 1 + 3 + 3 + 2 + 3, "short, the plugin's, and the examples'");
        self.nothing_twice().await;
        let asked = |person: &str| {
            self.objects("tpg").iter().filter(|request| request["spec"]["requestedBy"] == person).count()
        };
        assert_eq!((asked(REQUESTER), asked(LEAD)), (4, 1), "who asked is who applied");
        self.tell("five requests are Active, each permission issued once");
    }

    /// What RBAC and the admission policies refuse.
    pub fn nobody_goes_beyond_their_part(&mut self) {
        let refused = |run: Run, message: &str| {
            assert!(!run.success && run.stderr.contains(message), "{message:?} is missing: {run:?}");
        };
        for (person, manifest) in
            [(VIEWER, example("role-viewer")), (REQUESTER, example("role-viewer")), (EDITOR, short_request())]
        {
            refused(self.apply(person, &manifest.replace("name: viewer", "name: other")), "orbidden");
        }
        refused(self.apply(REQUESTER, &asked_by(&for_user(COLLEAGUE), REQUESTER)), "request-for-others");
        refused(self.apply(REQUESTER, &asked_by(&for_user(REQUESTER), COLLEAGUE)), "spec.requestedBy");
        refused(self.apply(EDITOR, &default_role()), "Default");
        let status = [
            "patch",
            "tpg",
            "short",
            "--namespace",
            TEAM,
            "--subresource=status",
            "--type=merge",
            "--patch",
            r#"{"status":{"phase":"Failed"}}"#,
        ];
        // Even to the administrator, whom RBAC lets do everything.
        refused(
            self.cluster.kubectl(&status),
            "only the operator (system:serviceaccount:amigo-system:amigo-operator) can write status",
        );
        self.kubectl(VIEWER, &["get", "tpg,amra"]).expect("a viewer sees all");
        refused(self.kubectl(VIEWER, &["get", "secrets"]), "orbidden");
        self.tell("RBAC and admission refuse what is nobody's part");
    }

    /// Events, metrics, and what kubectl says.
    pub async fn history_is_visible(&mut self) {
        let described = self.kubectl(VIEWER, &["describe", "tpg", "conversation-abc123"]).expect("a description");
        assert!(described.contains("Conversation:GetMessage") && described.contains("Phase:"), "{described}");
        let events = ["get", "events", "--namespace", TEAM, "--output=json"];
        eventually(WITHIN, "an Event says that access is live", || async {
            let list = self.cluster.kubectl(&events).stdout;
            (list.contains("\"reason\": \"Active\"") && list.contains("conversation-abc123")).then_some(())
        })
        .await;
        let page = self.running.metrics(&self.cluster).await;
        for series in [
            "\namigo_operator_leader 1\n",
            "amigo_operator_organization_ready{organization=\"acme\"} 1",
            "amigo_operator_api_requests_total{operation=\"create_grant\",outcome=\"ok\",status=\"201\"} 12",
        ] {
            assert!(page.contains(series), "no {series} in\n{page}");
        }
        let organization = self.cluster.kubectl(&["get", "amigo", "--all-namespaces"]).expect("all four kinds");
        assert!(organization.contains("acme"), "{organization}");
        self.tell("Events, metrics and kubectl tell the state");
    }

    /// A dead leader costs a lease, not a grant.
    pub async fn another_replica_takes_over_from_a_dead_leader(&mut self) {
        let before = self.issued_once().await;
        self.running.kill_leader(&self.cluster).await;
        let asked = self.ask("Following up after the failover").expect("access");
        assert!(asked.contains("Conversation:GetMessage"), "{asked}");
        assert_eq!(self.issued_once().await, before + 3, "the new request and nothing else");
        self.nothing_twice().await;
        self.tell("the leader was killed, another one serves");
    }

    /// From the version before to this one.
    pub async fn an_upgrade_changes_nothing_that_stands(&mut self) {
        let (issued, before) = (self.issued_once().await, self.statuses());
        let changed = [self.committed("RoleModified").await, self.committed("RoleAssigned").await];
        upgrade_to_this(&self.cluster, self.running.sandbox_url().as_deref());
        self.running.start(&self.cluster).await;
        self.until("organization/acme", "Ready", "True").await;
        let shown =
            self.kubectl(VIEWER, &["get", "amrole", "--output=name"]).expect("the new CRDs have the short name");
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert_eq!(self.statuses(), before, "what stood is as it was");
        assert_eq!(self.issued_once().await, issued, "nothing was issued again");
        let now = [self.committed("RoleModified").await, self.committed("RoleAssigned").await];
        assert_eq!(now, changed, "no role was sent again");
        self.tell("upgraded to this version; nothing was issued or sent again");
    }

    /// The connection's own life.
    pub async fn an_organization_can_be_suspended_and_its_key_replaced(&mut self) {
        self.key("not-the-key");
        self.until("organization/acme", "CredentialsValid", "False").await;
        self.key("sandbox-api-key");
        self.until("organization/acme", "Ready", "True").await;
        self.suspend(true);
        self.apply(EDITOR, &example("role-viewer").replace("name: viewer", "name: later")).expect("a role");
        self.until(LATER, "Ready", "False").await;
        self.suspend(false);
        self.until(LATER, "Ready", "True").await;
        self.tell("a wrong key was noticed and replaced, a suspension held and ended");
    }

    /// Deletions: a warning where access goes on, the fallback role, an emptied role.
    pub async fn deletion_follows_each_policy(&mut self) {
        let deleted = self.kubectl(REQUESTER, &["delete", "tpg", "two-owners"]);
        assert!(deleted.success && deleted.stderr.contains("Warning: "), "{deleted:?}");
        self.until_status("organization/acme", "{.status.grants.orphaned}", "2").await;
        let assigned = self.committed("RoleAssigned").await;
        self.kubectl(EDITOR, &["delete", "roleassignment", "colleague"]).expect("a deletion");
        self.until_committed("RoleAssigned", assigned + 1).await;
        let modified = self.committed("RoleModified").await;
        self.kubectl(EDITOR, &["delete", ROLES, "conversation-reviewer"]).expect("a deletion");
        self.until_committed("RoleModified", modified + 1).await;
        let journal = self.running.journal(&self.cluster).await;
        let [assignment, role] = ["RoleAssigned", "RoleModified"].map(|change| {
            journal.iter().rev().find(|commit| commit["change"]["type"] == change).expect("a commit")["change"].clone()
        });
        assert_eq!(assignment["role_name"], "Engineer");
        assert_eq!((&role["role_name"], &role["permission_grants"]), (&json!("conversation_reviewer"), &json!([])));
        self.tell("deletions warned, fell back and emptied as their objects said");
    }

    /// A namespace with every kind in it, where something deletes what is in a namespace.
    pub async fn a_namespace_goes_with_everything_in_it(&mut self) {
        if !self.cluster.has_nodes {
            return;
        }
        let doomed = "doomed-team";
        self.cluster.kubectl(&["create", "namespace", doomed]).expect("a namespace");
        let files = ["role-content-moderator", "role-assignment", "grant-permissions"];
        let objects: Vec<_> = files.iter().map(|file| example(file)).collect();
        let manifest = objects.join("\n---\n").replace(&format!("namespace: {TEAM}"), &format!("namespace: {doomed}"));
        let allowed = json!({"spec": {"allowedNamespaces": [TEAM, doomed]}}).to_string();
        let patch = ["patch", "organization", "acme", "--type=merge", "--patch", &allowed];
        self.cluster.kubectl(&patch).expect("an allowed namespace");
        self.cluster.kubectl_with(&["apply", "--filename=-"], &manifest).expect("every kind");
        self.cluster.kubectl(&["delete", "namespace", doomed, "--wait=false"]).expect("a deletion");
        eventually(WITHIN, "the namespace is gone", || async {
            (!self.cluster.kubectl(&["get", "namespace", doomed]).success).then_some(())
        })
        .await;
        self.tell("a namespace went with every kind in it");
    }

    /// The short request's time was over long ago.
    pub async fn expired_requests_are_gone(&mut self) {
        let gone =
            || async { (!self.cluster.kubectl(&["get", "tpg", "short", "--namespace", TEAM]).success).then_some(()) };
        eventually(WITHIN, "the short request is gone", gone).await;
        let live = self.running.live(&self.cluster).await;
        assert!(live.iter().all(|grant| grant["tags"]["k8s_name"] != "short"), "{live:#?}");
        self.tell("the short request ended and its object is gone");
    }

    /// No rule is missing in the chart.
    pub fn the_operator_was_refused_nothing(&mut self) {
        if let Some(audited) = self.cluster.audited() {
            let refused: Vec<_> = audited.iter().filter(|line| line["responseStatus"]["code"] == 403).collect();
            assert!(refused.is_empty(), "refused to the operator: {refused:#?}");
            assert!(audited.len() > 50, "the operator's requests are in the audit log: {}", audited.len());
        }
        let logs = self.running.logs(&self.cluster);
        assert!(logs.contains("this replica is the leader"), "{logs}");
        assert!(!logs.to_lowercase().contains("forbidden"), "{logs}");
        assert!(!logs.contains("sandbox-api-key") && !logs.contains("not-the-key"), "a key is in a log");
        self.tell("the API server refused nothing to the operator");
    }

    /// The end: objects and kinds stay until somebody wants them gone.
    pub async fn uninstalling_leaves_what_people_made(&mut self) {
        self.cluster.helm(&["uninstall", RELEASE, "--namespace", NAMESPACE]);
        self.running.stop();
        eventually(WITHIN, "nothing of the release is left", || async {
            left_behind(&self.cluster).is_empty().then_some(())
        })
        .await;
        assert_eq!(self.objects(ROLES).len(), 3);
        assert!(!self.objects("tpg").is_empty());
        for kind in ["tpg", "amra", "amrole"] {
            self.cluster.kubectl(&["delete", kind, "--all", "--namespace", TEAM]).expect("what people made");
        }
        for kind in ["organizations", "roles", "roleassignments", "temporarypermissiongrants"] {
            let definition = format!("{kind}.permissions.amigo.ai");
            self.cluster.kubectl(&["delete", "customresourcedefinition", &definition]).expect("a definition");
        }
        leave(&self.cluster);
        self.cluster.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]).expect("the namespace goes");
        self.tell("uninstalled; what people made stayed until it was deleted");
    }

    /// A line for whoever watches.
    #[expect(clippy::print_stdout, reason = "the suite's own account of how far it is")]
    fn tell(&self, what: &str) {
        println!("{:>5} s  {what}", self.began.elapsed().as_secs());
    }

    fn kubectl(&self, person: &str, arguments: &[&str]) -> Run {
        kubectl_as(&self.cluster, person, arguments, "")
    }

    fn apply(&self, person: &str, manifests: &str) -> Run {
        apply_as(&self.cluster, person, manifests)
    }

    /// Asks for a conversation with the plugin, as the requester.
    fn ask(&self, why: &str) -> Run {
        let ask = ["amigo", "conversation", "request-access", CONVERSATION, "-e", "acme", "-j", why, "--timeout=5m"];
        self.kubectl(REQUESTER, &ask)
    }

    fn objects(&self, kind: &str) -> Vec<Value> {
        let list = self.cluster.kubectl(&["get", kind, "--namespace", TEAM, "--output=json"]).expect(kind);
        let list: Value = serde_json::from_str(&list).expect("a list");
        list["items"].as_array().expect("items").clone()
    }

    /// Names and statuses of what an upgrade finds and what is not to change by itself.
    fn statuses(&self) -> Vec<(Value, Value)> {
        let of = |object: &Value| (object["metadata"]["name"].clone(), object["status"].clone());
        let requests: Vec<_> =
            self.objects("tpg").iter().map(of).filter(|(name, _)| name != "short" && name != RENEWED).collect();
        let roles = self.objects(ROLES).iter().map(of).collect();
        [requests, roles].concat()
    }

    async fn until(&self, object: &str, condition: &str, is: &str) {
        let path = format!(r#"{{.status.conditions[?(@.type=="{condition}")].status}}"#);
        self.until_status(object, &path, is).await;
    }

    async fn until_status(&self, object: &str, path: &str, is: &str) {
        let output = format!("--output=jsonpath={path}");
        let get = ["get", object, "--namespace", TEAM, &output];
        eventually(WITHIN, &format!("{path} of {object} is {is}"), || async {
            (self.cluster.kubectl(&get).stdout == is).then_some(())
        })
        .await;
    }

    /// How many changes of a type the sandbox committed.
    async fn committed(&self, change: &str) -> usize {
        let journal = self.running.journal(&self.cluster).await;
        journal.iter().filter(|commit| commit["change"]["type"] == change).count()
    }

    async fn until_committed(&self, change: &str, count: usize) {
        eventually(WITHIN, &format!("{count} changes are {change}"), || async {
            (self.committed(change).await >= count).then_some(())
        })
        .await;
    }

    /// Every grant the sandbox ever issued.
    async fn issued(&self) -> Vec<Value> {
        let journal = self.running.journal(&self.cluster).await;
        let changes = journal.iter().map(|commit| commit["change"].clone());
        changes.filter(|change| change["type"] == "GrantCreated").collect()
    }

    /// How many of them are not renewed again and again.
    async fn issued_once(&self) -> usize {
        let renewed = RENEWED.replace('-', "_");
        self.issued().await.iter().filter(|grant| grant["tags"]["k8s_name"] != renewed).count()
    }

    /// No permission of an object was issued twice.
    async fn nothing_twice(&self) {
        let issued = self.issued().await;
        let slots: Vec<String> =
            issued.iter().map(|grant| format!("{} {}", grant["tags"]["uid"], grant["tags"]["slot"])).collect();
        let once: BTreeSet<&String> = slots.iter().collect();
        assert_eq!(once.len(), slots.len(), "issued twice: {slots:#?}");
    }

    /// Puts an API key into the Organization's Secret.
    fn key(&self, key: &str) {
        let patch = json!({"stringData": {"apiKey": key}}).to_string();
        let arguments = ["patch", "secret", "acme", "--namespace", NAMESPACE, "--type=merge", "--patch", &patch];
        self.cluster.kubectl(&arguments).expect("another key");
    }

    fn suspend(&self, suspended: bool) {
        let patch = json!({"spec": {"suspend": suspended}}).to_string();
        self.cluster.kubectl(&["patch", "organization", "acme", "--type=merge", "--patch", &patch]).expect("a switch");
    }
}

/// An example, for the team's namespace.
fn example(file: &str) -> String {
    let path = repository("examples").join(format!("{file}.yaml"));
    let text = fs::read_to_string(&path).expect("an example");
    text.replace("namespace: default", &format!("namespace: {TEAM}"))
}

/// The same request, saying who asks: an API server without mutating policies fills in nothing.
fn asked_by(manifest: &str, person: &str) -> String {
    manifest.replace("\nspec:\n", &format!("\nspec:\n  requestedBy: {person}\n"))
}

fn short_request() -> String {
    let request = asked_by(&for_user(REQUESTER), REQUESTER);
    request.replace("name: other", "name: short").replace("PT1H", "PT1M")
}

fn for_user(email: &str) -> String {
    format!(
        "apiVersion: permissions.amigo.ai/v1alpha1\nkind: TemporaryPermissionGrant\nmetadata: {{name: other}}\nspec:\n  \
         organizationRef: {{name: acme}}\n  user: {{email: {email}}}\n  duration: PT1H\n  \
         justification: the end to end suite asks for it\n  permissions:\n  - permissionName: Conversation:GetMessage\n    \
         conditions: {{org_id: {{type: Equals, value: acme}}}}\n"
    )
}

fn default_role() -> String {
    example("role-viewer")
        .replace("name: viewer", "name: defaults\n")
        .replace("spec:\n", "spec:\n  roleName: DefaultUserRole\n")
}
