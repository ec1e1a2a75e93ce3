//! Patterns over paths: what to leave out, what to pick.
//!
//! A pattern without a slash means a name at any depth (`*.log`, `node_modules`). One with a slash is relative to the
//! application's folder (`storage/cache`, `/tmp`). `*` stays within one name, `**` does not. A slash at the end means
//! folders only. What matches a folder matches everything below it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::Explain;
use crate::exit::Exit;

/// The text is not a pattern.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is not a pattern")]
pub struct PatternError {
    pattern: String,
    #[source]
    cause: globset::Error,
}

impl Explain for PatternError {
    fn code(&self) -> &'static str {
        "pattern.invalid"
    }

    fn hint(&self) -> String {
        "patterns look like *.log, node_modules or storage/cache/**; quote them against the shell".to_owned()
    }

    fn exit(&self) -> Exit {
        Exit::Unknown
    }
}

/// A set of patterns.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// For anything.
    any: GlobSet,
    /// For folders alone.
    folders: GlobSet,
    texts: Vec<String>,
}

/// Whether a path is a folder, as far as patterns mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

impl Patterns {
    /// Compiles patterns.
    pub fn new(texts: &[String]) -> Result<Self, PatternError> {
        let (mut any, mut folders) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in texts {
            let refused = |cause| PatternError { pattern: text.clone(), cause };
            let builder = if text.ends_with('/') { &mut folders } else { &mut any };
            let glob = GlobBuilder::new(&anchored(text)).literal_separator(true).backslash_escape(true).build();
            builder.add(glob.map_err(refused)?);
        }
        let build =
            |builder: GlobSetBuilder| builder.build().map_err(|cause| PatternError { pattern: texts.join(" "), cause });
        Ok(Self { any: build(any)?, folders: build(folders)?, texts: texts.to_vec() })
    }

    /// The pattern that means exactly this path, from the application's folder on.
    pub fn literal(path: &[u8]) -> String {
        let mut pattern = String::from("/");
        for chunk in path.utf8_chunks() {
            for c in chunk.valid().chars() {
                if r"\*?[]{}!,".contains(c) {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
            // What is not UTF-8 has no letter: any will do, byte by byte.
            pattern.extend(chunk.invalid().iter().map(|_| '?'));
        }
        pattern
    }

    /// The patterns as they were written.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether this very path matches; whoever walks from the top down needs no more.
    pub fn matches(&self, path: &[u8], is: Is) -> bool {
        if self.is_empty() {
            return false;
        }
        let path = Path::new(OsStr::from_bytes(path));
        self.any.is_match(path) || (is == Is::Folder && self.folders.is_match(path))
    }

    /// Whether this path or a folder above it matches.
    pub fn covers(&self, path: &[u8], is: Is) -> bool {
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        self.matches(path, is) || above.into_iter().any(|folder| self.matches(folder, Is::Folder))
    }
}

/// The same pattern as globset understands it: always from the application's folder on.
fn anchored(text: &str) -> String {
    let plain = text.trim_end_matches('/');
    match plain.strip_prefix('/').or_else(|| plain.strip_prefix("./")) {
        Some(from_root) => from_root.to_owned(),
        None if plain.contains('/') => plain.to_owned(),
        None => format!("**/{plain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        Patterns::new(&[pattern.to_owned()]).unwrap().covers(path.as_bytes(), Is::Other)
    }

    #[test]
    fn a_bare_name_is_meant_at_any_depth_with_all_below_it() {
        assert!(covers("node_modules", "node_modules/a/b.js"));
        assert!(covers("node_modules", "web/node_modules/a"));
        assert!(covers("*.log", "storage/logs/today.log"));
        assert!(!covers("*.log", "storage/logs/today.log.gz"));
    }

    #[test]
    fn a_path_is_meant_from_the_application_on() {
        assert!(covers("storage/cache", "storage/cache/x"));
        assert!(!covers("storage/cache", "old/storage/cache/x"));
        assert!(covers("/tmp", "tmp/x"));
        assert!(!covers("/tmp", "a/tmp/x"));
    }

    #[test]
    fn one_star_stays_within_a_name() {
        assert!(!covers("storage/*.txt", "storage/a/b.txt"));
        assert!(covers("storage/**/*.txt", "storage/a/b.txt"));
    }

    #[test]
    fn a_slash_at_the_end_spares_files() {
        assert!(!covers("cache/", "cache"));
        assert!(covers("cache/", "cache/x"));
    }

    #[test]
    fn names_that_are_not_utf8_match_too() {
        let patterns = Patterns::new(&["*.jpg".to_owned()]).unwrap();
        assert!(patterns.matches(b"caf\xe9.jpg", Is::Other));
    }

    #[test]
    fn a_path_can_be_meant_literally_whatever_is_in_it() {
        for path in [&b"data/mysql"[..], b"a*b/[c]?{d,e}", b"\xff\xfe/x", br"back\slash", b"two words/!no"] {
            let patterns = Patterns::new(&[Patterns::literal(path)]).unwrap();
            assert!(patterns.matches(path, Is::Folder), "{}", String::from_utf8_lossy(path));
            assert!(patterns.covers(&[path, b"/ibdata1"].concat(), Is::Other));
            assert!(!patterns.covers(&[b"x/", path].concat(), Is::Folder));
        }
        assert!(!Patterns::new(&[Patterns::literal(b"a*b")]).unwrap().matches(b"acb", Is::Folder));
    }

    #[test]
    fn what_is_not_a_pattern_is_quoted() {
        let refused = Patterns::new(&["a[".to_owned()]).unwrap_err();
        assert_eq!(refused.to_string(), "\"a[\" is not a pattern");
    }
}
