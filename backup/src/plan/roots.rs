//! The trees of files that are taken, in the order of the index, none inside another.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shipshape_core::archive::entry::{Bytes, path_order};
use shipshape_core::archive::index::Root;
use shipshape_core::path::clean;

use super::PlanError;

/// The roots in the order of the index. One inside another is part of it already.
pub(super) fn stated(app_dir: &Path, files: &[PathBuf]) -> Result<Vec<Root>, PlanError> {
    let everything = [PathBuf::from(".")];
    let files = if files.is_empty() { &everything } else { files };
    let roots: Result<Vec<Root>, PlanError> = files.iter().map(|path| root(app_dir, &app_dir.join(path))).collect();
    Ok(sorted(roots?))
}

/// Adds what services keep elsewhere. What the owner's sources hold anyway is not taken twice; where one of them is a
/// volume, it is known for one.
pub(super) fn with_kept(mut stated: Vec<Root>, kept: Vec<Root>) -> Vec<Root> {
    for root in kept {
        match stated.iter_mut().find(|other| root.source().starts_with(other.source())) {
            Some(same) if same.prefix == root.prefix => same.volume = root.volume,
            Some(_) => {}
            None => stated.push(root),
        }
    }
    sorted(stated)
}

/// Adds single files that the sources do not hold.
pub(super) fn with_files(roots: Vec<Root>, app_dir: &Path, files: &[PathBuf]) -> Vec<Root> {
    let is_held = |file: &Path| roots.iter().any(|root| file.starts_with(root.source()));
    let missing: Vec<Root> =
        files.iter().filter(|file| !is_held(file)).filter_map(|file| root(app_dir, file).ok()).collect();
    sorted(roots.into_iter().chain(missing).collect())
}

fn sorted(mut roots: Vec<Root>) -> Vec<Root> {
    roots.sort_by(|a, b| path_order(&a.prefix.0, &b.prefix.0));
    let all = roots.clone();
    let inside = |root: &Root| all.iter().any(|other| other != root && is_part_of(root, other));
    roots.retain(|root| !inside(root));
    roots.dedup();
    roots
}

/// Whether a root is met anyway by walking over another.
fn is_part_of(root: &Root, other: &Root) -> bool {
    let (prefix, above) = (root.prefix.0.as_slice(), other.prefix.0.as_slice());
    let below = above == b"." || prefix.strip_prefix(above).is_some_and(|rest| rest.starts_with(b"/"));
    below && root.source().starts_with(other.source())
}

/// A root that is itself a link stands for what it links to: whoever names `uploads` means the uploads.
fn root(app_dir: &Path, path: &Path) -> Result<Root, PlanError> {
    let missing = |cause| PlanError::MissingSource { path: path.to_owned(), cause };
    let source = path.canonicalize().map_err(missing)?;
    Ok(Root { prefix: prefix_of(app_dir, &clean(path)), path: source.as_os_str().as_bytes().into(), volume: None })
}

/// A path as the index names it: relative to the application's folder, or absolute without its leading slash.
pub(super) fn prefix_of(app_dir: &Path, path: &Path) -> Bytes {
    let path = clean(path);
    let relative = path.strip_prefix(app_dir).unwrap_or_else(|_| path.strip_prefix("/").unwrap_or(&path));
    match relative.as_os_str().as_bytes() {
        b"" => b".".as_slice().into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipshape_core::error::Explain;

    fn prefixes(app_dir: &Path, files: &[&str]) -> Vec<String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        stated(app_dir, &files).unwrap().iter().map(|root| root.prefix.shown()).collect()
    }

    #[test]
    fn a_root_inside_another_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(app.join("a/b")).unwrap();
        std::fs::create_dir_all(app.join("a-c")).unwrap();
        assert_eq!(prefixes(&app, &["a/b", "a", "a-c"]), ["a", "a-c"]);
        assert_eq!(prefixes(&app, &["a", "."]), ["."]);
        assert_eq!(prefixes(&app, &[]), ["."]);
        assert_eq!(prefixes(&app, &["./a/../a-c/"]), ["a-c"]);
    }

    #[test]
    fn a_root_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = stated(folder.path(), &[PathBuf::from("uploads")]).unwrap_err();
        assert_eq!(refused.code(), "source.missing");
    }

    #[test]
    fn a_root_that_is_a_link_stands_for_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().canonicalize().unwrap().join("app");
        std::fs::create_dir_all(&app).unwrap();
        std::fs::create_dir_all(folder.path().join("shared")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("shared"), app.join("uploads")).unwrap();
        let found = stated(&app, &[PathBuf::from("uploads")]).unwrap();
        assert_eq!(found[0].prefix.shown(), "uploads");
        assert!(found[0].source().ends_with("shared"));
    }

    fn at(prefix: &str, path: &str, volume: Option<&str>) -> Root {
        let volume = volume.map(str::to_owned);
        Root { prefix: prefix.as_bytes().into(), path: path.as_bytes().into(), volume }
    }

    #[test]
    fn what_services_keep_elsewhere_is_taken_once() {
        let stated = vec![at(".", "/srv/app", None), at("mnt/v", "/mnt/v", None), at("up", "/mnt/up", None)];
        let kept = vec![
            at("mnt/v", "/mnt/v", Some("p_v")),
            at("mnt/up/x", "/mnt/up/x", None),
            at("a/vol", "/a/vol", Some("p_vol")),
        ];
        let found = with_kept(stated, kept);
        let told: Vec<_> = found.iter().map(|root| (root.prefix.shown(), root.volume.as_deref())).collect();
        let expected = [(".", None), ("a/vol", Some("p_vol")), ("mnt/v", Some("p_v")), ("up", None)];
        assert_eq!(told, expected.map(|(prefix, volume)| (prefix.to_owned(), volume)));
    }

    #[test]
    fn single_files_are_added_where_no_source_holds_them() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().canonicalize().unwrap();
        std::fs::create_dir(app.join("uploads")).unwrap();
        for name in ["compose.yaml", "uploads/x.env"] {
            shipshape_core::atomic::replace(&app.join(name), b"x").unwrap();
        }
        let files = ["compose.yaml", "uploads/x.env", "gone.yaml"].map(|name| app.join(name));
        let roots = with_files(stated(&app, &["uploads".into()]).unwrap(), &app, &files);
        assert_eq!(roots.iter().map(|root| root.prefix.shown()).collect::<Vec<_>>(), ["compose.yaml", "uploads"]);
    }
}
