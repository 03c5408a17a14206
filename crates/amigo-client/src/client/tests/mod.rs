//! The client against small servers in this process: real sockets, no stand-ins for our own code.

mod connections;
mod fuzz;
mod gate;
mod grants;
mod lookups;
mod rate_limiter;
mod requests;
mod roles;
mod secrets;
mod sign_in;
mod sliding_window;
