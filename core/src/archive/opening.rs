//! Which store is meant: the flag, else the configuration.

use crate::config::Config;
use crate::error::Explain;
use crate::exit::Exit;

/// No store was named.
#[derive(Debug, thiserror::Error)]
#[error("no store is named, neither by --store nor in the configuration")]
pub struct NoStore;

impl Explain for NoStore {
    fn code(&self) -> &'static str {
        "store.unnamed"
    }

    fn hint(&self) -> String {
        "add --store /path/to/store, or set [store] url in shipshape.toml; backup init does".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Unknown
    }
}

/// The URL of the store.
pub fn url(config: &Config, flag: Option<&str>) -> Result<String, NoStore> {
    flag.map(str::to_owned).or_else(|| config.store.url.clone()).ok_or(NoStore)
}
