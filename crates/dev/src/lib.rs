//! Developer tools: a control plane on this machine for the tests and the tour, and the reference generator.

pub mod control_plane;

mod apply;
mod assets;
mod identity;
mod process_reaper;
mod reference;
mod table;
mod tour;

pub use apply::{ApplyError, apply};
pub use assets::{Assets, AssetsError};
pub use control_plane::{ControlPlane, Error, Options};
pub use identity::Identity;
pub use reference::reference;
pub use tour::{TourError, TourOptions, tour};
