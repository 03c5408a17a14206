//! What the user must know about access that outlasts its request.

use amigo_api::conditions;
use amigo_lifecycle::grant::remaining_access::RemainingAccess;
use jiff::Timestamp;

use super::table::countdown;

/// Describes the access that remains after the request is deleted.
pub fn describe(remaining_access: RemainingAccess, now: Timestamp) -> String {
    let at = |end: Timestamp| format!("{} ({} from now)", conditions::whole_second(end), countdown(end, now));
    match remaining_access {
        RemainingAccess::Nothing => "Nothing was issued: there is no access to end.".to_owned(),
        RemainingAccess::Over => "The access has already ended.".to_owned(),
        RemainingAccess::Until { ends, renewed: false } => {
            format!("Access continues until {}: Amigo cannot revoke issued grants.", at(ends))
        }
        RemainingAccess::Until { ends, renewed: true } => {
            format!("Access continues until {}: the last lease expires then and is not renewed.", at(ends))
        }
        RemainingAccess::Unknown { latest: Some(latest) } => format!(
            "Amigo did not confirm whether it issued all grants. If it did, access continues until {} at the latest.",
            at(latest)
        ),
        RemainingAccess::Unknown { latest: None } => {
            "The end of the access is unknown: Amigo has a grant of this request that the request does not ask for. \
             Check the grant at Amigo."
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn remaining_access_has_a_countdown() {
        let text = describe(RemainingAccess::Until { ends: at(3000), renewed: false }, at(1000));
        assert!(text.contains("33m20s"), "{text}");
    }
}
