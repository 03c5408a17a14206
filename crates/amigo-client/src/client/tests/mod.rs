//! The client against small servers in this process: real sockets, no stand-ins for our own code.

mod budget;
mod budgets;
mod calls;
mod connections;
mod gate;
mod grants;
mod lookups;
mod roles;
mod secrets;
mod sign_in;
