//! How long one permission check takes in a role of fifty grants. `make bench` prints it and holds it to the budget.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and stops at what cannot be")]

use std::time::Duration;

use amigo_permissions::{Action, Attributes, Caller, Condition, Decision, PermissionGrant, Value, evaluate, names};
use amigo_runtime::clock::SystemClock;
use divan::{AllocProfiler, Bencher, black_box};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The longest that one check may take.
const BUDGET: Duration = Duration::from_micros(2);

const GRANTS: usize = 50;
const CASES: [Case; 6] = [Case::First, Case::Last, Case::OneOfMany, Case::Denied, Case::ConditionsFail, Case::NoGrant];

/// Where in the role the answer lies.
#[derive(Clone, Copy, Debug)]
enum Case {
    /// The first grant allows.
    First,
    /// The last grant allows.
    Last,
    /// All grants are of the permission, and the last one allows.
    OneOfMany,
    /// A Deny at the end takes what the first grant allows.
    Denied,
    /// All grants are of the permission, and of each a condition fails.
    ConditionsFail,
    /// No grant is of the permission.
    NoGrant,
}

struct Check {
    role: Vec<PermissionGrant>,
    permission_name: &'static str,
    attributes: Attributes,
}

impl Check {
    fn new(case: Case) -> Self {
        let own = || allow(READ, "{self}");
        let mut role: Vec<_> = match case {
            Case::OneOfMany | Case::ConditionsFail => {
                (0..GRANTS).map(|index| allow(READ, &format!("u{index}"))).collect()
            }
            _ => names::KNOWN
                .iter()
                .filter(|name| **name != READ)
                .take(GRANTS)
                .map(|name| allow(name, "{self}"))
                .collect(),
        };
        match case {
            Case::First | Case::Denied => role[0] = own(),
            Case::Last | Case::OneOfMany => role[GRANTS - 1] = own(),
            Case::ConditionsFail | Case::NoGrant => {}
        }
        if matches!(case, Case::Denied) {
            role[GRANTS - 1] = PermissionGrant { action: Action::Deny, ..own() };
        }
        let attributes = [
            ("org_id", Value::from("acme")),
            ("conversation_user_id", Value::from("user-eng-2c91")),
            ("conversation_visible_to_admin", Value::from(true)),
        ];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { role, permission_name: READ, attributes }
    }

    fn run(&self) -> Decision {
        let caller = Caller { user_id: "user-eng-2c91", org_id: "acme", role_name: "engineer" };
        evaluate(black_box(&self.role), &[], caller, black_box(self.permission_name), black_box(&self.attributes))
    }
}

const READ: &str = "Conversation:GetMessage";

fn allow(permission_name: &str, owner: &str) -> PermissionGrant {
    let equals = |value: &str| Condition::Equals { value: value.into() };
    let conditions = [("org_id", equals("{self_org_id}")), ("conversation_user_id", equals(owner))];
    let conditions = conditions.into_iter().map(|(name, condition)| (name.to_owned(), condition)).collect();
    PermissionGrant { action: Action::Allow, permission_name: permission_name.to_owned(), conditions }
}

#[divan::bench(args = CASES)]
fn fifty_grants(bencher: Bencher<'_, '_>, case: Case) {
    let check = Check::new(case);
    bencher.bench(|| check.run());
}

/// The best mean of several rounds: what else the machine does must not count.
fn measure(case: Case) -> Duration {
    const CALLS: u32 = 20_000;
    let (check, clock) = (Check::new(case), SystemClock::shared());
    let round = |_| {
        let began = clock.boot();
        for _ in 0..CALLS {
            black_box(check.run());
        }
        clock.boot().saturating_sub(began) / CALLS
    };
    (0..10).map(round).min().unwrap()
}

fn main() {
    divan::main();
    for case in CASES {
        let took = measure(case);
        println!("{case:?}: {took:?} (budget {BUDGET:?})");
        assert!(took <= BUDGET, "{case:?} is over budget");
    }
}
