//! One file or folder a command.

pub mod can_i;
pub mod completion;
pub mod conversation;
pub mod resync;
pub mod revoke;
pub mod role;
pub mod status;
pub mod test;
