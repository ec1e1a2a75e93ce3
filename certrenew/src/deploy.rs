//! Putting a certificate to use: try the server's configuration, make it take the pair, see that it is served.

mod error;
mod mounts;
mod reload;
mod served;
#[cfg(test)]
mod testing;

use std::time::Duration;

pub(crate) use error::DeployError;
pub(crate) use mounts::pinned;
pub(crate) use reload::{Server, Tried, try_deploying};
pub(crate) use served::{Served, ends_first, served_at, wait_until_served};

/// How long a server may take until it shows the new certificate: old workers end when their connections do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
