//! The result of `can-i`.

use amigo_api::PermissionModel;
use amigo_permissions::{Action, Attributes, Caller, Value, attributes::ORGANIZATION, compile, lint::nearest, names};
use serde::Serialize;

use super::{
    subject::{Subject, UNKNOWN_USER},
    unknown_user::evaluate_unknown_user,
};
use crate::{
    Console, Exit, Failure,
    console::{BAD, GOOD},
    manifests::Reason,
    output::{OutputFormat, render},
    verdict::{PermissionCheck, Verdict, format_attributes, resolve_variables},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `Category:Action`.
    pub name: String,
    /// A warning about an unknown name.
    pub note: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    permission: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    user_id: &'a str,
    org_id: &'a str,
    role_name: &'a str,
    attributes: Attributes,
    #[serde(skip)]
    has_default_org_id: bool,
    #[serde(flatten)]
    verdict: Verdict,
    notes: Vec<String>,
}

pub fn parse_permission(text: &str) -> Result<Permission, Failure> {
    let parts: Vec<_> = text.split(':').collect();
    let suggestion = nearest(text, names::KNOWN).map(|name| format!("did you mean {name}?"));
    if !matches!(&parts[..], [category, action] if !category.is_empty() && !action.is_empty()) {
        let advice = suggestion.unwrap_or_else(|| "for example Conversation:GetMessage".to_owned());
        return Err(Failure::usage(format!("a permission has the form Category:Action, not {text:?}")).advise(advice));
    }
    let note = (!names::is_known(text)).then(|| {
        let advice = suggestion.unwrap_or_else(|| "check the spelling".to_owned());
        format!("no known version of the API has the permission {text}: {advice}")
    });
    Ok(Permission { name: text.to_owned(), note })
}

impl<'a> Report<'a> {
    /// # Errors
    /// When the result depends on the unknown id of the user.
    pub fn new(
        subject: &'a Subject,
        permission: &'a Permission,
        attributes: &[(String, Value)],
    ) -> Result<Self, Failure> {
        let mut given: Attributes = attributes.iter().cloned().collect();
        let has_default_org_id = !given.contains_key(ORGANIZATION);
        given.entry(ORGANIZATION.to_owned()).or_insert_with(|| subject.org_id.as_str().into());
        let deny_limits_temporary = subject.model != Some(PermissionModel::AllowOnly);
        let evaluate = |user_id: &str| {
            let caller = Caller { user_id, ..subject.caller() };
            let attributes = &resolve_variables(given.clone(), caller);
            PermissionCheck { caller, permission: &permission.name, attributes, deny_limits_temporary }
                .evaluate(&subject.role_grants, &subject.temporary_grants)
        };
        let (verdict, unknown_user) = if subject.user_id == UNKNOWN_USER {
            evaluate_unknown_user(subject, &permission.name, &given, &evaluate)?
        } else {
            (evaluate(&subject.user_id), None)
        };
        let caller = subject.caller();
        let attributes = resolve_variables(given, caller);
        let check =
            PermissionCheck { caller, permission: &permission.name, attributes: &attributes, deny_limits_temporary };
        let mut notes = subject.notes.clone();
        notes.extend(permission.note.clone());
        notes.extend(unknown_user);
        notes.extend(deny_note(subject, &check, &verdict));
        notes.extend(namespace_note(subject, deny_limits_temporary, &verdict));
        Ok(Self {
            permission: &permission.name,
            user: subject.label.as_deref(),
            user_id: &subject.user_id,
            org_id: &subject.org_id,
            role_name: &subject.role_name,
            attributes,
            has_default_org_id,
            verdict,
            notes,
        })
    }

    /// Prints the report and returns the exit code.
    pub fn print(&self, format: OutputFormat, console: &mut Console) -> Result<Exit, Failure> {
        for note in &self.notes {
            console.warn(note);
        }
        console.data(&render(self, format, Self::to_text)?)?;
        Ok(if self.verdict.allowed { Exit::Granted } else { Exit::Failed })
    }

    fn to_text(&self) -> String {
        let (style, result) = if self.verdict.allowed { (GOOD, "yes") } else { (BAD, "no") };
        let owner = self.user.map(|user| format!(" of {user}")).unwrap_or_default();
        let role = format!("role {}{owner}", self.role_name);
        let answer = match self.verdict.reason {
            Reason::RoleGrant => format!("{role} allows"),
            Reason::TemporaryGrant => format!("a temporary grant{owner} allows"),
            Reason::DenyGrant => format!("{role} denies"),
            Reason::ConditionFailed | Reason::NoGrant => format!("{role} does not allow"),
        };
        let default = if self.has_default_org_id { " (org_id defaults to the user's organization)" } else { "" };
        let attributes = format_attributes(&self.attributes);
        let explanation = self.verdict.render(&|name| format!("; add --attr {name}=VALUE"));
        format!(
            "{style}{result}{style:#}: {answer} {}\n  attributes: {attributes}{default}\n{explanation}",
            self.permission
        )
    }
}

/// The effect of Deny grants, if the API does not support them or might not.
fn deny_note(subject: &Subject, check: &PermissionCheck<'_>, verdict: &Verdict) -> Option<String> {
    match subject.model {
        Some(PermissionModel::AllowDeny) => None,
        Some(PermissionModel::AllowOnly) => {
            let grants: Vec<_> = subject.role_grants.iter().map(|located| located.grant.clone()).collect();
            let has_deny = || verdict.grants.iter().any(|grant| grant.action == Action::Deny);
            match compile(&grants) {
                Err(error) => Some(format!(
                    "the operator does not send this role, because the organization's API does not support Deny: \
                     {error}; {}",
                    error.advice()
                )),
                Ok(_) => has_deny().then(|| {
                    "the organization's API does not support Deny; the operator sends an equivalent role without it"
                        .to_owned()
                }),
            }
        }
        None => {
            let without = PermissionCheck { deny_limits_temporary: false, ..*check };
            let differs = without.evaluate(&subject.role_grants, &subject.temporary_grants).allowed != verdict.allowed;
            differs.then(|| {
                "if the organization's API does not support Deny, this is allowed, because a Deny of the role does not \
                 limit temporary grants"
                    .to_owned()
            })
        }
    }
}

/// Temporary grants of any namespace give access at Amigo.
fn namespace_note(subject: &Subject, deny_limits_temporary: bool, verdict: &Verdict) -> Option<String> {
    let is_final = verdict.allowed || (deny_limits_temporary && verdict.reason == Reason::DenyGrant);
    (subject.has_unread_grants && !is_final)
        .then(|| "this check ignores temporary grants of other namespaces; choose a namespace with -n".to_owned())
}
