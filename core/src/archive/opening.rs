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

/// The URL of the store. A folder is told by its absolute path, however it was written, so that a report means the same
/// store wherever it is read, and one store is not taken for two.
pub fn url(config: &Config, flag: Option<&str>) -> Result<String, NoStore> {
    let stated = flag.map(str::to_owned).or_else(|| config.store.url.clone()).ok_or(NoStore)?;
    Ok(canonical(&stated).unwrap_or(stated))
}

fn canonical(stated: &str) -> Option<String> {
    let path = stated.strip_prefix("file://").unwrap_or(stated);
    if path.is_empty() || path.contains("://") {
        return None;
    }
    let absolute = std::path::absolute(path).ok()?;
    let path = absolute.canonicalize().unwrap_or(absolute);
    path.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_is_one_url_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().display().to_string();
        let told = |stated: &str| url(&Config::default(), Some(stated)).unwrap();
        assert_eq!(told(&format!("file://{path}")), path);
        assert_eq!(told(&format!("{path}/")), path);
        assert_eq!(told(&format!("{path}/../{}", folder.path().file_name().unwrap().display())), path);
        assert_eq!(told("s3://bucket/prefix"), "s3://bucket/prefix", "what is no folder stays as it is");
    }
}
