//! A small application, a writer of snapshots, and a look at trees: for tests.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use chrono::{TimeZone, Utc};
use clap::Parser;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use shipshape_core::archive::entry::{Bytes, Entry, Hash, Kind, Stored, Time, path_order};
use shipshape_core::archive::index::{self, Header, IndexWriter, Root, push_line};
use shipshape_core::archive::keys::{self, Recipients};
use shipshape_core::archive::manifest::{
    self, FileCounts, Manifest, Pack, Payload, PayloadKind, Sizes, Verified, pack_name,
};
use shipshape_core::archive::names::{self, Place, SnapshotId, Wrapping};
use shipshape_core::archive::seal::{Effort, PlainHash, Sealed, SealedWriter, Sealing};
use shipshape_core::archive::store::{self, MakeFolder};
use shipshape_core::archive::tarball::TarWriter;
use shipshape_core::config::{Compression, Encryption};
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};
use tempfile::TempDir;

use crate::cli::{Args, carry_out};
use crate::metadata::Metadata;
use crate::target::path_of;

/// A temporary folder in memory where there is one: a restore writes out the whole file system before it swaps.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A plain entry.
pub(crate) fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.as_bytes().into(),
        kind,
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Time(1_790_000_000, 123),
        ctime: Time(0, 0),
        ino: 1,
        size: 0,
        link: None,
        xattrs: vec![],
        sparse: false,
        stored: None,
    }
}

/// An application, a store and a key in a temporary folder.
pub(crate) struct Site {
    folder: TempDir,
}

/// What is special about a snapshot.
#[derive(Clone)]
pub(crate) struct Made {
    /// The hour of its id.
    pub(crate) hour: u32,
    /// Files in a pack.
    pub(crate) files_in_a_pack: usize,
    /// Files that go into the configuration payload.
    pub(crate) config: Vec<&'static str>,
    /// Databases: name and path.
    pub(crate) sqlite: Vec<(&'static str, &'static str)>,
    /// What is left out: a name of a folder or file directly in the application's folder.
    pub(crate) exclude: Vec<&'static str>,
    /// Sources beside the application's folder.
    pub(crate) outside: Vec<&'static str>,
    /// What was asked for.
    pub(crate) only: Vec<String>,
    /// Whether something could not be read.
    pub(crate) partial: bool,
    /// What it has much less of than there was.
    pub(crate) shrunk: Vec<String>,
    /// How it is wrapped.
    pub(crate) wrapping: Wrapping,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            hour: 2,
            files_in_a_pack: 3,
            config: vec![],
            sqlite: vec![],
            exclude: vec![],
            outside: vec![],
            only: vec![],
            partial: false,
            shrunk: vec![],
            wrapping: Wrapping { compression: Compression::Zstd, encryption: Encryption::Age },
        }
    }
}

impl Site {
    /// An application without files, an empty store, a key.
    pub(crate) fn empty() -> Self {
        let site = Self { folder: scratch() };
        fs::create_dir(site.app()).unwrap();
        let (secret, public) = keys::generate(Utc::now());
        for (name, text) in [("key", secret.expose()), ("key.pub", public.as_str())] {
            fs::write(site.path(name), text).unwrap();
            fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let url = site.path("store").display().to_string();
        store::open_or_create(&url, MakeFolder::Yes, "0".repeat(32)).unwrap();
        site
    }

    /// One with files of all kinds.
    pub(crate) fn small() -> Self {
        let site = Self::empty();
        for number in 0..8 {
            site.write(&format!("uploads/{}/{number}.jpg", number % 3), &vec![number; 1000 * usize::from(number)]);
        }
        site.write("readme", b"read me");
        site.write("data/app.db", b"SQLite format 3\0 as if");
        site.write(".env", b"SECRET=1");
        symlink("/nowhere/at/all", site.app().join("absolute")).unwrap();
        symlink("uploads", site.app().join("link")).unwrap();
        fs::hard_link(site.app().join("readme"), site.app().join("uploads/again")).unwrap();
        mknodat(CWD, site.app().join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::create_dir_all(site.app().join("cache/empty")).unwrap();
        fs::set_permissions(site.app().join("uploads/0"), fs::Permissions::from_mode(0o2750)).unwrap();
        fs::set_permissions(site.app().join("readme"), fs::Permissions::from_mode(0o4711)).unwrap();
        let file = File::options().write(true).open(site.app().join("readme")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_nanos(1_500_000_001)).unwrap();
        site
    }

    /// The application's folder.
    pub(crate) fn app(&self) -> PathBuf {
        self.path("app")
    }

    /// The folder of all.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Something beside it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Writes a file of the application.
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.app().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a file of the application.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.app().join(path)).unwrap_or_else(|_| "(none)".to_owned())
    }

    /// Runs `restore` with these words, and those that name store, key, state and application.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Outcome, Failure> {
        self.run_with_key(words, "key")
    }

    /// The same with another key, or none.
    pub(crate) fn run_with_key(&self, words: &[&str], key: &str) -> Result<Outcome, Failure> {
        let mut line: Vec<OsString> = vec!["restore".into()];
        line.extend(words.iter().map(OsString::from));
        let folders = [("--store", "store"), ("--state", "state"), ("--app", "app")];
        let key = (!key.is_empty()).then_some(("--identity", key));
        for (flag, name) in folders.into_iter().chain(key) {
            line.push(flag.into());
            line.push(self.path(name).into());
        }
        let args = Args::try_parse_from(line).unwrap();
        let run = Run::start("restore", "0", &args.common);
        carry_out(&run, &args)
    }

    /// The objects of the store, without the marker.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let all = files_below(&self.path("store"));
        all.into_iter().filter(|path| path.file_name().unwrap() != "shipshape-store.json").collect()
    }

    /// Makes a snapshot of what is there.
    pub(crate) fn snapshot(&self, made: &Made) -> Manifest {
        Writer::new(self, made).write()
    }
}

/// All files below a folder, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

struct Writer<'a> {
    site: &'a Site,
    made: &'a Made,
    id: SnapshotId,
    place: Place,
    recipients: Recipients,
}

impl<'a> Writer<'a> {
    fn new(site: &'a Site, made: &'a Made) -> Self {
        let id = SnapshotId::new(Utc.with_ymd_and_hms(2026, 11, 20, made.hour, 0, 0).unwrap(), 0x7f3a);
        let host = shipshape_core::machine::host_name();
        let recipients = Recipients::read(&[], Some(&site.path("key.pub"))).unwrap();
        Self { site, made, id, place: Place { host, app: "app".to_owned() }, recipients }
    }

    fn write(&self) -> Manifest {
        let (store, marker) = store::open(&self.site.path("store").display().to_string()).unwrap();
        let sealing = Sealing {
            store: store.as_ref(),
            place: &self.place,
            wrapping: self.made.wrapping,
            recipients: &self.recipients,
        };
        let mut entries = self.entries();
        let apart: Vec<&str> = self.made.config.iter().copied().chain(self.made.sqlite.iter().map(|it| it.1)).collect();
        let is_apart = |entry: &Entry| apart.iter().any(|path| path.as_bytes() == entry.path.0);
        let singles: Vec<Entry> = entries.extract_if(.., |entry| is_apart(entry)).collect();
        let plain = entries.iter().chain(&singles).map(|entry| entry.size).sum();
        let packs = self.packs(sealing, &mut entries);
        let mut payloads = vec![self.index(sealing, &entries)];
        let find = |path: &str| singles.iter().find(|entry| entry.path.0 == path.as_bytes()).unwrap().clone();
        if !self.made.config.is_empty() {
            let files: Vec<Entry> = self.made.config.iter().map(|path| find(path)).collect();
            payloads.push(self.tar(sealing, "config", PayloadKind::Config, &files));
        }
        for (name, path) in &self.made.sqlite {
            payloads.push(self.tar(sealing, name, PayloadKind::Sqlite, &[find(path)]));
        }
        payloads.retain(|payload| self.made.only.is_empty() || self.made.only.contains(&payload.name));
        let manifest = self.manifest(marker.id, payloads, packs, &entries);
        let manifest = Manifest { bytes: Sizes { plain, stored: 1 }, ..manifest };
        store.put_new(&self.place.key(&names::manifest(&self.id)), &manifest.encode().unwrap()).unwrap();
        manifest
    }

    fn manifest(&self, store: String, payloads: Vec<Payload>, packs: Vec<Pack>, entries: &[Entry]) -> Manifest {
        let now = Utc::now();
        let total = entries.iter().filter(|entry| entry.kind == Kind::File).count() as u64;
        Manifest {
            format: manifest::FORMAT,
            id: self.id.clone(),
            store,
            host: self.place.host.clone(),
            app: self.place.app.clone(),
            started: now,
            finished: now,
            tool_version: "0".to_owned(),
            tags: vec![],
            only: self.made.only.clone(),
            compression: self.made.wrapping.compression,
            encryption: self.made.wrapping.encryption,
            recipients: self.recipients.texts(),
            previous: None,
            payloads,
            packs,
            files: FileCounts { total, new: total, ..FileCounts::default() },
            bytes: Sizes::default(),
            partial: self.made.partial,
            shrunk: self.made.shrunk.clone(),
            verified: Verified { how: "read-back".to_owned(), at: now },
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let app = self.site.app();
        let mut entries = vec![entry_of(&app, ".")];
        let mut firsts = HashMap::new();
        let mut paths = paths_below(&app);
        paths.sort_by(|a, b| path_order(a, b));
        for path in paths {
            let top = path.split(|byte| *byte == b'/').next().unwrap();
            let is_ours = top.starts_with(b".shipshape-");
            if is_ours || self.made.exclude.iter().any(|name| name.as_bytes() == top) {
                continue;
            }
            let mut entry = entry_of(&app.join(path_of(&path)), "");
            entry.path = Bytes(path.clone());
            if entry.kind == Kind::File {
                let first = firsts.entry(entry.ino).or_insert_with(|| path.clone());
                if *first != path {
                    entry = Entry { kind: Kind::Hardlink, link: Some(Bytes(first.clone())), size: 0, ..entry };
                }
            }
            entries.push(entry);
        }
        self.made.outside.iter().for_each(|name| entries.extend(self.outside(name)));
        entries.sort_by(|a, b| path_order(&a.path.0, &b.path.0));
        entries
    }

    fn outside(&self, name: &str) -> Vec<Entry> {
        let source = self.site.path(name);
        let mut paths = vec![source.clone()];
        if source.is_dir() {
            paths.extend(paths_below(&source).iter().map(|path| source.join(path_of(path))));
        }
        let named = |path: &PathBuf| entry_of(path, path.to_str().unwrap().trim_start_matches('/'));
        paths.iter().map(named).collect()
    }

    /// The first half of the files in order, then the other half backwards, so that the packs are not in path order.
    fn packs(&self, sealing: Sealing<'_>, entries: &mut [Entry]) -> Vec<Pack> {
        let files: Vec<usize> =
            (0..entries.len()).filter(|at| entries[*at].kind == Kind::File && entries[*at].size > 0).collect();
        let (first, second) = files.split_at(files.len() / 2);
        let order: Vec<usize> = first.iter().chain(second.iter().rev()).copied().collect();
        let mut packs = Vec::new();
        let mut by_content: HashMap<Vec<u8>, Stored> = HashMap::new();
        for (number, some) in order.chunks(self.made.files_in_a_pack).enumerate() {
            let object = names::pack(&self.id, u32::try_from(number).unwrap() + 1, self.made.wrapping);
            let writer = SealedWriter::create(sealing, object.clone(), Effort::Usual, PlainHash::None).unwrap();
            let mut tar = TarWriter::new(writer);
            for at in some {
                let content = self.content(&entries[*at]);
                let stored = by_content.entry(content.clone()).or_insert_with(|| {
                    let offset = tar.begin_file(&entries[*at], None).unwrap();
                    tar.data(&content).unwrap();
                    tar.end_file().unwrap();
                    let blake3 = Hash(*blake3::hash(&content).as_bytes());
                    Stored { pack: pack_name(&object).to_owned(), offset, blake3 }
                });
                entries[*at].stored = Some(stored.clone());
            }
            packs.push(Pack::from_sealed(tar.finish().unwrap().finish().unwrap(), 0));
        }
        packs
    }

    fn content(&self, entry: &Entry) -> Vec<u8> {
        let inside = fs::read(self.site.app().join(path_of(&entry.path.0)));
        inside.or_else(|_| fs::read(Path::new("/").join(path_of(&entry.path.0)))).unwrap()
    }

    fn index(&self, sealing: Sealing<'_>, entries: &[Entry]) -> Payload {
        let object = names::payload(&self.id, "files.index", self.made.wrapping);
        let writer = SealedWriter::create(sealing, object, Effort::Usual, PlainHash::Sha256).unwrap();
        let app_dir = Bytes(self.site.app().as_os_str().as_bytes().to_vec());
        let outside = self.made.outside.iter().map(|name| {
            let path = self.site.path(name).as_os_str().as_bytes().to_vec();
            Root { prefix: Bytes(path[1..].to_vec()), path: Bytes(path), volume: None }
        });
        let header = Header {
            format: index::FORMAT,
            app_dir: app_dir.clone(),
            roots: [Root { prefix: b".".as_slice().into(), path: app_dir, volume: None }]
                .into_iter()
                .chain(outside)
                .collect(),
            exclude: self.made.exclude.iter().map(|name| (*name).to_owned()).collect(),
            started: Utc::now(),
        };
        let mut index = IndexWriter::new(writer, &header).unwrap();
        let mut lines = Vec::new();
        for entry in entries {
            push_line(&mut lines, entry);
        }
        index.write_lines(&lines, entries.len() as u64).unwrap();
        payload("files", PayloadKind::Files, entries.len(), index.into_inner().finish().unwrap())
    }

    fn tar(&self, sealing: Sealing<'_>, name: &str, kind: PayloadKind, entries: &[Entry]) -> Payload {
        let object = names::payload(&self.id, &format!("{name}.tar"), self.made.wrapping);
        let writer = SealedWriter::create(sealing, object, Effort::Usual, PlainHash::Sha256).unwrap();
        let mut tar = TarWriter::new(writer);
        for entry in entries {
            tar.begin_file(entry, None).unwrap();
            tar.data(&self.content(entry)).unwrap();
            tar.end_file().unwrap();
        }
        payload(name, kind, entries.len(), tar.finish().unwrap().finish().unwrap())
    }
}

fn payload(name: &str, kind: PayloadKind, entries: usize, sealed: Sealed) -> Payload {
    Payload {
        name: name.to_owned(),
        kind,
        object: sealed.object,
        bytes_plain: sealed.bytes_plain,
        bytes_stored: sealed.bytes_stored,
        sha256_plain: sealed.sha256_plain.unwrap(),
        sha256_stored: sealed.sha256_stored,
        entries: entries as u64,
        database: None,
    }
}

/// All paths below a folder, relative to it.
fn paths_below(folder: &Path) -> Vec<Vec<u8>> {
    fn add(folder: &Path, above: &[u8], found: &mut Vec<Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mut path = above.to_vec();
            path.extend_from_slice(entry.file_name().as_bytes());
            if entry.file_type().unwrap().is_dir() {
                add(&entry.path(), &[path.as_slice(), b"/"].concat(), found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    add(folder, b"", &mut found);
    found
}

fn entry_of(source: &Path, path: &str) -> Entry {
    let facts = fs::symlink_metadata(source).unwrap();
    let kind = match facts.file_type() {
        kind if kind.is_dir() => Kind::Dir,
        kind if kind.is_symlink() => Kind::Symlink,
        kind if kind.is_fifo() => Kind::Fifo,
        _ => Kind::File,
    };
    let has_attributes = matches!(kind, Kind::Dir | Kind::File);
    let attributes = has_attributes.then(|| Metadata::read(File::open(source).unwrap().as_fd()).unwrap().attributes);
    Entry {
        mode: facts.mode() & 0o7777,
        uid: facts.uid(),
        gid: facts.gid(),
        mtime: Time(facts.mtime(), u32::try_from(facts.mtime_nsec()).unwrap()),
        ino: facts.ino(),
        size: if kind == Kind::File { facts.len() } else { 0 },
        sparse: kind == Kind::File && facts.blocks() * 512 < facts.len(),
        link: (kind == Kind::Symlink).then(|| Bytes(fs::read_link(source).unwrap().as_os_str().as_bytes().to_vec())),
        xattrs: attributes.unwrap_or_default(),
        ..entry(path, kind)
    }
}

/// Everything about a tree that a restore must bring back: by path, what it is, and with which other paths it is one file.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut inodes: HashMap<u64, String> = HashMap::new();
    let mut paths = paths_below(folder);
    paths.retain(|path| !path.starts_with(b".shipshape-"));
    paths.push(b".".to_vec());
    paths.sort_by(|a, b| path_order(a, b));
    for path in paths {
        let source = folder.join(path_of(&path));
        let Entry { kind, mode, uid, gid, mtime, size, link, xattrs, ino, .. } = entry_of(&source, "");
        let shown = Bytes(path).shown();
        let first = inodes.entry(ino).or_insert_with(|| shown.clone()).clone();
        let content = (kind == Kind::File).then(|| blake3::hash(&fs::read(&source).unwrap()).to_hex());
        seen.insert(
            shown,
            format!("{kind:?} {mode:o} {uid}:{gid} {mtime:?} {size} {link:?} {xattrs:?} {first} {content:?}"),
        );
    }
    seen
}

/// A tar of entries with their contents, as some tool may write it.
pub(crate) fn tar_of(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        if entry.kind == Kind::File {
            let size = content.len() as u64;
            tar.begin_file(&Entry { size, ..entry.clone() }, None).unwrap();
            tar.data(content).unwrap();
            tar.end_file().unwrap();
        } else {
            tar.append_empty(entry).unwrap();
        }
    }
    tar.finish().unwrap()
}

/// The same compressed as the old script does.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}
