//! Every value a metric label can have, except organization names and the client's constants: enums, so bounded.

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
    /// What is reconciled or written.
    Kind {
        /// The connection to an Amigo organization.
        Organization = "Organization",
        /// A role on the platform.
        Role = "Role",
        /// Which role a user has.
        RoleAssignment = "RoleAssignment",
        /// Temporary access.
        TemporaryPermissionGrant = "TemporaryPermissionGrant",
        /// A Kubernetes event.
        Event = "Event",
        /// The lease of the leader.
        Lease = "Lease",
    }
}

label! {
    /// How a reconciliation ended.
    Outcome {
        /// Everything is as it should be.
        Done = "done",
        /// Something is still awaited; no failure.
        Waiting = "waiting",
        /// The object asks for what cannot be; a condition says so.
        Refused = "refused",
        /// It failed and will be tried again.
        Failed = "failed",
        /// It ran into its deadline.
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
    /// What the grant protocol takes for granted of the Amigo API and of etcd.
    Assumption {
        /// A sent request takes effect within its time or never.
        CommitsInTime = "A1",
        /// A grant is listed soon after it was made.
        ListsSoon = "A2",
        /// Reads see every earlier write.
        Linearizable = "A3",
        /// Tags come back as they were sent.
        KeepsTags = "A4",
        /// The server ends what it issued.
        EndsGrants = "A5",
    }
}

/// An HTTP status: those that the API document names as they are, the rest by class; `none` without an answer.
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
