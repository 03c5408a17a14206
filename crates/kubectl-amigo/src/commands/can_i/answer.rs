//! The answer, for people and for programs.

use amigo_api::PermissionModel;
use amigo_permissions::{Action, Attributes, Caller, Value, attributes::ORGANIZATION, compile, lint::nearest, names};
use serde::Serialize;

use super::{
    subject::{Subject, UNKNOWN_USER},
    whoever::whoever,
};
use crate::{
    Console, Exit, Failure,
    console::{BAD, GOOD},
    output::{OutputFormat, render},
    verdict::{Question, Reason, Verdict, quoted, resolved},
};

/// The permission asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `Category:Action`.
    pub name: String,
    /// What is odd about it.
    pub note: Option<String>,
}

/// One check and its outcome.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a> {
    permission: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    user_id: &'a str,
    org_id: &'a str,
    role_name: &'a str,
    attributes: Attributes,
    /// The user did not say it.
    #[serde(skip)]
    org_id_is_default: bool,
    #[serde(flatten)]
    verdict: Verdict,
    notes: Vec<String>,
}

/// Reads the name of a permission.
///
/// # Errors
/// When it has not the form of one.
pub fn permission(text: &str) -> Result<Permission, Failure> {
    let parts: Vec<_> = text.split(':').collect();
    let meant = nearest(text, names::KNOWN);
    let mean = |name: &str| format!("did you mean {name}?");
    if !matches!(&parts[..], [category, action] if !category.is_empty() && !action.is_empty()) {
        let advice = meant.map_or_else(|| "such as Conversation:GetMessage".to_owned(), mean);
        return Err(Failure::usage(format!("a permission is Category:Action, not {text:?}")).advise(advice));
    }
    let unknown = || {
        let advice = meant.map_or_else(|| "check the spelling".to_owned(), mean);
        format!("{text} is in no known version of the API: {advice}")
    };
    let note = (!names::is_known(text)).then(unknown);
    Ok(Permission { name: text.to_owned(), note })
}

impl<'a> Answer<'a> {
    /// Checks.
    ///
    /// # Errors
    /// When it depends on the user's id, which is not known.
    pub fn new(subject: &'a Subject, permission: &'a Permission, given: &[(String, Value)]) -> Result<Self, Failure> {
        let mut asked: Attributes = given.iter().cloned().collect();
        let org_id_is_default = !asked.contains_key(ORGANIZATION);
        asked.entry(ORGANIZATION.to_owned()).or_insert_with(|| subject.org_id.as_str().into());
        let deny_bars_temporary = subject.model != Some(PermissionModel::AllowOnly);
        let answer = |user_id: &str| {
            let caller = Caller { user_id, ..subject.caller() };
            let attributes = &resolved(asked.clone(), caller);
            let question = Question { caller, permission: &permission.name, attributes, deny_bars_temporary };
            question.answer(&subject.role, &subject.temporary)
        };
        let (verdict, unknown) = if subject.user_id == UNKNOWN_USER {
            whoever((subject, &permission.name, &asked), &answer)?
        } else {
            (answer(&subject.user_id), None)
        };
        let caller = subject.caller();
        let attributes = resolved(asked, caller);
        let question = Question { caller, permission: &permission.name, attributes: &attributes, deny_bars_temporary };
        let mut notes = subject.notes.clone();
        notes.extend(permission.note.clone());
        notes.extend(unknown);
        notes.extend(about_deny(subject, &question, &verdict));
        notes.extend(about_elsewhere(subject, deny_bars_temporary, &verdict));
        Ok(Self {
            permission: &permission.name,
            user: subject.label.as_deref(),
            user_id: &subject.user_id,
            org_id: &subject.org_id,
            role_name: &subject.role_name,
            attributes,
            org_id_is_default,
            verdict,
            notes,
        })
    }

    /// Prints it, and says how the command ends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self, output: OutputFormat, console: &mut Console) -> Result<Exit, Failure> {
        for note in &self.notes {
            console.warn(note);
        }
        console.data(&render(self, output, Self::told)?)?;
        Ok(if self.verdict.allowed { Exit::Granted } else { Exit::Failed })
    }

    fn told(&self) -> String {
        let (style, word, may) =
            if self.verdict.allowed { (GOOD, "allowed", "may") } else { (BAD, "denied", "may not") };
        let who = match self.user {
            Some(user) => format!("{user} with role {}", self.role_name),
            None => format!("a user with role {}", self.role_name),
        };
        let default = if self.org_id_is_default { " (org_id is the user's own unless given)" } else { "" };
        let asked = quoted(&self.attributes);
        let story = self.verdict.told(&|name| format!(": add --attr {name}=..."));
        format!("{style}{word}{style:#}: {who} {may} {}\n  asked about {asked}{default}\n{story}", self.permission)
    }
}

/// What becomes of Deny grants, where it matters.
fn about_deny(subject: &Subject, question: &Question<'_>, verdict: &Verdict) -> Option<String> {
    let denies = verdict.grants.iter().any(|line| line.action == Action::Deny);
    match subject.model {
        Some(PermissionModel::AllowDeny) => None,
        Some(PermissionModel::AllowOnly) => {
            let grants: Vec<_> = subject.role.iter().map(|source| source.grant.clone()).collect();
            match compile(&grants) {
                Err(none) => Some(format!(
                    "the operator does not send the role as it is, for the organization's API knows no Deny: {none}; {}",
                    none.advice()
                )),
                Ok(_) => denies.then(|| {
                    "the organization's API knows no Deny: the operator sends the role without, compiled to mean the same"
                        .to_owned()
                }),
            }
        }
        None => {
            let otherwise = Question { deny_bars_temporary: false, ..*question };
            let differs = otherwise.answer(&subject.role, &subject.temporary).allowed != verdict.allowed;
            differs.then(|| {
                "an organization whose API knows no Deny would allow this: there a Deny of the role takes nothing from temporary grants"
                    .to_owned()
            })
        }
    }
}

/// Access counts at Amigo in whatever namespace it was asked for.
fn about_elsewhere(subject: &Subject, deny_bars_temporary: bool, verdict: &Verdict) -> Option<String> {
    let is_final = verdict.allowed || (deny_bars_temporary && verdict.reason == Reason::DenyGrant);
    (subject.elsewhere && !is_final)
        .then(|| "temporary grants of other namespaces were not looked at: name theirs with -n".to_owned())
}
