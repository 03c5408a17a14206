//! Roles: list, create, modify, assign.

use serde_json::{Value, json};

use crate::{
    access::role_attributes,
    behavior::Strictness,
    context::RequestContext,
    errors::ApiError,
    grant_wire::{self, SentGrant},
    journal::Change,
    query::matches_filter,
    reply::Reply,
    state::{FrontendView, Organization, PermissionModel, RoleDocument},
    validation::{Object, Problems, TextRule, body_object, parse_body},
};

const ROLE_NAME: TextRule = TextRule { min: 1, max: 256 };
const NO_ROLE: ApiError = ApiError::NotFound("The role is not found.");
const NO_USER: ApiError = ApiError::NotFound("The user is not found.");

/// `GET /role/`.
pub(super) fn list(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let mut problems = Problems::default();
    let with_grants = context.request.query.boolean("return_permission_grants", &mut problems).unwrap_or(false);
    let ids = context.request.query.document_ids("id", &mut problems);
    let names = context.request.query.texts("name");
    problems.into_result()?;
    let organization = &*context.organization;
    let rights = context.rights(user)?;
    let roles = organization
        .listed_roles(context.now)
        .filter(|role| matches_filter(&ids, &role.id) && matches_filter(&names, &role.name))
        .filter(|role| rights.allow("Role:GetRole", &role_attributes(organization, &role.name)));
    let roles: Vec<Value> = roles.map(|role| render(organization.model, role, with_grants)).collect();
    Ok(Reply::ok(json!({ "roles": roles })))
}

fn render(model: PermissionModel, role: &RoleDocument, with_grants: bool) -> Value {
    let mut rendered = json!({
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "frontend_view": role.frontend_view,
        "permission_grants": if with_grants { render_grants(model, role) } else { Vec::new() },
    });
    if model == PermissionModel::AllowDeny {
        rendered["is_base_role"] = role.is_base_role.into();
    }
    rendered
}

fn render_grants(model: PermissionModel, role: &RoleDocument) -> Vec<Value> {
    let grants = role.permission_grants.iter().zip(&role.grant_descriptions);
    grants.map(|(grant, description)| grant_wire::write(model, grant, description.as_deref())).collect()
}

/// `POST /role/`.
pub(super) fn create(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let role = read_new(context)?;
    let rights = context.rights(user)?;
    rights.require("Role:CreateRole", &role_attributes(context.organization, &role.name))?;
    if context.organization.role(&role.name).is_some() {
        return Err(ApiError::Conflict("A role of this name exists already."));
    }
    let hierarchy = context.organization.behavior.create_role_hierarchy;
    rights.require_rank(hierarchy, &role.permission_grants, &role.name)?;
    let role = RoleDocument { id: context.ids.document(), ..role };
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    let permission_grants = render_grants(context.organization.model, &role);
    context.organization.roles.push(role);
    context.commit(user, Change::RoleCreated { role_id: role_id.clone(), role_name, permission_grants });
    Ok(Reply::created(json!({ "role_id": role_id })))
}

fn read_new(context: &RequestContext<'_>) -> Result<RoleDocument, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    reject_unknown(context.organization, &body, &mut problems);
    let name = body.required_text("role_name", ROLE_NAME, &mut problems);
    let description = body.required_text("description", TextRule::NOT_BLANK, &mut problems);
    let grants = body
        .required("permission_grants", &mut problems)
        .and_then(|grants| read_grants(context.organization, &body, grants, &mut problems));
    let view = body
        .required("frontend_view", &mut problems)
        .and_then(|view| body.choice::<FrontendView>("frontend_view", view, &mut problems));
    let is_base_role = read_is_base_role(context.organization, &body, &mut problems).unwrap_or(false);
    let (Some(name), Some(description), Some(grants), Some(frontend_view)) = (name, description, grants, view) else {
        return Err(problems.into_error());
    };
    problems.into_result()?;
    let (permission_grants, grant_descriptions) = split(grants);
    Ok(RoleDocument {
        id: String::new(),
        name,
        description,
        frontend_view,
        permission_grants,
        grant_descriptions,
        is_base_role,
        replaced_at: None,
    })
}

fn reject_unknown(organization: &Organization, body: &Object<'_>, problems: &mut Problems) {
    if organization.model == PermissionModel::AllowOnly && organization.behavior.unknown_members == Strictness::Reject {
        body.reject_unknown(&["role_name", "description", "permission_grants", "frontend_view"], problems);
    }
}

fn read_is_base_role(organization: &Organization, body: &Object<'_>, problems: &mut Problems) -> Option<bool> {
    match organization.model {
        PermissionModel::AllowOnly => None,
        PermissionModel::AllowDeny => body.optional_boolean("is_base_role", problems),
    }
}

fn read_grants(
    organization: &Organization,
    body: &Object<'_>,
    grants: &Value,
    problems: &mut Problems,
) -> Option<Vec<SentGrant>> {
    let location = body.at("permission_grants");
    let Value::Array(grants) = grants else {
        problems.add(location, "list_type", "Input should be a valid list");
        return None;
    };
    let at = |index: usize| [location.clone(), vec![json!(index)]].concat();
    let read: Vec<_> = grants
        .iter()
        .enumerate()
        .map(|(index, grant)| grant_wire::read(organization, grant, at(index), problems))
        .collect();
    read.into_iter().collect()
}

fn split(grants: Vec<SentGrant>) -> (Vec<amigo_permissions::PermissionGrant>, Vec<Option<String>>) {
    grants.into_iter().map(|sent| (sent.grant, sent.description)).unzip()
}

struct RoleChange {
    description: Option<String>,
    grants: Option<Vec<SentGrant>>,
    frontend_view: Option<FrontendView>,
}

/// `POST /role/{role_name}`. A description changes in place; grants or a view create a new document.
pub(super) fn modify(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let change = read_change(context)?;
    let old = context.organization.role(context.request.path_parameter("role_name")).ok_or(NO_ROLE)?.clone();
    let rights = context.rights(user)?;
    rights.require("Role:ModifyRole", &role_attributes(context.organization, &old.name))?;
    let immutable_sent = change.grants.is_some() || change.frontend_view.is_some();
    let new = apply(&old, change);
    let immutable_changed = (&new.permission_grants, &new.grant_descriptions, new.frontend_view)
        != (&old.permission_grants, &old.grant_descriptions, old.frontend_view);
    let behavior = &context.organization.behavior;
    let new_document = immutable_changed || (immutable_sent && behavior.unchanged_immutable_makes_document);
    if new_document {
        rights.require_rank(behavior.role_hierarchy, &new.permission_grants, &new.name)?;
    }
    let new_id = commit_change(context, user, &old, new, new_document);
    Ok(Reply::ok(json!({ "role_id": new_id })))
}

fn commit_change(
    context: &mut RequestContext<'_>,
    user: &str,
    old: &RoleDocument,
    mut new: RoleDocument,
    new_document: bool,
) -> String {
    let role_name = old.name.clone();
    if new_document {
        new.id = context.ids.document();
    }
    let new_id = new.id.clone();
    let permission_grants = render_grants(context.organization.model, &new);
    if new_document {
        context.organization.replace_role(new, context.now);
    } else if let Some(role) = context.organization.roles.iter_mut().find(|role| role.id == old.id) {
        *role = new;
    }
    let old_role_id = old.id.clone();
    context
        .commit(user, Change::RoleModified { role_name, old_role_id, new_role_id: new_id.clone(), permission_grants });
    new_id
}

fn read_change(context: &RequestContext<'_>) -> Result<RoleChange, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    reject_unknown(context.organization, &body, &mut problems);
    let description = body.optional_text("description", TextRule::NOT_BLANK, &mut problems);
    let grants = body
        .optional("permission_grants")
        .and_then(|grants| read_grants(context.organization, &body, grants, &mut problems));
    let frontend_view =
        body.optional("frontend_view").and_then(|view| body.choice("frontend_view", view, &mut problems));
    problems.into_result()?;
    Ok(RoleChange { description, grants, frontend_view })
}

fn apply(old: &RoleDocument, change: RoleChange) -> RoleDocument {
    let mut new = old.clone();
    if let Some(description) = change.description {
        new.description = description;
    }
    if let Some(frontend_view) = change.frontend_view {
        new.frontend_view = frontend_view;
    }
    if let Some(grants) = change.grants {
        (new.permission_grants, new.grant_descriptions) = split(grants);
    }
    new
}

/// `POST /role/{role_name}/assign`. Needs no permission, but the caller must outrank the role.
pub(super) fn assign(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    let body = parse_body(context.request)?;
    let body = body_object(&body)?;
    let mut problems = Problems::default();
    let Some(user_id) = body.required_text("user_id", TextRule::ANY, &mut problems) else {
        return Err(problems.into_error());
    };
    let organization = &*context.organization;
    let role = organization.role(context.request.path_parameter("role_name")).ok_or(NO_ROLE)?;
    let target = organization.user(&user_id).ok_or(NO_USER)?;
    let rights = context.rights(user)?;
    let hierarchy = organization.behavior.role_hierarchy;
    rights.require_rank(hierarchy, &role.permission_grants, &role.name)?;
    if organization.behavior.assign_outranks_current_role {
        let current = organization.role_by_id(&target.role_id).ok_or(NO_ROLE)?;
        rights.require_rank(hierarchy, &current.permission_grants, &current.name)?;
    }
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    context.organization.user_mut(&user_id).ok_or(NO_USER)?.role_id.clone_from(&role_id);
    context.commit(user, Change::RoleAssigned { user_id, role_name, role_id: role_id.clone() });
    Ok(Reply::ok(json!({ "role_id": role_id })))
}
