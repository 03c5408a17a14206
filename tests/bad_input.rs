//! Bad input: each ends in a refusal or a clear condition; nothing is lost, and nobody asks again and again.

mod support;

#[path = "bad_input/answers.rs"]
mod answers;
#[path = "bad_input/organizations.rs"]
mod organizations;
#[path = "bad_input/refused.rs"]
mod refused;
#[path = "bad_input/requests.rs"]
mod requests;
