//! The walk: everything below the roots, in the order of the index.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::{Entry, path_order};
use shipshape_core::archive::index::Root;
use shipshape_core::archive::patterns::{Is, Patterns};
use walkdir::{DirEntry, IntoIter, WalkDir};

use crate::facts;
use crate::sources::data_folders::DataFolders;

/// Folders that a restore makes inside the application's folder; never part of a snapshot.
const OWN_FOLDERS: &[u8] = b".shipshape-";

/// What the walk leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The owner's patterns.
    pub(crate) exclude: Patterns,
    /// The store and the state folder, should they lie inside.
    pub(crate) own: Vec<PathBuf>,
    /// Where database servers keep their data.
    pub(crate) data: DataFolders,
    /// Whether to stay on the file system of each root.
    pub(crate) one_file_system: bool,
}

/// What the walk meets.
#[expect(clippy::large_enum_variant, reason = "nearly all are entries, and none is kept")]
#[derive(Debug)]
pub(crate) enum Met {
    /// Something to store: its facts, and where it is.
    Entry {
        /// Without link, attributes and content, which have to be read.
        entry: Entry,
        /// Its absolute path.
        source: PathBuf,
        /// Its device and number of names, to recognise hard links.
        device: u64,
        /// How many names it has.
        names: u64,
        /// Whether it takes less room than its size: it has holes.
        holes: bool,
    },
    /// A socket or a device.
    Special,
    /// What cannot be looked at.
    Failed {
        /// Its path in the index, as far as known.
        path: Vec<u8>,
        /// Why.
        cause: io::Error,
    },
}

/// A walk over several roots, in the order of the index, whatever the roots: one whose prefix lies among the paths of
/// another (a link inside the application that stands for a folder elsewhere) has its turn there, and in place of what
/// is there.
pub(crate) struct Walk<'a> {
    /// Roots whose turn is yet to come.
    roots: Peekable<std::slice::Iter<'a, Root>>,
    /// Walks that have begun; the last one is going on.
    begun: Vec<Begun<'a>>,
    rules: &'a Rules,
    app_dir: &'a Path,
    /// Whether the application's folder is a root itself, so that all folders in it are met anyway.
    whole: bool,
    /// Folders above roots that have been told already.
    told: BTreeSet<Vec<u8>>,
    waiting: Vec<Met>,
}

/// The walk over one root.
struct Begun<'a> {
    root: &'a Root,
    walk: IntoIter,
    /// What comes next, held back while another root has its turn.
    held: Option<DirEntry>,
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    pub(crate) fn new(app_dir: &'a Path, roots: &'a [Root], rules: &'a Rules) -> Self {
        let whole = roots.iter().any(|root| root.prefix.0 == b".");
        let has_inside = roots.iter().any(|root| !is_outside(root));
        let roots = roots.iter().peekable();
        let mut walk =
            Self { roots, whole, begun: Vec::new(), rules, app_dir, told: BTreeSet::new(), waiting: Vec::new() };
        if has_inside && !whole {
            // The application's folder comes before everything, also before roots outside it.
            walk.tell_folders_above(b".");
        }
        walk
    }

    fn begin(&mut self, root: &'a Root) {
        if !is_outside(root) && !self.whole {
            self.tell_folders_above(&root.prefix.0);
        }
        let walk = WalkDir::new(root.source()).follow_links(false).sort_by_file_name();
        let walk = walk.same_file_system(self.rules.one_file_system).into_iter();
        self.begun.push(Begun { root, walk, held: None });
    }

    /// Gives way to a root whose turn is before this path, or at it; then what is there is not met.
    fn give_way(&mut self, found: DirEntry, path: &[u8]) -> Option<DirEntry> {
        let Some(next) = self.roots.next_if(|root| path_order(&root.prefix.0, path).is_le()) else {
            return Some(found);
        };
        if next.prefix.0 == path {
            self.skip_folder(&found);
        } else if let Some(begun) = self.begun.last_mut() {
            begun.held = Some(found);
        }
        self.begin(next);
        None
    }

    /// The folders from the application's own down to a root are part of the snapshot's layout, for their mode and owner.
    fn tell_folders_above(&mut self, prefix: &[u8]) {
        let slashes = prefix.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| prefix[..at].to_vec());
        let mut above: Vec<Vec<u8>> = std::iter::once(b".".to_vec()).chain(slashes).collect();
        above.retain(|path| self.told.insert(path.clone()));
        for path in above.into_iter().rev() {
            let source = self.app_dir.join(OsStr::from_bytes(&path));
            self.waiting.push(look(path, source));
        }
    }

    fn meet(&mut self, root: &Root, found: DirEntry) -> Option<Met> {
        let path = path_in_index(root, found.path());
        let found = self.give_way(found, &path)?;
        let is = if found.file_type().is_dir() { Is::Folder } else { Is::Other };
        if self.left_out(&path, &found, is) {
            self.skip_folder(&found);
            return None;
        }
        match found.metadata() {
            Ok(facts) if self.is_live_data(&path, &found, &facts) => {
                self.skip_folder(&found);
                None
            }
            Ok(facts) => Some(met(&path, found.path().to_owned(), &facts)),
            Err(refused) => Some(Met::Failed { path, cause: refused.into() }),
        }
    }

    fn left_out(&self, path: &[u8], found: &DirEntry, is: Is) -> bool {
        let own = found.file_name().as_bytes().starts_with(OWN_FOLDERS) && is == Is::Folder;
        let root = path == b".";
        !root && (own || self.rules.exclude.matches(path, is) || self.rules.own.iter().any(|own| own == found.path()))
    }

    /// Whether a database server keeps its data in a folder. Every server makes folders in it, so that one without any,
    /// which has no names but its own and its dot, need not be looked at. Some file systems do not count: then it is 1.
    fn is_live_data(&self, path: &[u8], found: &DirEntry, facts: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        facts.is_dir() && facts.nlink() != 2 && path != b"." && self.rules.data.leave_out(path, found.path())
    }

    fn skip_folder(&mut self, found: &DirEntry) {
        if let Some(begun) = self.begun.last_mut().filter(|_| found.file_type().is_dir()) {
            begun.walk.skip_current_dir();
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        loop {
            if let Some(waiting) = self.waiting.pop() {
                return Some(waiting);
            }
            let Some(begun) = self.begun.last_mut() else {
                let root = self.roots.next()?;
                self.begin(root);
                continue;
            };
            let root = begun.root;
            match begun.held.take().map(Ok).or_else(|| begun.walk.next()) {
                None => drop(self.begun.pop()),
                Some(Ok(found)) => {
                    if let Some(met) = self.meet(root, found) {
                        return Some(met);
                    }
                }
                Some(Err(refused)) => {
                    let path = refused.path().map_or_else(|| root.prefix.0.clone(), |path| path_in_index(root, path));
                    return Some(Met::Failed { path, cause: refused.into() });
                }
            }
        }
    }
}

/// Whether a root lies outside the application's folder and was named by its absolute path, which is its prefix then.
fn is_outside(root: &Root) -> bool {
    Path::new("/").join(OsStr::from_bytes(&root.prefix.0)) == root.source()
}

/// The path of something below a root, as the index has it.
pub(crate) fn path_in_index(root: &Root, source: &Path) -> Vec<u8> {
    let below = source.strip_prefix(root.source()).map_or(source.as_os_str(), Path::as_os_str).as_bytes();
    match (root.prefix.0.as_slice(), below) {
        (prefix, b"") => prefix.to_vec(),
        (b".", below) => below.to_vec(),
        (prefix, below) => [prefix, b"/", below].concat(),
    }
}

fn look(path: Vec<u8>, source: PathBuf) -> Met {
    match std::fs::symlink_metadata(&source) {
        Ok(facts) => met(&path, source, &facts),
        Err(cause) => Met::Failed { path, cause },
    }
}

fn met(path: &[u8], source: PathBuf, facts: &std::fs::Metadata) -> Met {
    use std::os::unix::fs::MetadataExt;
    match facts::entry_of(path, facts) {
        None => Met::Special,
        Some(entry) => Met::Entry {
            // st_blocks counts 512 bytes each, whatever the block size (stat(2)).
            holes: facts.blocks().saturating_mul(512) < entry.size,
            device: facts.dev(),
            names: facts.nlink(),
            entry,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn root(prefix: &str, path: &Path) -> Root {
        Root { prefix: prefix.as_bytes().into(), path: path.as_os_str().as_bytes().into(), volume: None }
    }

    fn paths(app: &Path, roots: &[Root], rules: &Rules) -> Vec<String> {
        let path = |met: Met| match met {
            Met::Entry { entry, .. } => entry.path.shown(),
            Met::Special => "special".to_owned(),
            Met::Failed { path, .. } => format!("failed {}", String::from_utf8_lossy(&path)),
        };
        Walk::new(app, roots, rules).map(path).collect()
    }

    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        for path in ["a/b/deep", "a/b-side", "a.txt", "cache/x", "uploads/1.jpg"] {
            let path = site.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            shipshape_core::atomic::replace(&path, b"x").unwrap();
        }
        site
    }

    #[test]
    fn things_are_met_in_the_order_of_the_index() {
        let site = site();
        let found = paths(site.path(), &[root(".", site.path())], &Rules::default());
        let mut sorted = found.clone();
        sorted.sort_by(|a, b| path_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(found, sorted);
        assert_eq!(found[..5], [".", "a", "a/b", "a/b/deep", "a/b-side"]);
    }

    #[test]
    fn what_is_excluded_is_not_entered() {
        let site = site();
        let rules = Rules { exclude: Patterns::new(&["cache".to_owned()]).unwrap(), ..Rules::default() };
        assert!(!paths(site.path(), &[root(".", site.path())], &rules).iter().any(|path| path.contains("cache")));
    }

    #[test]
    fn the_store_inside_the_application_is_left_out() {
        let site = site();
        let rules = Rules { own: vec![site.path().join("a")], ..Rules::default() };
        assert!(!paths(site.path(), &[root(".", site.path())], &rules).iter().any(|path| path.starts_with("a/")));
    }

    #[test]
    fn roots_elsewhere_have_their_turn_among_the_paths_of_the_application() {
        let (site, elsewhere) = (site(), tempfile::tempdir().unwrap());
        shipshape_core::atomic::replace(&elsewhere.path().join("photo"), b"x").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), site.path().join("b-link")).unwrap();
        let roots = [root(".", site.path()), root("a/b-first", elsewhere.path()), root("b-link", elsewhere.path())];
        let found = paths(site.path(), &roots, &Rules::default());
        let mut sorted = found.clone();
        sorted.sort_by(|a, b| path_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(found, sorted);
        assert_eq!(found.iter().filter(|path| *path == "b-link").count(), 1, "the folder, not the link: {found:?}");
        assert!(found.contains(&"b-link/photo".to_owned()) && found.contains(&"a/b-first/photo".to_owned()));
        assert!(found.contains(&"uploads/1.jpg".to_owned()), "the walk goes on afterwards: {found:?}");
    }

    #[test]
    fn the_application_folder_comes_first_even_before_roots_outside_it() {
        let site = site();
        let outside = site.path().join("a");
        let prefix = outside.strip_prefix("/").unwrap().display().to_string();
        let roots = [root(&prefix, &outside), root("uploads", &site.path().join("uploads"))];
        let found = paths(&site.path().join("elsewhere"), &roots, &Rules::default());
        assert!(found[0].ends_with('.') && found[1] == prefix, "{found:?}");
    }

    #[test]
    fn folders_above_a_root_are_told_once_and_nothing_beside_it() {
        let site = site();
        let roots = [root("a/b", &site.path().join("a/b")), root("uploads", &site.path().join("uploads"))];
        let found = paths(site.path(), &roots, &Rules::default());
        assert_eq!(found, [".", "a", "a/b", "a/b/deep", "uploads", "uploads/1.jpg"]);
    }
}
