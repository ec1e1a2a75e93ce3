//! Putting a certificate to use: try the server's configuration, make it take the pair, see that it is served.

mod application;
mod error;
mod mounts;
mod reload;
mod served;
mod takers;
#[cfg(test)]
mod testing;

use std::time::Duration;

pub(crate) use application::Application;
pub(crate) use error::DeployError;
pub(crate) use mounts::pinned;
pub(crate) use reload::{Server, Tried};
pub(crate) use served::{Served, ends_first, of_others, served_at, wait_until_served};
pub(crate) use takers::{Doubt, Taker, Takers};

/// How long a server may take until it shows the new certificate: old workers end when their connections do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
