//! What mounts show of a certificate: those that hold on to an old one are found before one is ordered that nobody would see.
//!
//! A mount of a single file is a mount of its inode: a file that takes its place is not seen in the container, ever. And
//! the engine follows links when it makes a container: a mount of `live/NAME`, which is a link, is one of the version that
//! it led to on that day.
//!
//! And the other way round: which services see a certificate by their mounts, and so are those that take it.

use std::fmt;
use std::path::{Path, PathBuf};

use shipshape_core::config::InstallKind;
use shipshape_core::path::clean;
use shipshape_core::report::Notice;
use shipshape_core::stack::{Mount, MountSource, Service, Stack};

use super::DeployError;
use crate::files::Lineage;

/// What lies in `live/NAME`.
const FILES: [&str; 4] = ["fullchain.pem", "privkey.pem", "chain.pem", "cert.pem"];

/// A mount that would show the old certificate for ever: of this machine's side, as the stack has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pinned {
    /// A single file.
    File(PathBuf),
    /// A folder that the engine reached by a link, or out of which the link leads.
    Folder(PathBuf),
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the single file {}", path.display()),
            Self::Folder(path) => write!(f, "the folder {}", path.display()),
        }
    }
}

impl Pinned {
    /// What it means, and what to mount instead.
    fn notice(&self, service: &str, folder: &Path) -> Notice {
        let folder = folder.display();
        Notice::new(
            "deploy.pinned",
            format!("the service `{service}` would keep the old certificate: it mounts {self}"),
            format!("mount the folder above instead, {folder}:{folder}:ro, or say install = \"in-place\""),
        )
    }
}

/// The mounts by which this service would not see a new certificate. In-place writing suits them all.
pub(crate) fn pinned(
    stack: &dyn Stack,
    service: &str,
    lineage: &Lineage,
    install: InstallKind,
) -> Result<Vec<Notice>, DeployError> {
    if install == InstallKind::InPlace {
        return Ok(Vec::new());
    }
    // A service that is not described has no mounts that we could know of (a unit of systemd).
    let found = stack.services()?.into_iter().find(|found| found.name == service);
    let mounts = found.map(|found| found.mounts).unwrap_or_default();
    let place = Place::of(&lineage.live());
    let pinned = mounts.iter().filter_map(|mount| place.pinned(mount, &mounts));
    Ok(pinned.map(|pinned| pinned.notice(service, &place.folder)).collect())
}

/// How much a service sees of the place of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    /// A folder far above it, with all that lies there.
    Above,
    /// Itself: the folder that holds `live`, or something in it that is this certificate's.
    Itself,
}

/// What a service sees of the certificate in `live/NAME`; none where no mount of it shows anything.
pub(super) fn sight(service: &Service, live: &Path) -> Option<Sight> {
    let place = Place::of(live);
    service.mounts.iter().filter_map(|mount| place.sight(mount)).max()
}

/// The folders of one certificate.
struct Place {
    /// The folder that holds `live` and `archive`: mounted whole, links lead where they should.
    folder: PathBuf,
    /// `live/NAME`.
    live: PathBuf,
    /// `archive/NAME`.
    archive: PathBuf,
}

impl Place {
    fn of(live: &Path) -> Self {
        let live = clean(live);
        let folder = live.ancestors().nth(2).unwrap_or(&live).to_owned();
        let archive = folder.join("archive").join(live.file_name().unwrap_or_default());
        Self { folder, live, archive }
    }

    fn pinned(&self, mount: &Mount, all: &[Mount]) -> Option<Pinned> {
        let source = source(mount)?;
        let is_all_live = is_same(&source, &self.folder.join("live"));
        if is_all_live && !self.has_archive_beside(mount, all) {
            return Some(Pinned::Folder(source));
        }
        if is_all_live || is_same(&source, &self.folder) {
            return None;
        }
        let is_below = source != self.archive && source.starts_with(&self.archive);
        let is_folder = is_same(&source, &self.live) || (is_below && source.is_dir());
        let is_file = source.starts_with(&self.live)
            || is_below
            || FILES.iter().any(|file| is_same(&source, &self.live.join(file)));
        match (is_folder, is_file) {
            (true, _) => Some(Pinned::Folder(source)),
            (false, true) => Some(Pinned::File(source)),
            (false, false) => None,
        }
    }

    fn sight(&self, mount: &Mount) -> Option<Sight> {
        let source = source(mount)?;
        let is_in_it = [&self.live, &self.archive].iter().any(|own| source.starts_with(own))
            || [&self.folder, &self.folder.join("live"), &self.live].iter().any(|own| is_same(&source, own))
            || FILES.iter().any(|file| is_same(&source, &self.live.join(file)));
        let is_above = || real(&self.folder).starts_with(real(&source)) || self.folder.starts_with(&source);
        if is_in_it { Some(Sight::Itself) } else { is_above().then_some(Sight::Above) }
    }

    /// Whether a mount of `live` has the one of `archive` where its links lead to.
    fn has_archive_beside(&self, live: &Mount, all: &[Mount]) -> bool {
        let expected = live.target.parent().map(|above| above.join("archive"));
        let is_it = |mount: &Mount| {
            let leads_there = source(mount).is_some_and(|source| is_same(&source, &self.folder.join("archive")));
            leads_there && Some(clean(&mount.target)) == expected.as_deref().map(clean)
        };
        all.iter().any(is_it)
    }
}

/// The place on this machine that is mounted.
fn source(mount: &Mount) -> Option<PathBuf> {
    match &mount.source {
        MountSource::Path(path) => Some(clean(path)),
        // A volume cannot lie below a folder of ours but by somebody's doing, and then it is a folder.
        MountSource::Volume(_) | MountSource::Anonymous | MountSource::Nothing => None,
    }
}

/// Whether both are one place, by whatever links. What is not there yet is compared as it is written.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || real(one) == real(other)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::deploy::testing::{self, Fake};

    /// A folder with one certificate in two versions, the second one in use.
    fn folder() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        for version in ["0001", "0002"] {
            let version = folder.path().join("archive/a.test").join(version);
            fs::create_dir_all(&version).unwrap();
            for file in FILES {
                fs::write(version.join(file), "x").unwrap();
            }
        }
        fs::create_dir(folder.path().join("live")).unwrap();
        symlink("../archive/a.test/0002", folder.path().join("live/a.test")).unwrap();
        let place = Place::of(&folder.path().join("live/a.test"));
        (folder, place)
    }

    fn mount(source: PathBuf, target: &str) -> Mount {
        Mount { source: MountSource::Path(source), target: target.into(), read_only: true }
    }

    /// What is said of one mount alone.
    fn told(place: &Place, source: &str) -> Option<Pinned> {
        let mount = mount(place.folder.join(source), "/certs");
        place.pinned(&mount, std::slice::from_ref(&mount))
    }

    #[test]
    fn a_single_file_is_found_by_whatever_way_it_is_named() {
        let (folder, place) = folder();
        symlink(folder.path().join("live/a.test/privkey.pem"), folder.path().join("key")).unwrap();
        for file in ["live/a.test/fullchain.pem", "live/./b/../a.test/cert.pem", "archive/a.test/0001/chain.pem", "key"]
        {
            let expected = Pinned::File(clean(&place.folder.join(file)));
            assert_eq!(told(&place, file), Some(expected), "{file}");
        }
    }

    #[test]
    fn a_folder_below_the_link_is_found() {
        let (folder, place) = folder();
        symlink("live/a.test", folder.path().join("current")).unwrap();
        for source in ["live/a.test", "live", "archive/a.test/0002", "current"] {
            let expected = Pinned::Folder(place.folder.join(source));
            assert_eq!(told(&place, source), Some(expected), "{source}");
        }
    }

    #[test]
    fn a_mount_of_the_whole_folder_or_of_something_else_is_good() {
        let (folder, place) = folder();
        fs::create_dir_all(folder.path().join("live/b.test")).unwrap();
        for source in ["", "..", "live/b.test", "live/b.test/fullchain.pem", "archive/a.test", "live/a.tests"] {
            assert_eq!(told(&place, source), None, "{source}");
        }
        let volume = Mount { source: MountSource::Volume("certs".to_owned()), ..mount("/".into(), "/certs") };
        assert_eq!(place.pinned(&volume, &[]), None);
    }

    #[test]
    fn both_halves_may_be_mounted_where_the_links_between_them_hold() {
        let (_folder, place) = folder();
        let live = mount(place.folder.join("live"), "/etc/letsencrypt/live");
        let beside = [live.clone(), mount(place.folder.join("archive"), "/etc/letsencrypt/archive/")];
        assert_eq!(place.pinned(&live, &beside), None);
        let elsewhere = [live.clone(), mount(place.folder.join("archive"), "/archive")];
        assert_eq!(place.pinned(&live, &elsewhere), Some(Pinned::Folder(place.folder.join("live"))));
    }

    #[test]
    fn a_service_that_would_keep_the_old_certificate_is_told_with_what_to_mount_instead() {
        let (folder, place) = folder();
        let mounts = ["live/a.test/fullchain.pem", "live/a.test/privkey.pem", "www"];
        let mounts = mounts.map(|source| mount(place.folder.join(source), "/x")).to_vec();
        let stack = Fake { services: vec![testing::service("web", mounts)], ..Fake::default() };
        let found = |service, install| {
            let lineage = Lineage::new(folder.path(), "a.test", install, None, None);
            pinned(&stack, service, &lineage, install).unwrap()
        };
        let notices = found("web", InstallKind::Versioned);
        assert_eq!(notices.len(), 2, "{notices:?}");
        let (file, above) = (place.folder.join("live/a.test/fullchain.pem"), place.folder.display());
        let expected =
            format!("the service `web` would keep the old certificate: it mounts the single file {}", file.display());
        assert_eq!((notices[0].code.as_str(), &notices[0].message), ("deploy.pinned", &expected));
        assert!(notices[0].hint.contains(&format!("{above}:{above}:ro")), "{}", notices[0].hint);
        assert!(found("web", InstallKind::InPlace).is_empty(), "files that are written over suit such mounts");
        assert!(found("unit", InstallKind::Versioned).is_empty());
    }

    #[test]
    fn what_shows_a_certificate_is_told_from_what_shows_all_around_it() {
        let (folder, place) = folder();
        symlink(folder.path(), folder.path().join("archive/link")).unwrap();
        let seen = |source: &str| place.sight(&mount(place.folder.join(source), "/x"));
        let own = ["", "live", "live/a.test", "live/a.test/privkey.pem", "live/.", "archive/a.test", "archive/link"];
        for source in own.into_iter().chain(["archive/a.test/0002/fullchain.pem"]) {
            assert_eq!(seen(source), Some(Sight::Itself), "{source}");
        }
        for source in ["..", "/", "live/../.."] {
            assert_eq!(seen(source), Some(Sight::Above), "{source}");
        }
        for source in ["live/b.test", "archive/b.test", "archive", "www", "live/a.tests"] {
            assert_eq!(seen(source), None, "{source}");
        }
        let mounts = ["..", "live/a.test"].map(|source| mount(place.folder.join(source), "/x")).to_vec();
        assert_eq!(sight(&testing::service("web", mounts), &place.live), Some(Sight::Itself), "the most of it counts");
        assert_eq!(sight(&testing::service("db", Vec::new()), &place.live), None);
    }

    #[test]
    fn what_is_not_there_yet_is_judged_by_its_name() {
        let place = Place::of(Path::new("/no/such/folder/live/a.test"));
        assert!(matches!(told(&place, "live/a.test/fullchain.pem"), Some(Pinned::File(_))));
        assert!(matches!(told(&place, "live/a.test"), Some(Pinned::Folder(_))));
        assert_eq!(told(&place, ""), None);
    }
}
