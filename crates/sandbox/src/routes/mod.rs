//! The operations, one file per resource.

mod api_keys;
mod conversations;
mod grants;
mod organization;
mod roles;
mod sign_in;
mod users;

use super::{context::RequestContext, errors::ApiError, operation::Operation, reply::Reply};

/// Handles an operation that needs no token; `None` for others.
pub(super) fn anonymous(context: &mut RequestContext<'_>) -> Option<Result<Reply, ApiError>> {
    match context.operation {
        Operation::SignInWithApiKey => Some(sign_in::sign_in(context)),
        Operation::GetOrganization => Some(organization::get(context)),
        _ => None,
    }
}

/// Handles an operation as `user`.
pub(super) fn authenticated(context: &mut RequestContext<'_>, user: &str) -> Result<Reply, ApiError> {
    match context.operation {
        Operation::SignInWithApiKey => sign_in::sign_in(context),
        Operation::GetOrganization => organization::get(context),
        Operation::CreateApiKey => api_keys::create(context, user),
        Operation::GetApiKeys => api_keys::list(context, user),
        Operation::DeleteApiKey => api_keys::delete(context, user),
        Operation::GetRoles => roles::list(context, user),
        Operation::CreateRole => roles::create(context, user),
        Operation::ModifyRole => roles::modify(context, user),
        Operation::AssignRole => roles::assign(context, user),
        Operation::CreateTemporaryPermissionGrant => grants::create(context, user),
        Operation::GetTemporaryPermissionGrants => grants::list(context, user),
        Operation::GetConversations => conversations::list(context, user),
        Operation::GetConversationMessages => conversations::messages(context, user),
        Operation::GetInteractionInsights => conversations::insights(context, user),
        Operation::ModifyTagsOfConversation => conversations::modify_tags(context, user),
        Operation::GetUsers => users::list(context, user),
        Operation::SearchUsers => users::search(context, user),
        Operation::CreateInvitedUser => users::invite(context, user),
        Operation::UpdateUserInfo => users::update(context, user),
    }
}
