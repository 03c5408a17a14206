//! Events and audit lines about one object.

use kube::{Resource, ResourceExt as _};

use super::{
    audit::AuditLine,
    context::{Announcement, Context},
    ownership::object_name,
};

/// Tells of one thing that happened: in the audit trail, which stays, and in an Event, which people see.
pub fn emit<K>(object: &K, announcement: Announcement, about: AuditLine, context: &Context)
where
    K: Resource<DynamicType = ()>,
{
    record(object, (announcement.reason, &announcement.message), about, context);
    context.announce(object, announcement);
}

/// Writes one line into the audit trail.
pub fn record<K>(object: &K, (reason, message): (&str, &str), about: AuditLine, context: &Context)
where
    K: Resource<DynamicType = ()>,
{
    context.audit.write(&AuditLine {
        at: Some(context.clock.now()),
        event: reason.to_owned(),
        kind: K::kind(&()).into_owned(),
        object: object_name(object),
        uid: object.uid().unwrap_or_default(),
        message: message.to_owned(),
        ..about
    });
}
