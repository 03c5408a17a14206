//! What to do about each reason of a condition or an event.

use super::reasons;

/// What a person does about a reason; for one that needs nobody, that it needs nobody.
///
/// Names are left out: the condition's message has them.
#[must_use]
pub fn remedy(reason: &str) -> Option<&'static str> {
    let all = [in_order, waiting, requests, connections, calls, roles];
    all.into_iter().find_map(|group| group(reason))
}

/// Whether a reason is worth a look: the others say that all is well or on its way.
#[must_use]
pub fn needs_somebody(reason: &str) -> bool {
    in_order(reason).is_none() && waiting(reason).is_none()
}

fn in_order(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::READY
        | reasons::ACTIVE
        | reasons::RENEWED
        | reasons::CREDENTIALS_VALID
        | reasons::APPLIED
        | reasons::ADOPTED
        | reasons::ASSIGNED
        | reasons::DISABLED
        | reasons::NO_FINDINGS => "Nothing: all is as it should be.",
        reasons::RELEASED => "Nothing, unless the user should have another role: assign it with a new RoleAssignment.",
        reasons::EXPIRED => "Nothing. Who still needs access asks again: `kubectl amigo conversation request-access`.",
        _ => return None,
    })
}

fn waiting(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::PENDING => {
            "Wait. If it stays so for a minute, see whether the operator runs: `kubectl get pods -n amigo-system`."
        }
        reasons::QUEUED => {
            "Wait: it goes on by itself when Amigo's rate limit has room. If it is often so, raise \
             spec.rateLimit.share of the Organization."
        }
        reasons::ISSUING => "Wait: it takes seconds.",
        reasons::TERMINATING => {
            "Wait: the object goes when the last of its metadata.finalizers is removed. Access that was issued goes on to \
             its end."
        }
        reasons::OUTCOME_UNKNOWN => {
            "Wait: the operator asks Amigo's listing and goes on when it is clear, within minutes. If the message \
             names a record that is not what was asked for, look at it at Amigo."
        }
        _ => return None,
    })
}

fn requests(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::PARTIALLY_ISSUED => {
            "The message says why the rest was not issued. What is transient is tried again by itself; for anything \
             else, correct the cause, delete the request and create it again."
        }
        reasons::ACTIVATION_DEADLINE_EXCEEDED => {
            "Correct what the message names, delete the request and create it again; or give it a longer \
             spec.activationDeadline."
        }
        reasons::NOT_AFTER_PASSED | reasons::TOO_LITTLE_TIME => {
            "Create the request again with a later spec.notAfter, or without."
        }
        reasons::INVALID_SPEC | reasons::INVALID_DURATION => "Create the object again with what the message asks for.",
        reasons::ORGANIZATION_NOT_FOUND => "Name an Organization that exists: `kubectl get organizations` lists them.",
        reasons::NAMESPACE_NOT_ALLOWED => {
            "Use a namespace that the Organization admits, or have this one added to its spec.allowedNamespaces."
        }
        reasons::ORGANIZATION_NOT_READY => {
            "See what is wrong with the Organization: `kubectl describe organization NAME`. The rest goes on by itself."
        }
        reasons::SUSPENDED => "Set spec.suspend to false, on the object or on its Organization.",
        reasons::USER_NOT_FOUND => {
            "Check the e-mail address or the user id. A user that exists must be visible to the operator's own user at \
             Amigo: User:GetUserInfo."
        }
        reasons::CONVERSATION_NOT_VISIBLE => {
            "Check the conversation's id, and that the operator's user has Conversation:GetConversation for the whole \
             organization at Amigo; or name the owner: spec.conversation.ownerUserId."
        }
        reasons::ORGANIZATION_MISMATCH => {
            "Create the request again and name the Organization whose console the page belongs to."
        }
        reasons::DELETED_WHILE_LIVE | reasons::ORPHANED => {
            "Nothing can be taken back: the access ends by itself. To be able to end access early, ask for it with \
             spec.revokeWithin."
        }
        reasons::DUPLICATE => {
            "The access ends by itself. Look at the records at Amigo; if it happens again, report it with the \
             operator's log."
        }
        _ => return None,
    })
}

fn connections(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::SECRET_NOT_FOUND => {
            "Create the Secret in the operator's namespace, with the keys apiKey, apiKeyId and userId."
        }
        reasons::SECRET_UNREADABLE => {
            "Permit the operator's ServiceAccount to get the Secret; the chart does so for the names in its values."
        }
        reasons::SECRET_INCOMPLETE => "Set apiKey, apiKeyId and userId in the Secret, each to plain text.",
        reasons::CREDENTIALS_REJECTED => {
            "Put a valid API key into the Secret. The role of its user must stand below the role of the key."
        }
        reasons::CREDENTIALS_EXPIRE_SOON => {
            "Make a new API key at Amigo and put it into the Secret; it is picked up within seconds."
        }
        reasons::API_URL_NOT_ALLOWED => {
            "Correct spec.apiUrl, or start the operator with --allowed-api-host (and --allow-plain-http) for it."
        }
        _ => return None,
    })
}

fn calls(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::FORBIDDEN => {
            "Give the role of the operator's user at Amigo the permission that the message names; it must also stand \
             above whatever it hands out."
        }
        reasons::NOT_FOUND => {
            "Check spec.organization and spec.apiUrl of the Organization (a wrong region says the same), then the ids \
             and role names that are used."
        }
        reasons::INVALID_REQUEST => {
            "Amigo found the content wrong: correct what the message names and create the object again."
        }
        reasons::RATE_LIMITED => {
            "Wait: it is tried again. If it is often so, something else uses the limits of the organization: lower \
             spec.rateLimit.share."
        }
        reasons::UNREACHABLE => {
            "Check spec.apiUrl, DNS, network policies and certificates between the operator and Amigo; it is tried again."
        }
        reasons::UNAVAILABLE => "Wait: it is tried again. See whether Amigo has an outage.",
        reasons::INVALID_RESPONSE => {
            "Check that spec.apiUrl leads to the Amigo API and not to a proxy or a login page in between."
        }
        _ => return None,
    })
}

fn roles(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reasons::CONFLICT => {
            "Keep one of the objects for the same thing at Amigo and delete the others; the older one wins."
        }
        reasons::DENY_NOT_SUPPORTED => {
            "Rewrite the role without the Deny grants that the message names: grant what is allowed instead."
        }
        reasons::DENY_DROPPED => {
            "Rewrite the role without Deny, and leave spec.permissionModel of the Organization at Detect."
        }
        reasons::NAME_TAKEN => {
            "Choose another spec.roleName, or let the operator's user see the role that has it: Role:GetRole."
        }
        reasons::RESERVED_NAME => "Choose a spec.roleName that does not begin with Default.",
        reasons::ADOPTION_REFUSED => {
            "Compare with `kubectl amigo role diff`, then make the spec equal, choose another spec.roleName, or set \
             spec.adoption to Override."
        }
        reasons::DRIFTED => {
            "Compare with `kubectl amigo role diff`, then change the spec, or set spec.driftPolicy to Correct."
        }
        reasons::ROLE_NOT_READY => "See what is wrong with the Role: `kubectl describe amrole NAME`.",
        reasons::FINDINGS => "Read the findings in the message, or run `kubectl amigo role lint`.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_remedy_and_only_one() {
        for reason in reasons::ALL {
            let groups = [in_order, waiting, requests, connections, calls, roles];
            let remedies: Vec<_> = groups.into_iter().filter_map(|group| group(reason)).collect();
            assert_eq!(remedies.len(), 1, "{reason}: {remedies:?}");
            assert!(remedies[0].ends_with(['.']), "{reason}: {}", remedies[0]);
            assert!(!remedies[0].contains("  "), "{reason}: {}", remedies[0]);
        }
        assert_eq!(remedy("Else"), None);
    }

    #[test]
    fn what_goes_on_by_itself_needs_nobody() {
        assert!(!needs_somebody(reasons::ACTIVE) && !needs_somebody(reasons::QUEUED));
        assert!(needs_somebody(reasons::USER_NOT_FOUND) && needs_somebody(reasons::FORBIDDEN));
    }
}
