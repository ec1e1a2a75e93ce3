//! The rules of logrotate: which files they rotate, and how many they keep (logrotate.conf(5)).

mod reader;
mod words;

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::place::Place;

/// Where logrotate begins to read, as every distribution runs it.
const CONFIG: &str = "/etc/logrotate.conf";

/// As glob(3) matches, which logrotate uses.
const AS_GLOB_DOES: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// All rules, in the order in which they are read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// What of them could not be understood, and that there are none.
    pub(super) notes: Vec<String>,
}

/// What is done with some files.
#[derive(Debug)]
pub(super) struct Rule {
    /// The file in which it stands.
    pub(super) from: PathBuf,
    /// How many rotated files are kept; logrotate keeps none where nobody says it.
    pub(super) keeps: u32,
    patterns: Vec<Pattern>,
}

/// Reads all rules.
pub(super) fn read(place: &Place) -> Rules {
    reader::read(place, Path::new(CONFIG))
}

impl Rules {
    /// The rule for a file, by how its machine calls it, links resolved.
    pub(super) fn of(&self, path: &Path) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.patterns.iter().any(|pattern| pattern.matches_path_with(path, AS_GLOB_DOES)))
    }
}

/// The pattern that a word of a rule is.
fn pattern(place: &Place, word: &str) -> Option<Pattern> {
    // Two asterisks are one to glob(3).
    let mut word = word.replace('~', "/root");
    while word.contains("**") {
        word = word.replace("**", "*");
    }
    let (folder, rest) = constant_part(&word);
    // A rule may reach files through a link: they are compared by where they really are.
    let real = place.real(Path::new(folder)).canonicalize();
    let folder = real.map_or_else(|_| folder.to_owned(), |real| place.its_own(&real).to_string_lossy().into_owned());
    Pattern::new(&format!("{}/{rest}", Pattern::escape(folder.trim_end_matches('/')))).ok()
}

/// The folders of a pattern before its first wild card, and the rest of it.
fn constant_part(pattern: &str) -> (&str, &str) {
    let wild = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let end = pattern[..wild].rfind('/').unwrap_or_default();
    (&pattern[..end], pattern[end..].trim_start_matches('/'))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        for (path, text) in files {
            let path = place.real(Path::new(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, place)
    }

    pub(super) fn rules(files: &[(&str, &str)]) -> Rules {
        let (_folder, place) = machine(files);
        read(&place)
    }

    pub(super) fn keeps(rules: &Rules, path: &str) -> Option<u32> {
        rules.of(Path::new(path)).map(|rule| rule.keeps)
    }

    #[test]
    fn a_rule_is_found_by_its_patterns_and_knows_how_many_are_kept() {
        let found = rules(&[
            ("/etc/logrotate.conf", "weekly\nrotate 4\ninclude /etc/logrotate.d\n/var/log/late {\n}\n"),
            ("/etc/logrotate.d/nginx", "/var/log/nginx/*.log {\n\tdaily\n\trotate 14\n}\n"),
            ("/etc/logrotate.d/app", "# ours\n\"/srv/my app/log\" /srv/b/*_log\n/srv/c/x\n{\n  rotate=7\n}\n"),
        ]);
        assert_eq!(keeps(&found, "/var/log/nginx/access.log"), Some(14));
        assert_eq!(keeps(&found, "/var/log/nginx/deeper/access.log"), None, "a star is one folder deep");
        assert_eq!(keeps(&found, "/var/log/nginx/.hidden.log"), None);
        assert_eq!((keeps(&found, "/srv/my app/log"), keeps(&found, "/srv/b/x_log")), (Some(7), Some(7)));
        assert_eq!((keeps(&found, "/srv/c/x"), keeps(&found, "/var/log/late")), (Some(7), Some(4)));
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        assert_eq!(found.of(Path::new("/srv/c/x")).unwrap().from, Path::new("/etc/logrotate.d/app"));
    }

    #[test]
    fn a_global_word_holds_for_what_stands_below_it() {
        let found = rules(&[("/etc/logrotate.conf", "/a/x {\n}\nrotate 3\n/a/y {\n rotate 0\n}\n/a/z {}\n")]);
        assert_eq!(["/a/x", "/a/y", "/a/z"].map(|path| keeps(&found, path)), [Some(0), Some(0), Some(3)]);
    }

    #[test]
    fn scripts_are_no_rules() {
        let script = "/a/x {\n postrotate\n  /b/y {\n  }\n  rotate 99\n endscript\n rotate 2\n}\n";
        let found = rules(&[("/etc/logrotate.conf", script)]);
        assert_eq!((keeps(&found, "/a/x"), keeps(&found, "/b/y")), (Some(2), None));
    }

    #[test]
    fn files_that_packages_left_over_are_not_read() {
        let found = rules(&[
            ("/etc/logrotate.conf", "tabooext + .mine\ninclude /etc/logrotate.d\n"),
            ("/etc/logrotate.d/a.dpkg-old", "/a/x {}\n"),
            ("/etc/logrotate.d/b.mine", "/b/x {}\n"),
            ("/etc/logrotate.d/c~", "/c/x {}\n"),
            ("/etc/logrotate.d/d", "/d/x {}\n"),
        ]);
        assert_eq!(
            ["/a/x", "/b/x", "/c/x", "/d/x"].map(|path| keeps(&found, path).is_some()),
            [false, false, false, true]
        );
    }

    #[test]
    fn rules_that_nobody_includes_do_not_count() {
        let found = rules(&[("/etc/logrotate.conf", "weekly\n"), ("/etc/logrotate.d/x", "/a/x {}\n")]);
        assert_eq!(keeps(&found, "/a/x"), None);
        let none = rules(&[("/etc/logrotate.d/x", "/a/x {}\n")]);
        assert!(keeps(&none, "/a/x").is_none() && none.notes[0].contains("not installed"), "{:?}", none.notes);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let found = rules(&[("/etc/logrotate.conf", "include /etc/logrotate.conf\n/a/x {}\n")]);
        assert!(keeps(&found, "/a/x").is_some());
        assert!(found.notes.iter().any(|note| note.contains("too deep")), "{:?}", found.notes);
    }

    #[test]
    fn a_rule_reaches_files_through_a_link() {
        let (_folder, place) =
            machine(&[("/etc/logrotate.conf", "/var/www/current/logs/*.log {}\n"), ("/srv/v2/logs/x", "")]);
        fs::create_dir_all(place.real(Path::new("/var/www"))).unwrap();
        symlink("../../srv/v2", place.real(Path::new("/var/www/current"))).unwrap();
        assert!(keeps(&read(&place), "/srv/v2/logs/app.log").is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in "(rotate|include|/a|\\{|\\}|\"|'|\\\\|\n|[ -~]|é){0,80}") {
            rules(&[("/etc/logrotate.conf", &text)]);
        }

        #[test]
        fn a_pattern_is_cut_where_its_first_wild_card_is(word in "[/a*?\\[\\]]{0,20}") {
            let (folder, rest) = constant_part(&word);
            prop_assert!(!folder.contains(['*', '?', '[']));
            prop_assert!(word.starts_with(folder) && word.ends_with(rest));
        }
    }
}
