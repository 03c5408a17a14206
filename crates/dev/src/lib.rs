//! The demonstration: a real API server on this machine, and what runs on it.

pub mod control_plane;

mod apply;
mod assets;
mod guardian;
mod identity;
mod reference;
mod signing_key;
mod table;
mod tour;

pub use apply::{ApplyError, apply};
pub use assets::{Assets, AssetsError};
pub use control_plane::{ControlPlane, Error, Options};
pub use identity::Identity;
pub use reference::reference;
pub use tour::{TourError, TourOptions, tour};
