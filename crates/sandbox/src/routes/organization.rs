//! The organization.

use serde_json::{Value, json};

use crate::{access::organization_attributes, context::RequestContext, errors::ApiError, reply::Reply};

/// `GET /organization/`: needs no credentials, but two fields need a permission.
pub(super) fn get(context: &mut RequestContext<'_>) -> Result<Reply, ApiError> {
    let organization = &*context.organization;
    let attributes = organization_attributes(organization);
    let detailed = match context.signed_in_user() {
        Some(user) => context.rights(&user)?.allow("Organization:GetOrganizationDetails", &attributes),
        None => false,
    };
    let (preferences, tenant) = if detailed {
        (json!(organization.default_preferences), json!(organization.tenant_id))
    } else {
        (Value::Null, Value::Null)
    };
    Ok(Reply::ok(json!({
        "org_id": organization.id,
        "org_name": organization.name,
        "default_user_preferences": preferences,
        "tenant_id": tenant,
    })))
}
