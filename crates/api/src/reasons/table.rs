//! Every reason: its name, its meaning, whether somebody must act, and the remedy for each kind that can carry it.
//!
//! Remedies leave names out: the message of the condition or Event contains them.

use super::{Kind, Reason, Remedy};

macro_rules! kinds {
    (Any) => { &Kind::ALL };
    ($($kind:ident)|+) => { &[$(Kind::$kind),+] };
}

macro_rules! reasons {
    ($(
        #[doc = $meaning:literal]
        $constant:ident = $name:literal, needs_action: $needs_action:literal {
            $($($kind:ident)|+ => $remedy:literal,)+
        }
    )*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*

        /// Every reason that a condition or an Event can carry.
        pub const ALL: &[&str] = &[$($name),*];

        pub(super) static TABLE: &[Reason] = &[$(Reason {
            name: $name,
            meaning: $meaning.trim_ascii(),
            needs_action: $needs_action,
            remedies: &[$(Remedy { kinds: kinds!($($kind)|+), text: $remedy }),+],
        }),*];
    };
}

reasons! {
    /// The remote side matches the spec.
    READY = "Ready", needs_action: false {
        Organization | Role | RoleAssignment => "No action needed.",
    }
    /// The operator has not reconciled the object yet, or waits for Amigo.
    PENDING = "Pending", needs_action: false {
        Any => "Wait. If nothing changes for a minute, check that the operator runs: \
                `kubectl get pods -n amigo-system`.",
    }
    /// The object waits for capacity under Amigo's rate limit.
    QUEUED = "Queued", needs_action: false {
        Organization => "Wait. The operator continues automatically. If this happens often, raise \
                         spec.rateLimit.share.",
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Wait. The operator continues automatically. If this happens often, raise spec.rateLimit.share of the \
             Organization.",
    }
    /// The operator is requesting the permissions from Amigo.
    ISSUING = "Issuing", needs_action: false {
        TemporaryPermissionGrant => "Wait. This takes a few seconds.",
    }
    /// Amigo issued every permission, and all of them are live.
    ACTIVE = "Active", needs_action: false {
        TemporaryPermissionGrant => "No action needed.",
    }
    /// Every permission is live, but ends more than a minute earlier or later than requested.
    END_DIFFERS = "EndDiffers", needs_action: true {
        TemporaryPermissionGrant =>
            "Compare the clocks of the operator's nodes and of Amigo. If they agree, Amigo limits or extends grants: \
             plan with the end in the message.",
    }
    /// Some permissions are live; Amigo did not issue the others.
    PARTIALLY_ISSUED = "PartiallyIssued", needs_action: true {
        TemporaryPermissionGrant =>
            "Read the cause in the message. The operator retries transient errors. For any other error, fix the \
             cause, delete the grant and create it again.",
    }
    /// The operator does not know yet whether Amigo issued the permissions.
    OUTCOME_UNKNOWN = "OutcomeUnknown", needs_action: false {
        TemporaryPermissionGrant =>
            "Wait. The operator checks Amigo's list of grants before it retries, usually within minutes. If the \
             message names an unexpected record, inspect it at Amigo.",
    }
    /// The access expired.
    EXPIRED = "Expired", needs_action: false {
        TemporaryPermissionGrant =>
            "No action needed. To get access again, create another grant: \
             `kubectl amigo conversation request-access`.",
    }
    /// The operator could not issue the grant before its activation deadline.
    ACTIVATION_DEADLINE_EXCEEDED = "ActivationDeadlineExceeded", needs_action: true {
        TemporaryPermissionGrant =>
            "Fix the cause named in the message. Delete the grant and create it again, with a longer \
             spec.activationDeadline if necessary.",
    }
    /// The time in `spec.notAfter` passed before Amigo issued the grant.
    NOT_AFTER_PASSED = "NotAfterPassed", needs_action: true {
        TemporaryPermissionGrant =>
            "Delete the grant and create it again, with a later spec.notAfter or without one.",
    }
    /// The remaining time is shorter than the shortest grant that Amigo issues, one minute.
    TOO_LITTLE_TIME = "TooLittleTime", needs_action: true {
        TemporaryPermissionGrant =>
            "Delete the grant and create it again, with a later spec.notAfter or without one.",
    }
    /// The spec breaks a rule that the API server cannot check.
    INVALID_SPEC = "InvalidSpec", needs_action: true {
        Role => "Fix the field named in the message.",
        RoleAssignment => "Set spec.roleRef to a Role of the same Organization.",
        TemporaryPermissionGrant =>
            "Delete the grant. Fix the field named in the message and create the grant again.",
    }
    /// A duration is malformed or outside its limits.
    INVALID_DURATION = "InvalidDuration", needs_action: true {
        TemporaryPermissionGrant =>
            "Delete the grant. Fix the duration named in the message and create the grant again.",
    }
    /// The Organization in `spec.organizationRef` does not exist.
    ORGANIZATION_NOT_FOUND = "OrganizationNotFound", needs_action: true {
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Create the Organization, or create this object again with one from `kubectl get organizations`.",
    }
    /// The Organization does not allow this namespace.
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed", needs_action: true {
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Add the namespace to spec.allowedNamespaces of the Organization, or create the object in an allowed \
             namespace.",
    }
    /// The Organization is not ready; its conditions contain the cause.
    ORGANIZATION_NOT_READY = "OrganizationNotReady", needs_action: true {
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Run `kubectl describe organization NAME` and fix the cause. The operator then continues automatically.",
    }
    /// The CustomResourceDefinition in the cluster is older than the operator and lacks status fields.
    CRD_OUTDATED = "CRDOutdated", needs_action: true {
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Upgrade the CRDs to the operator's version: `helm upgrade`, or `kubectl apply --server-side -f crds/`. The \
             operator then continues within a minute.",
    }
    /// The renewals of all grants with `revokeWithin` would exceed Amigo's rate limit.
    TOO_MANY_RENEWALS = "TooManyRenewals", needs_action: true {
        TemporaryPermissionGrant =>
            "Create the grant again with a longer spec.revokeWithin or without one, or raise spec.rateLimit.share of the \
             Organization. The operator retries while other grants end.",
    }
    /// The object or its Organization is suspended.
    SUSPENDED = "Suspended", needs_action: true {
        Organization => "To resume, set spec.suspend to false.",
        Role => "To resume, set spec.suspend to false on the Role and on its Organization.",
        RoleAssignment => "To resume, set spec.suspend to false on the RoleAssignment and on its Organization.",
        TemporaryPermissionGrant => "To resume, set spec.suspend of the Organization to false.",
    }
    /// The object is being deleted; the operator issues no further access.
    TERMINATING = "Terminating", needs_action: false {
        TemporaryPermissionGrant =>
            "Wait. Kubernetes removes the object when its metadata.finalizers is empty. Live access remains until it \
             expires.",
    }
    /// No user that the operator can see matches the email address or ID.
    USER_NOT_FOUND = "UserNotFound", needs_action: true {
        RoleAssignment | TemporaryPermissionGrant =>
            "If spec.user is wrong, create the object again. If it is correct, give the operator's user \
             User:GetUserInfo for that user at Amigo.",
    }
    /// The conversation does not exist, or the operator's user cannot see it.
    CONVERSATION_NOT_VISIBLE = "ConversationNotVisible", needs_action: true {
        TemporaryPermissionGrant =>
            "Check the conversation ID. Give the operator's user Conversation:GetConversation for the whole \
             organization at Amigo, or create the grant again with spec.conversation.ownerUserId.",
    }
    /// The grant or its conversation URL belongs to another organization than its Organization connects to.
    ORGANIZATION_MISMATCH = "OrganizationMismatch", needs_action: true {
        TemporaryPermissionGrant =>
            "Delete the grant. Create it again with the Organization that the conversation or permissions belong to.",
    }
    /// The Secret in `spec.credentialsSecretRef` does not exist in the operator's namespace.
    SECRET_NOT_FOUND = "SecretNotFound", needs_action: true {
        Organization => "Create the Secret in the operator's namespace, with the keys apiKey, apiKeyId and userId.",
    }
    /// The operator cannot read the Secret: it lacks permission, or the API server did not respond.
    SECRET_UNREADABLE = "SecretUnreadable", needs_action: true {
        Organization =>
            "Allow the operator's ServiceAccount to get the Secret. The chart does so for the Secrets in its values.",
    }
    /// The Secret lacks a key, or the value of a key is unusable.
    SECRET_INCOMPLETE = "SecretIncomplete", needs_action: true {
        Organization => "Set apiKey, apiKeyId and userId in the Secret, each to plain text.",
    }
    /// Amigo rejected the API key (401).
    CREDENTIALS_REJECTED = "CredentialsRejected", needs_action: true {
        Organization =>
            "Put a valid API key into the Secret. The role of its user must rank below the role of the key.",
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Put a valid API key into the Secret of the Organization.",
    }
    /// The API key expires within two weeks.
    CREDENTIALS_EXPIRE_SOON = "CredentialsExpireSoon", needs_action: true {
        Organization =>
            "Create an API key at Amigo and put it into the Secret. The operator detects the change within seconds.",
    }
    /// The operator signs in with the API key.
    CREDENTIALS_VALID = "CredentialsValid", needs_action: false {
        Organization => "No action needed.",
    }
    /// Amigo denied the request: the operator's user lacks a permission or privilege (403).
    FORBIDDEN = "Forbidden", needs_action: true {
        Any => "Add the permission named in the message to the role of the operator's user at Amigo. That role must \
                also rank above every role and permission that the operator grants.",
    }
    /// Amigo does not know the organization, user or role (404).
    NOT_FOUND = "NotFound", needs_action: true {
        Organization =>
            "Check spec.organization and spec.apiUrl. The API of a wrong region returns the same response.",
        RoleAssignment =>
            "Check that the role and the user named in the message exist and that the operator's user can see them. \
             Then check spec.organization and spec.apiUrl of the Organization.",
        Role | TemporaryPermissionGrant =>
            "Check spec.organization and spec.apiUrl of the Organization, then the names and IDs in the message.",
    }
    /// Amigo rejected the request as invalid (400, 422).
    INVALID_REQUEST = "InvalidRequest", needs_action: true {
        Organization | Role | RoleAssignment => "Fix the field named in the message.",
        TemporaryPermissionGrant =>
            "Delete the grant. Fix the field named in the message and create the grant again.",
    }
    /// The operator exceeded Amigo's rate limit (429).
    RATE_LIMITED = "RateLimited", needs_action: true {
        Organization =>
            "Wait. The operator retries automatically. If this happens often, another client uses the same limit: \
             lower spec.rateLimit.share.",
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Wait. The operator retries automatically. If this happens often, another client uses the same limit: \
             lower spec.rateLimit.share of the Organization.",
    }
    /// The operator cannot connect to Amigo: DNS, connection or TLS error.
    UNREACHABLE = "Unreachable", needs_action: true {
        Organization =>
            "Check spec.apiUrl, DNS, network policies and certificates. The operator retries automatically.",
        Role | RoleAssignment | TemporaryPermissionGrant =>
            "Check spec.apiUrl of the Organization, DNS, network policies and certificates. The operator retries \
             automatically.",
    }
    /// Amigo returned a server error or did not respond in time.
    UNAVAILABLE = "Unavailable", needs_action: true {
        Any => "Wait. The operator retries automatically. If the error persists, check whether Amigo has an outage.",
    }
    /// Amigo's response is a redirect, too large, or not as documented.
    INVALID_RESPONSE = "InvalidResponse", needs_action: true {
        Organization => "Check that spec.apiUrl is the Amigo API and not a proxy or a login page.",
        Role => "If the message names unreadable grants, inspect the role at Amigo or change the spec. Otherwise, \
                 check that spec.apiUrl of the Organization is the Amigo API.",
        RoleAssignment | TemporaryPermissionGrant =>
            "Check that spec.apiUrl of the Organization is the Amigo API and not a proxy or a login page.",
    }
    /// The operator does not allow the host or the scheme of `spec.apiUrl`.
    API_URL_NOT_ALLOWED = "ApiUrlNotAllowed", needs_action: true {
        Organization =>
            "Fix spec.apiUrl, or start the operator with --allowed-api-host for it.",
    }
    /// Another object or record already uses the same resource at Amigo.
    CONFLICT = "Conflict", needs_action: true {
        Organization =>
            "Delete this Organization and add its namespaces to spec.allowedNamespaces of the older one.",
        Role => "Delete one of the two Roles. The older Role takes precedence.",
        RoleAssignment => "Delete one of the two RoleAssignments. The older RoleAssignment takes precedence.",
        TemporaryPermissionGrant =>
            "Inspect the record named in the message at Amigo. If the user still needs access, delete the grant and \
             create it again.",
    }
    /// The organization's API supports only Allow, and Allow grants cannot express the role.
    DENY_NOT_SUPPORTED = "DenyNotSupported", needs_action: true {
        Role => "Remove the Deny grants named in the message, and narrow the Allow grants instead.",
    }
    /// Amigo turned the role's Deny grants into Allow grants, so the operator removed all grants.
    DENY_DROPPED = "DenyDropped", needs_action: true {
        Role => "Remove the Deny grants, and set spec.permissionModel of the Organization to Detect.",
    }
    /// Amigo rejects the role's name as taken, but does not list a role with that name.
    NAME_TAKEN = "NameTaken", needs_action: true {
        Role => "Give the operator's user Role:GetRole for the existing role, or create another Role with a different \
                 spec.roleName.",
    }
    /// The name is reserved for Amigo's own roles.
    RESERVED_NAME = "ReservedName", needs_action: true {
        Role => "Create another Role with a spec.roleName that does not start with Default.",
    }
    /// A role with this name exists at Amigo, and `spec.adoption` does not allow adopting it.
    ADOPTION_REFUSED = "AdoptionRefused", needs_action: true {
        Role => "Run `kubectl amigo role diff`. Then change the spec to match, set spec.adoption to Override, or \
                 create another Role with a different spec.roleName.",
    }
    /// Amigo differs from the spec, and the operator does not change it; the message names the cause.
    DRIFTED = "Drifted", needs_action: true {
        Role => "Run `kubectl amigo role diff`. Then change the spec, set spec.driftPolicy to Correct, or set \
                 spec.managementPolicy to Manage.",
        RoleAssignment => "Change spec.roleName or spec.roleRef, or set spec.managementPolicy to Manage.",
    }
    /// The Role in `spec.roleRef` does not exist or is not ready.
    ROLE_NOT_READY = "RoleNotReady", needs_action: true {
        RoleAssignment => "Create the Role, or run `kubectl describe amrole NAME` and fix the cause.",
    }
    /// The operator changed the role at Amigo.
    APPLIED = "Applied", needs_action: false {
        Role => "No action needed.",
    }
    /// The operator adopted the existing role at Amigo without a change.
    ADOPTED = "Adopted", needs_action: false {
        Role => "No action needed.",
    }
    /// The operator assigned the role to the user.
    ASSIGNED = "Assigned", needs_action: false {
        RoleAssignment => "No action needed.",
    }
    /// The object was deleted, and the operator left the role at Amigo unchanged.
    RELEASED = "Released", needs_action: false {
        Role => "Check the role at Amigo: users who have it keep its permissions.",
        RoleAssignment => "No action needed. To give the user another role, create a RoleAssignment.",
    }
    /// The operator removed all grants of the role before the Role was deleted.
    DISABLED = "Disabled", needs_action: false {
        Role => "No action needed.",
    }
    /// The lint rules found nothing in the role.
    NO_FINDINGS = "NoFindings", needs_action: false {
        Role => "No action needed.",
    }
    /// The lint rules found something in the role; the message lists the findings.
    FINDINGS = "Findings", needs_action: true {
        Role => "Read the findings in the message, or run `kubectl amigo role lint`.",
    }
    /// The grant was deleted while its access is live at Amigo.
    DELETED_WHILE_LIVE = "DeletedWhileLive", needs_action: true {
        TemporaryPermissionGrant =>
            "Wait until the access expires: Amigo cannot revoke it. To be able to end access early, set \
             spec.revokeWithin.",
    }
    /// The sweep found several live records for one permission, or a record that outlives its grant.
    DUPLICATE = "Duplicate", needs_action: true {
        Organization =>
            "Inspect the records at Amigo and wait until they expire. If this happens again, report it with the \
             operator's log.",
    }
    /// The sweep found live records of this cluster that belong to no grant.
    ORPHANED = "Orphaned", needs_action: true {
        Organization =>
            "Wait until the access expires: Amigo cannot revoke it. To be able to end access early, set \
             spec.grants.revokeWithin.",
    }
    /// The operator cannot read the object, so it ignores its present content.
    UNREADABLE = "Unreadable", needs_action: true {
        Any => "Correct the field named in the message, or delete the object. Upgrade the CRDs, so that the API server \
                rejects such content.",
    }
    /// The operator renewed the access for another lease.
    RENEWED = "Renewed", needs_action: false {
        TemporaryPermissionGrant => "No action needed.",
    }
}
