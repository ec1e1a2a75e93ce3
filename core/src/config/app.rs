//! Which application, and which host: a folder, a name, or both, from flags, the file and what lies in the folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError};
use crate::{machine, name};

/// The files that name a Compose project, in the order in which Compose takes them.
pub const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// How much of a Compose file is read to find its name, in bytes.
const COMPOSE_LIMIT: u64 = 1 << 20;

/// The application that a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in the store.
    pub name: String,
    /// Its folder, absolute and without links; none where only the name is known.
    pub dir: Option<PathBuf>,
}

impl Config {
    /// The application that `--app` names, else the one of the file, else that of the current folder.
    pub fn app(&self, flag: Option<&str>) -> Result<App, ConfigError> {
        match flag {
            Some(stated) if is_folder(stated) => self.app_in(Path::new(stated)),
            Some(stated) => self.app_called(stated),
            None => self.app_here(Path::new(".")),
        }
    }

    /// The application of the file; where it has none, this folder if it has a Compose file: whoever types a command there
    /// means what lies there. Else the folder of the file itself if it has one: cron stands nowhere.
    fn app_here(&self, dir: &Path) -> Result<App, ConfigError> {
        let beside = self.path.as_deref().and_then(Path::parent);
        match self.app_of_the_file() {
            Err(ConfigError::AppUnknown) => {
                match [Some(dir), beside].into_iter().flatten().find(|dir| has_compose(dir)) {
                    Some(found) => self.app_in(found),
                    None => Err(ConfigError::AppUnknown),
                }
            }
            other => other,
        }
    }

    /// The host's name in the store: `--host`, else the file's, else this machine's; mended where it must be.
    pub fn host(&self, flag: Option<&str>) -> String {
        match flag.or(self.store.host.as_deref()) {
            Some(stated) => name::mend(stated, "localhost"),
            None => machine::host_name(),
        }
    }

    fn app_in(&self, stated: &Path) -> Result<App, ConfigError> {
        let dir = canonical(stated)?;
        // A file that describes another folder does not name this one: two applications must not meet in the store.
        let is_described =
            self.app.dir.as_deref().is_none_or(|described| described.canonicalize().is_ok_and(|it| it == dir));
        let name = match &self.app.name {
            Some(name) if is_described => valid(name)?,
            _ => name_of_folder(&dir),
        };
        Ok(App { name, dir: Some(dir) })
    }

    /// By its name alone, unless the file tells where the application of this name lies.
    fn app_called(&self, stated: &str) -> Result<App, ConfigError> {
        let name = valid(stated)?;
        let described = self.app_of_the_file().ok().filter(|app| app.name == name);
        Ok(described.unwrap_or(App { name, dir: None }))
    }

    fn app_of_the_file(&self) -> Result<App, ConfigError> {
        match (&self.app.dir, &self.app.name) {
            (Some(dir), _) => self.app_in(dir),
            (None, Some(name)) => Ok(App { name: valid(name)?, dir: None }),
            (None, None) => Err(ConfigError::AppUnknown),
        }
    }
}

fn has_compose(dir: &Path) -> bool {
    COMPOSE_FILES.iter().any(|name| dir.join(name).is_file())
}

fn is_folder(stated: &str) -> bool {
    stated.contains('/') || Path::new(stated).is_dir()
}

fn canonical(stated: &Path) -> Result<PathBuf, ConfigError> {
    let missing = |source| ConfigError::AppMissing { path: stated.to_owned(), source };
    let dir = stated.canonicalize().map_err(missing)?;
    if dir.is_dir() { Ok(dir) } else { Err(missing(std::io::ErrorKind::NotADirectory.into())) }
}

/// A stated name is taken as it is or refused: mending it would store under a name that nobody asked for.
fn valid(stated: &str) -> Result<String, ConfigError> {
    if name::is_valid(stated) {
        Ok(stated.to_owned())
    } else {
        Err(ConfigError::InvalidName { what: "an application", name: stated.to_owned() })
    }
}

fn name_of_folder(dir: &Path) -> String {
    compose_name(dir).unwrap_or_else(|| {
        let own = dir.file_name().unwrap_or_default().to_string_lossy();
        name::mend(&own, "app")
    })
}

/// The Compose project's name, where the file states it plainly.
fn compose_name(dir: &Path) -> Option<String> {
    let file = COMPOSE_FILES.iter().find_map(|name| File::open(dir.join(name)).ok())?;
    let mut bytes = Vec::new();
    file.take(COMPOSE_LIMIT).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let stated = text.lines().find_map(|line| line.strip_prefix("name:"))?;
    let stated = stated.split(" #").next().unwrap_or_default().trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| stated.strip_prefix(*quote)?.strip_suffix(*quote));
    // One with variables in it is not plain, and not valid either.
    Some(unquoted.unwrap_or(stated).to_owned()).filter(|name| name::is_valid(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_beside_the_file_is_meant_from_anywhere() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("compose.yaml"), "name: shop\n").unwrap();
        let config = Config { path: Some(folder.path().join("shipshape.toml")), ..Config::default() };
        assert_eq!(config.app_here(elsewhere.path()).unwrap().name, "shop");
        std::fs::write(elsewhere.path().join("compose.yaml"), "name: other\n").unwrap();
        assert_eq!(config.app_here(elsewhere.path()).unwrap().name, "other");
    }
    use crate::error::Explain;
    use std::fs;
    use tempfile::TempDir;

    /// A folder `my app` in a temporary one.
    fn folder() -> (TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().canonicalize().unwrap().join("my app");
        fs::create_dir(&dir).unwrap();
        (above, dir)
    }

    fn config(name: Option<&str>, dir: Option<&Path>) -> Config {
        let mut config = Config::default();
        config.app.name = name.map(str::to_owned);
        config.app.dir = dir.map(Path::to_owned);
        config
    }

    #[test]
    fn a_folder_names_the_application_unless_something_better_does() {
        let (_above, dir) = folder();
        let flag = dir.to_str();
        let name = |config: &Config| config.app(flag).unwrap().name;
        assert_eq!(name(&Config::default()), "my-app");
        fs::write(dir.join("docker-compose.yml"), "services:\n  name: web\nname: \"fleet\" # ours\n").unwrap();
        assert_eq!(name(&Config::default()), "fleet");
        assert_eq!(name(&config(Some("stated"), None)), "stated");
    }

    #[test]
    fn a_compose_name_with_variables_is_left_alone() {
        let (_above, dir) = folder();
        fs::write(dir.join("compose.yaml"), "name: ${PROJECT:-x}\n").unwrap();
        assert_eq!(Config::default().app(dir.to_str()).unwrap().name, "my-app");
    }

    #[test]
    fn the_folder_is_told_without_links() {
        let (above, dir) = folder();
        let link = above.path().join("link");
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        assert_eq!(Config::default().app(link.to_str()).unwrap().dir, Some(dir));
    }

    #[test]
    fn the_file_of_one_application_does_not_name_another_one() {
        let (above, dir) = folder();
        let file = config(Some("demo"), Some(above.path()));
        assert_eq!(file.app(dir.to_str()).unwrap().name, "my-app");
    }

    #[test]
    fn a_name_alone_is_enough_and_finds_the_folder_that_the_file_knows() {
        let (_above, dir) = folder();
        let file = config(Some("demo"), Some(&dir));
        assert_eq!(file.app(Some("demo")).unwrap().dir, Some(dir));
        assert_eq!(file.app(Some("other")).unwrap(), App { name: "other".to_owned(), dir: None });
    }

    #[test]
    fn without_a_flag_the_file_decides() {
        let (_above, dir) = folder();
        assert_eq!(config(None, Some(&dir)).app(None).unwrap().name, "my-app");
        assert_eq!(config(Some("demo"), None).app(None).unwrap().dir, None);
        let error = Config::default().app(None).unwrap_err();
        assert_eq!((error.code(), error.hint()), ("app.unknown", "name its folder: --app DIR".to_owned()));
    }

    #[test]
    fn a_folder_with_a_compose_file_is_the_application_where_nothing_says_otherwise() {
        let (_above, dir) = folder();
        let here = |config: &Config| config.app_here(&dir);
        assert_eq!(here(&Config::default()).unwrap_err().code(), "app.unknown");
        fs::write(dir.join("compose.yml"), "services: {}\n").unwrap();
        assert_eq!(here(&Config::default()).unwrap().dir.as_ref(), Some(&dir));
        assert_eq!(here(&config(Some("demo"), None)).unwrap(), App { name: "demo".to_owned(), dir: None });
    }

    #[test]
    fn a_folder_that_is_not_there_is_refused() {
        let (_above, dir) = folder();
        let missing = dir.join("none");
        assert_eq!(Config::default().app(missing.to_str()).unwrap_err().code(), "app.missing");
        let file = dir.join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(Config::default().app(file.to_str()).unwrap_err().code(), "app.missing");
    }

    #[test]
    fn a_stated_name_is_refused_rather_than_mended() {
        assert_eq!(Config::default().app(Some("my app")).unwrap_err().code(), "config.invalid_name");
        assert_eq!(config(Some("../x"), None).app(None).unwrap_err().code(), "config.invalid_name");
    }

    #[test]
    fn the_host_is_the_flag_s_the_file_s_or_the_machine_s() {
        let mut config = Config::default();
        assert_eq!(config.host(None), machine::host_name());
        config.store.host = Some("vps 1".to_owned());
        assert_eq!(config.host(None), "vps-1");
        assert_eq!(config.host(Some("vps2")), "vps2");
    }
}
