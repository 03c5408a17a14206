//! The operations of the API that this client uses, and their documented rate limits.

use std::{fmt, str::FromStr};

use http::Method;

/// One rate-limited operation of the API. Its name is a metric label and a key of rate-limit overrides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Exchange the API key for a token: `POST user/signin_with_api_key`.
    SignIn,
    /// Get the name of the organization, without credentials: `GET organization/`.
    Organization,
    /// List API keys and their expiry: `GET organization/api_key/`.
    ApiKeys,
    /// List all visible roles: `GET role/`.
    ListRoles,
    /// Create a role: `POST role/`.
    CreateRole,
    /// Change a role: `POST role/{name}`.
    ModifyRole,
    /// Assign a role to a user: `POST role/{name}/assign`.
    AssignRole,
    /// Create a temporary permission grant: `POST role/temporary_permission_grant/`.
    CreateGrant,
    /// List temporary permission grants: `GET role/temporary_permission_grants/`.
    ListGrants,
    /// List conversations: `GET conversation/`.
    Conversations,
    /// List users: `GET user/`.
    Users,
}

impl Endpoint {
    /// Every operation, in the order of the document.
    pub const ALL: [Self; 11] = [
        Self::SignIn,
        Self::Organization,
        Self::ApiKeys,
        Self::ListRoles,
        Self::CreateRole,
        Self::ModifyRole,
        Self::AssignRole,
        Self::CreateGrant,
        Self::ListGrants,
        Self::Conversations,
        Self::Users,
    ];

    /// The documented requests per minute (the 429 text of each operation). The document has no limit for the
    /// organization's name; 60 is this client's own limit.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::SignIn => 5,
            Self::ApiKeys | Self::ModifyRole => 10,
            Self::Conversations => 15,
            Self::ListRoles | Self::CreateRole => 20,
            Self::Organization | Self::Users => 60,
            Self::CreateGrant | Self::ListGrants => 100,
            Self::AssignRole => 1000,
        }
    }

    /// The name used in metrics, messages and overrides.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Organization => "organization",
            Self::ApiKeys => "api_keys",
            Self::ListRoles => "list_roles",
            Self::CreateRole => "create_role",
            Self::ModifyRole => "modify_role",
            Self::AssignRole => "assign_role",
            Self::CreateGrant => "create_grant",
            Self::ListGrants => "list_grants",
            Self::Conversations => "conversations",
            Self::Users => "users",
        }
    }

    /// The HTTP method of the operation.
    #[must_use]
    pub const fn method(self) -> Method {
        if self.is_read() { Method::GET } else { Method::POST }
    }

    /// Whether the operation only reads, so that a repeat is safe.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::Organization | Self::ApiKeys | Self::ListRoles | Self::ListGrants | Self::Conversations | Self::Users
        )
    }

    /// Whether `status` is the documented success of the operation.
    #[must_use]
    pub const fn succeeded(self, status: u16) -> bool {
        match self {
            // Only the documented status proves a new grant; after any other one the caller looks it up.
            Self::CreateGrant => status == 201,
            Self::CreateRole | Self::ModifyRole | Self::AssignRole => matches!(status, 200 | 201),
            _ => status == 200,
        }
    }

    /// The most bytes of a successful response that the client reads: 1 MiB, and 8 MiB for listings.
    #[must_use]
    pub const fn body_cap(self) -> usize {
        const MEBIBYTE: usize = 1024 * 1024;
        match self {
            Self::ApiKeys | Self::ListRoles | Self::ListGrants | Self::Conversations | Self::Users => 8 * MEBIBYTE,
            _ => MEBIBYTE,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// No operation has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown operation {0:?}")]
pub struct UnknownEndpoint(
    /// The unknown name.
    pub String,
);

impl FromStr for Endpoint {
    type Err = UnknownEndpoint;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == name).ok_or_else(|| UnknownEndpoint(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.as_str().parse(), Ok(endpoint));
        }
        assert_eq!("nothing".parse::<Endpoint>(), Err(UnknownEndpoint("nothing".to_owned())));
    }

    #[test]
    fn only_201_proves_a_new_grant() {
        assert!(Endpoint::CreateGrant.succeeded(201));
        assert!(!Endpoint::CreateGrant.succeeded(200));
    }
}
