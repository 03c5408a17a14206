//! Bad input: each ends in a refusal or a clear condition; nothing is lost, and nobody asks again and again.

mod organizations;
mod refused;
mod requests;
mod responses;
