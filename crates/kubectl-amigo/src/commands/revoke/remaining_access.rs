//! What a person must know of a deletion that has happened.

use amigo_api::conditions;
use amigo_lifecycle::grant::remaining_access::RemainingAccess;
use jiff::Timestamp;

use crate::table::countdown;

/// What a person must know of a deletion that has happened.
pub fn told(remaining_access: RemainingAccess, now: Timestamp) -> String {
    let at = |end: Timestamp| format!("{} ({} from now)", conditions::whole_second(end), countdown(end, now));
    match remaining_access {
        RemainingAccess::Nothing => "Nothing was issued: there is no access to end.".to_owned(),
        RemainingAccess::Over => "Its access had ended before.".to_owned(),
        RemainingAccess::Until { ends, renewed: false } => {
            format!("Access goes on until {}: Amigo cannot take back what it issued.", at(ends))
        }
        RemainingAccess::Until { ends, renewed: true } => {
            format!("Access goes on until {}: what was issued last runs out then and is not renewed.", at(ends))
        }
        RemainingAccess::Unknown { latest: Some(latest) } => format!(
            "Whether all of it was issued is not known, because the answer of Amigo is open. If it was, access goes on until {} at the latest.",
            at(latest)
        ),
        RemainingAccess::Unknown { latest: None } => {
            "Until when access goes on is not known: Amigo holds a record of this request that it does not ask for. Look at it there.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn access_that_goes_on_is_counted_down() {
        let text = told(RemainingAccess::Until { ends: at(3000), renewed: false }, at(1000));
        assert!(text.contains("33m20s"), "{text}");
    }
}
