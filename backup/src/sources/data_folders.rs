//! Folders in which database servers keep their data. They are never copied as files: what is read while a server writes
//! belongs to many moments, and restores to nothing.
//!
//! Known by a mount of a server, or by what is in them; and told to a restore, which must not move them either.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::Bytes;
use shipshape_core::archive::index::Root;
use shipshape_core::archive::patterns::Patterns;
use shipshape_core::database::{Engine, keeps_data_in};
use shipshape_core::report::Notice;

use super::volumes::{Kept, Omitted};
use crate::walk::path_in_index;

/// A folder in which a server keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    folder: PathBuf,
    /// Why it is not copied.
    pub(crate) why: String,
    whose: Whose,
}

/// Why the data of a service that is a server is not copied.
pub(crate) fn dumped_from(service: &str) -> String {
    format!("the databases in it are dumped from the service {service}")
}

/// Whose data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A server's that is dumped: there is no reason to copy it as files, and many against it.
    Dumped,
    /// A server's that is left out, or cannot be dumped.
    LeftOut,
    /// By its looks a server's, and nobody knows which.
    Unknown(Engine),
}

impl Live {
    /// Of a server that is dumped.
    pub(crate) fn dumped(why: String) -> Self {
        Self { folder: PathBuf::new(), why, whose: Whose::Dumped }
    }

    /// Of a server that is not.
    pub(crate) fn left_out(why: String) -> Self {
        Self { folder: PathBuf::new(), why, whose: Whose::LeftOut }
    }

    /// Of no server that is known.
    pub(crate) fn unknown(folder: PathBuf, engine: Engine) -> Self {
        let why = format!("it looks like the data folder of a {engine} server, which nothing dumps");
        Self { folder, why, whose: Whose::Unknown(engine) }
    }

    /// The same at a folder.
    pub(crate) fn at(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    /// Whether its databases are dumped.
    pub(crate) fn is_dumped(&self) -> bool {
        self.whose == Whose::Dumped
    }
}

/// The rule of the walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct DataFolders {
    /// By what services mount.
    mounted: Vec<Live>,
    /// What servers that are dumped mount, and their engines.
    served: Vec<(PathBuf, Engine)>,
    /// Folders that the owner names as sources: who says it in so many words, means it.
    named: Vec<PathBuf>,
    /// What the walk has met and recognised, by path in the index.
    met: RefCell<BTreeMap<Bytes, Live>>,
}

impl DataFolders {
    /// From what services mount, and what the owner names.
    pub(crate) fn new(kept: &Kept, named: Vec<PathBuf>) -> Self {
        let is_meant = |live: &&Live| live.is_dumped() || !named.contains(&live.folder);
        let mounted = kept.live.iter().filter(is_meant).cloned().collect();
        Self { mounted, served: kept.served.clone(), named, met: RefCell::default() }
    }

    /// Whether a folder is left out. One that is met for the first time is looked at.
    pub(crate) fn leave_out(&self, path: &[u8], folder: &Path) -> bool {
        if self.is_mounted(folder) {
            return true;
        }
        let Some(engine) = keeps_data_in(folder).filter(|_| !self.named.iter().any(|named| named == folder)) else {
            return false;
        };
        let is_served = self.served.iter().any(|(mount, server)| folder.starts_with(mount) && server.is_kin(engine));
        let live = if is_served {
            Live::dumped(format!("it is the data folder of a {engine} server, which is dumped")).at(folder.to_owned())
        } else {
            Live::unknown(folder.to_owned(), engine)
        };
        self.met.borrow_mut().insert(path.into(), live);
        true
    }

    /// Whether a server that the stack has keeps its data there.
    pub(crate) fn is_mounted(&self, folder: &Path) -> bool {
        self.mounted.iter().any(|live| live.folder == folder)
    }

    /// The same as patterns for a restore: what lies there is not the snapshot's business.
    pub(crate) fn patterns(&self, roots: &[Root]) -> Vec<String> {
        let inside = |live: &Live| {
            let root = roots.iter().find(|root| live.folder.starts_with(root.source()))?;
            Some(path_in_index(root, &live.folder)).filter(|path| path != b".")
        };
        let mounted = self.mounted.iter().filter_map(inside);
        let met = self.met.borrow();
        mounted.chain(met.keys().map(|path| path.0.clone())).map(|path| Patterns::literal(&path)).collect()
    }

    /// What is left out and in no dump either, unless somebody has decided so.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let met = self.met.borrow();
        let unknown = self.mounted.iter().chain(met.values()).filter_map(|live| match live.whose {
            Whose::Unknown(engine) => Some(notice(&live.folder, engine)),
            Whose::Dumped | Whose::LeftOut => None,
        });
        unknown.collect()
    }

    /// What was recognised by its looks, for whoever looks at the plan.
    pub(crate) fn recognised(&self) -> Vec<Omitted> {
        let met = self.met.borrow();
        let unknown = self.mounted.iter().filter(|live| matches!(live.whose, Whose::Unknown(_)));
        let omitted = |live: &Live| Omitted { what: live.folder.display().to_string(), why: live.why.clone() };
        unknown.chain(met.values()).map(omitted).collect()
    }
}

fn notice(folder: &Path, engine: Engine) -> Notice {
    let shown = folder.display();
    let message =
        format!("{shown} looks like the data folder of a {engine} server that nothing dumps: it was left out");
    let hint = format!(
        "if a service uses it, tell which: [database.SERVICE] kind = \"{engine}\"; if it is a copy at rest and its files \
         are wanted, name it beside the rest: [backup] files = [\".\", \"{shown}\"]"
    );
    Notice::new("database.data_folder", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    /// A folder `data/mysql` that looks like a server's.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let site = tempfile::tempdir().unwrap();
        let data = site.path().join("data/mysql");
        for name in ["ibdata1", "mysql"] {
            std::fs::create_dir_all(data.join(name)).unwrap();
        }
        (site, data)
    }

    fn root(path: &Path) -> Root {
        Root { prefix: b".".as_slice().into(), path: path.as_os_str().as_bytes().into(), volume: None }
    }

    #[test]
    fn a_folder_that_nothing_dumps_is_left_out_and_named() {
        let (site, data) = site();
        let rule = DataFolders::default();
        assert!(rule.leave_out(b"data/mysql", &data) && !rule.leave_out(b"data", &site.path().join("data")));
        assert!(rule.notices()[0].message.contains("a mysql server that nothing dumps"));
        assert_eq!(rule.patterns(&[root(site.path())]), ["/data/mysql"]);
    }

    #[test]
    fn what_its_owner_names_is_meant() {
        let (_site, data) = site();
        let rule = DataFolders::new(&Kept::default(), vec![data.clone()]);
        assert!(!rule.leave_out(b"data/mysql", &data) && rule.notices().is_empty());
    }

    #[test]
    fn a_server_that_is_dumped_is_not_copied_as_files_though_its_folder_is_named() {
        let (site, data) = site();
        let live = vec![Live::dumped("dumped".to_owned()).at(data.clone())];
        let rule = DataFolders::new(&Kept { live, ..Kept::default() }, vec![data.clone()]);
        assert!(rule.leave_out(b"data/mysql", &data) && rule.notices().is_empty());
        assert_eq!(rule.patterns(&[root(site.path())]), ["/data/mysql"], "a restore must not move it");
    }

    #[test]
    fn a_folder_somewhere_in_the_mount_of_a_server_of_its_kind_is_that_server_s() {
        let (site, data) = site();
        let served = vec![(site.path().join("data"), Engine::Mariadb)];
        let rule = DataFolders::new(&Kept { served, ..Kept::default() }, Vec::new());
        assert!(rule.leave_out(b"data/mysql", &data) && rule.notices().is_empty());
    }
}
