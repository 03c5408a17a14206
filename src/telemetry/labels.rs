//! The values of metric labels, except Organization names and the client's constants: enums, so bounded.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value of the label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        }
    };
}

label! {
    /// The kind of an object that is reconciled or written.
    Kind {
        Organization = "Organization",
        Role = "Role",
        RoleAssignment = "RoleAssignment",
        TemporaryPermissionGrant = "TemporaryPermissionGrant",
        Event = "Event",
        Lease = "Lease",
    }
}

label! {
    /// The outcome of a reconcile.
    Outcome {
        Done = "done",
        /// Not done yet, and no failure.
        Waiting = "waiting",
        /// The spec cannot be satisfied; a condition says why.
        Refused = "refused",
        /// Failed; the operator retries.
        Failed = "failed",
        TimedOut = "timed_out",
    }
}

label! {
    /// A write to the Kubernetes API.
    Verb {
        /// A new object.
        Create = "create",
        /// A patch of an object.
        Patch = "patch",
        /// A whole object, under its version.
        Replace = "replace",
        /// A patch of a status.
        PatchStatus = "patch_status",
        /// A whole status, under its version.
        ReplaceStatus = "replace_status",
        /// A deletion.
        Delete = "delete",
    }
}

label! {
    /// A violated assumption of the grant protocol about the Amigo API or etcd.
    Assumption {
        /// A request took effect after the commit time.
        LateCommit = "late_commit",
        /// A list lacks a grant that was issued well before.
        StaleList = "stale_list",
        /// A read misses an earlier write.
        StaleRead = "stale_read",
        /// Amigo changed or dropped tags.
        LostTags = "lost_tags",
        /// Amigo did not end a grant on time.
        LateExpiry = "late_expiry",
    }
}

/// The statuses in the API's documentation as they are, other statuses by class, `none` without a response.
#[must_use]
pub const fn status_label(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(200) => "200",
        Some(201) => "201",
        Some(400) => "400",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(409) => "409",
        Some(422) => "422",
        Some(429) => "429",
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
    }
}
