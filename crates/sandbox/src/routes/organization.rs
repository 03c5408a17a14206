//! The organization itself.

use serde_json::{Value, json};

use crate::{access::organization_attributes, call::Call, errors::Refusal, reply::Reply};

/// `GET /organization/`: needs no credentials; two members are only for those with the permission.
pub(super) fn get(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let organization = &*call.organization;
    let attributes = organization_attributes(organization);
    let detailed = match call.signed_in() {
        Some(user) => call.rights(&user)?.allow("Organization:GetOrganizationDetails", &attributes),
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
