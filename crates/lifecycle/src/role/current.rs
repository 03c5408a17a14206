//! The current document among those that Amigo lists with one name.

use amigo_client::RemoteRole;

/// The newest document with this name. For a day after a change, the API can list the replaced one, too.
///
/// An ID of 24 hexadecimal digits begins with the second of its creation. Among documents of one second, and where an ID
/// has another form, the last one listed counts.
#[must_use]
pub fn current<'a>(roles: &'a [RemoteRole], name: &str) -> Option<&'a RemoteRole> {
    let named: Vec<&RemoteRole> = roles.iter().filter(|role| role.name == name).collect();
    let have_times = named.iter().all(|role| created_at(&role.id).is_some());
    named.into_iter().max_by_key(|role| created_at(&role.id).filter(|_| have_times))
}

/// The second in which the document was created.
fn created_at(id: &str) -> Option<u32> {
    let is_document_id = id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(id.get(..8)?, 16).ok().filter(|_| is_document_id)
}

#[cfg(test)]
mod tests {
    use amigo_client::RemoteGrants;

    use super::*;

    fn document(id: &str, name: &str) -> RemoteRole {
        let (id, name, description) = (id.to_owned(), name.to_owned(), String::new());
        RemoteRole { id, name, description, frontend_view: None, grants: RemoteGrants::Understood(Vec::new()) }
    }

    fn current_id(ids: &[&str]) -> Option<String> {
        let roles: Vec<_> = ids.iter().map(|id| document(id, "support")).chain([document("f", "other")]).collect();
        current(&roles, "support").map(|role| role.id.clone())
    }

    const EARLY: &str = "6a0000010000000000000001";
    const LATE: &str = "6a0000020000000000000000";

    #[test]
    fn newest_document_of_a_name_is_current() {
        assert_eq!(current_id(&[EARLY, LATE]).as_deref(), Some(LATE));
        assert_eq!(current_id(&[LATE, EARLY]).as_deref(), Some(LATE));
        assert_eq!(current_id(&[]), None);
    }

    #[test]
    fn ids_without_a_time_follow_the_listing() {
        assert_eq!(current_id(&[LATE, "role-1"]).as_deref(), Some("role-1"));
        assert_eq!(current_id(&["role-2", EARLY]).as_deref(), Some(EARLY));
        assert_eq!(current_id(&[LATE, "6a0000020000000000000009"]).as_deref(), Some("6a0000020000000000000009"));
    }
}
