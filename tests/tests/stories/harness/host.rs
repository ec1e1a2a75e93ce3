//! A host of the story: an application, a store, a state folder, keys and a configuration, below one temporary folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::{Exit, Finished, Launch, Tree, rows, shell, site, tool};

/// What lies beside the site's database, and itself: compared by its rows, not by its bytes.
pub(crate) const DATABASE: [&str; 3] = ["data/app.db", "data/app.db-wal", "data/app.db-shm"];

/// A temporary folder: in memory where there is enough of it, because the fault matrix syncs thousands of files.
pub(crate) fn scratch() -> TempDir {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let enough = rustix::fs::statvfs(memory).is_ok_and(|facts| facts.f_bavail * facts.f_frsize > 1 << 30);
        if enough && attributes_work(memory) { memory.to_owned() } else { env!("CARGO_TARGET_TMPDIR").into() }
    });
    tempfile::Builder::new().prefix("shipshape-story-").tempdir_in(base).unwrap()
}

/// Whether files there can have extended attributes; tmpfs learned it late.
fn attributes_work(folder: &Path) -> bool {
    let file = tempfile::NamedTempFile::new_in(folder).unwrap();
    rustix::fs::setxattr(file.path(), "user.story", b"1", rustix::fs::XattrFlags::empty()).is_ok()
}

/// The host.
pub(crate) struct Host {
    root: TempDir,
}

impl Host {
    /// With an empty application folder, two key pairs and a configuration; the store's folder is there and empty.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "the stories need root: they mount, and give files to others");
        let host = Self { root: scratch() };
        for folder in ["app", "store", "state", "etc", "home"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        for name in ["identity.txt", "stranger.txt"] {
            shell(&format!("age-keygen -o '{}' 2>/dev/null", host.etc(name).display()));
        }
        host.configure("", "");
        host
    }

    /// With the small site: a database whose rows are still in its write-ahead log, uploads, and `.env`.
    pub(crate) fn with_a_small_site() -> Self {
        let host = Self::new();
        site::make(&host.path("app"));
        host
    }

    /// Another host with the same in it, below another folder.
    pub(crate) fn duplicate(&self) -> Self {
        let host = Self { root: scratch() };
        shell(&format!("cp -a '{}/.' '{}'", self.path("").display(), host.path("").display()));
        let config = fs::read_to_string(self.etc("shipshape.toml")).unwrap();
        let (old, new) = (self.root.path().to_str().unwrap(), host.root.path().to_str().unwrap());
        fs::write(host.etc("shipshape.toml"), config.replace(old, new)).unwrap();
        host
    }

    /// Writes the configuration: the usual, further lines of `[store]`, and further sections.
    pub(crate) fn configure(&self, store: &str, sections: &str) {
        let recipient = self.recipient("identity.txt");
        let encryption =
            if store.contains("encryption") { String::new() } else { format!("recipients = [{recipient:?}]\n") };
        let text = format!(
            "[app]\nname = \"site\"\ndir = {:?}\n\n[store]\nurl = {:?}\nhost = \"vps1\"\n{encryption}{store}\n\n[restore]\nidentity_file = {:?}\n\n{sections}\n",
            self.path("app").display().to_string(),
            self.path("store").display().to_string(),
            self.etc("identity.txt").display().to_string(),
        );
        fs::write(self.etc("shipshape.toml"), text).unwrap();
    }

    /// The public key of an identity in `etc`.
    pub(crate) fn recipient(&self, identity: &str) -> String {
        shell(&format!("age-keygen -y '{}'", self.etc(identity).display())).trim().to_owned()
    }

    /// Something below the host's folder: `app`, `store`, `state`, `etc`, `home`.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Something below the application's folder.
    pub(crate) fn app(&self, relative: &str) -> PathBuf {
        self.path("app").join(relative)
    }

    /// Something below the host's `etc`.
    pub(crate) fn etc(&self, relative: &str) -> PathBuf {
        self.path("etc").join(relative)
    }

    /// Something below the application's part of the store.
    pub(crate) fn stored(&self, relative: &str) -> PathBuf {
        self.path("store/vps1/site").join(relative)
    }

    /// Writes a file of the application, with the folders above it.
    pub(crate) fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) {
        let path = self.app(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Adds a row to the site's database.
    pub(crate) fn order(&self, customer: &str) {
        site::order(&self.app("data/app.db"), customer);
    }

    /// Sets permission bits of something below the host's folder.
    pub(crate) fn chmod(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A tool on this host, about to run in the application's folder.
    pub(crate) fn launch(&self, name: &str) -> Launch {
        self.program(tool(name))
    }

    /// Any program on this host, about to run in the application's folder.
    pub(crate) fn program(&self, program: impl Into<std::ffi::OsString>) -> Launch {
        Launch::new(program, &self.path("app"))
            .with("HOME", self.path("home"))
            .with("SHIPSHAPE_STATE", self.path("state"))
            .with("SHIPSHAPE_CONFIG", self.etc("shipshape.toml"))
    }

    /// Runs a tool to its end.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, words: &[&str]) -> Finished {
        self.launch(name).args(words).run()
    }

    /// Runs a line of shell on this host, with the tools on its PATH.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> Finished {
        self.program("bash").args(&["-o", "pipefail", "-c", line]).run()
    }

    /// Makes a snapshot, demands that all is well, and returns its id.
    #[track_caller]
    pub(crate) fn backup(&self) -> String {
        self.run("backup", &[]).exits_with(Exit::Ok).snapshot()
    }

    /// Makes a snapshot at that moment.
    #[track_caller]
    pub(crate) fn backup_at(&self, moment: &str) -> String {
        self.launch("backup").at(moment).run().exits_with(Exit::Ok).snapshot()
    }

    /// Restores into a new folder, which is returned with its guard.
    #[track_caller]
    pub(crate) fn restored(&self, snapshot: &str) -> Restored {
        let folder = scratch();
        let into = folder.path().join("restored");
        self.launch("restore").args(&[snapshot, "--into"]).args(&[&into]).run().exits_with(Exit::Ok);
        Restored { _folder: folder, path: into }
    }

    /// The application's tree, its database left out.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.path("app")).without(&DATABASE)
    }

    /// The ids that `backup list` shows, newest first. A folder that is no store yet has none.
    #[track_caller]
    pub(crate) fn listed(&self) -> Vec<String> {
        if !self.path("store/shipshape-store.json").exists() {
            return Vec::new();
        }
        ids(&self.run("backup", &["list"]).gets_done().data())
    }

    /// Demands that every snapshot that is listed is whole, and returns their ids, newest first.
    #[track_caller]
    pub(crate) fn listed_and_whole(&self) -> Vec<String> {
        let listed = self.listed();
        if listed.is_empty() {
            return listed;
        }
        let verified = self.run("restore", &["verify", "--all"]).exits_with(Exit::Ok);
        let data = verified.data();
        let whole = data["snapshots"].as_array().unwrap();
        assert!(whole.iter().all(|snapshot| snapshot["whole"] == true), "all are whole: {verified}");
        let mut seen = ids(&data);
        seen.sort_by(|a, b| b.cmp(a));
        assert_eq!(seen, listed, "what is listed is what is verified");
        listed
    }

    /// All files below the store, without locks.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let store = self.path("store");
        let files = walkdir::WalkDir::new(&store).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = files.filter(|entry| entry.file_type().is_file() && entry.file_name() != ".lock");
        files.map(|entry| entry.path().strip_prefix(&store).unwrap().to_owned()).collect()
    }

    /// Whether no object at all is in the store; its marker and locks do not count.
    pub(crate) fn store_is_empty(&self) -> bool {
        self.objects().iter().all(|object| object == Path::new("shipshape-store.json"))
    }

    /// Demands that nothing temporary is left in the store, the application, or where copies and caches are made.
    ///
    /// A draft of a few bytes beside the reports is forgiven: several tools write there without a lock, and none can tell
    /// whether another still needs it.
    #[track_caller]
    pub(crate) fn nothing_temporary_is_left(&self) {
        let folders = "store app state/tmp state/cache";
        let find = format!("cd '{}'; mkdir -p state/tmp state/cache; find {folders}", self.path("").display());
        let left = shell(&format!("{find} -name '.tmp-*' -o -name '.shipshape-restore-*'"));
        assert!(left.is_empty(), "temporary files are left: {left}");
    }
}

/// A snapshot that was restored into a folder of its own.
pub(crate) struct Restored {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Restored {
    /// Its tree, the site's database left out.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.path).without(&DATABASE)
    }

    /// What its database holds.
    pub(crate) fn rows(&self) -> String {
        rows(&self.path.join("data/app.db"))
    }
}

fn ids(data: &Value) -> Vec<String> {
    let snapshots = data["snapshots"].as_array().into_iter().flatten();
    snapshots.map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
}
