//! Reads the files of logrotate, and those that they include.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::place::Place;
use super::words::words;
use super::{Rule, Rules, pattern};

/// How much of one file is read, in bytes; real ones have a few hundred.
const LONGEST_FILE: u64 = 1 << 20;

/// How many files are read.
const MOST_FILES: usize = 2000;

/// How many files may include each other in a row.
const DEEPEST: usize = 8;

/// Endings of files that are not included (logrotate(8), `tabooext`).
const TABOO: [&str; 16] = [
    ",v",
    ".cfsaved",
    ".disabled",
    ".dpkg-bak",
    ".dpkg-del",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-old",
    ".rpmnew",
    ".rpmorig",
    ".rpmsave",
    ".swp",
    ".ucf-dist",
    ".ucf-new",
    ".ucf-old",
    "~",
];

/// Words that begin a script, which ends with `endscript`.
const SCRIPTS: [&str; 5] = ["prerotate", "postrotate", "firstaction", "lastaction", "preremove"];

/// Reads a file and all that it includes.
pub(super) fn read(place: &Place, config: &Path) -> Rules {
    let taboo = TABOO.map(str::to_owned).to_vec();
    let mut reader = Reader { place, rules: Rules::default(), taboo, keeps: 0, files: 0 };
    match text_of(&place.real(config)) {
        Ok(text) => reader.text(&text, config, 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            reader.note(format!("there is no {}: logrotate is not installed, and rotates nothing", config.display()));
        }
        Err(error) => reader.note(format!("cannot read {}: {error}", config.display())),
    }
    reader.rules
}

struct Reader<'a> {
    place: &'a Place,
    rules: Rules,
    taboo: Vec<String>,
    /// How many files are kept where a rule does not say it.
    keeps: u32,
    files: usize,
}

/// Where in a file a line stands.
enum At {
    /// Outside all rules, perhaps behind some names of files.
    Outside(Vec<String>),
    Inside {
        names: Vec<String>,
        keeps: u32,
    },
    Script(Box<At>),
}

impl Reader<'_> {
    fn note(&mut self, note: String) {
        self.rules.notes.push(note);
    }

    fn text(&mut self, text: &str, from: &Path, depth: usize) {
        let mut at = At::Outside(Vec::new());
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                at = self.line(at, line, from, depth);
            }
        }
    }

    fn line(&mut self, at: At, line: &str, from: &Path, depth: usize) -> At {
        match at {
            At::Script(before) if directive(line).0 == "endscript" => *before,
            At::Script(before) => At::Script(before),
            At::Inside { names, keeps } => self.inside(names, keeps, line, from),
            At::Outside(names) => self.outside(names, line, from, depth),
        }
    }

    fn inside(&mut self, names: Vec<String>, keeps: u32, line: &str, from: &Path) -> At {
        let (word, value) = directive(line.trim_end_matches('}').trim_end());
        let keeps = if word == "rotate" { value.parse().unwrap_or(keeps) } else { keeps };
        let at = At::Inside { names, keeps };
        match at {
            _ if SCRIPTS.contains(&word) => At::Script(Box::new(at)),
            At::Inside { names, keeps } if line.ends_with('}') => {
                let patterns = names.iter().filter_map(|name| pattern(self.place, name)).collect();
                self.rules.rules.push(Rule { from: from.to_owned(), keeps, patterns });
                At::Outside(Vec::new())
            }
            _ => at,
        }
    }

    fn outside(&mut self, mut names: Vec<String>, line: &str, from: &Path, depth: usize) -> At {
        if line.starts_with(['/', '"', '\'', '~', '\\', '{']) {
            let (more, behind) = words(line);
            names.extend(more);
            let Some(behind) = behind else { return At::Outside(names) };
            return self.inside(names, self.keeps, behind.trim(), from);
        }
        match directive(line) {
            ("include", path) => self.include(Path::new(path), from, depth + 1),
            ("rotate", number) => self.keeps = number.parse().unwrap_or(self.keeps),
            ("tabooext", list) => self.tabooext(list),
            (word, _) if SCRIPTS.contains(&word) => return At::Script(Box::new(At::Outside(names))),
            _ => {}
        }
        At::Outside(names)
    }

    fn tabooext(&mut self, list: &str) {
        let more = list.strip_prefix('+');
        if more.is_none() {
            self.taboo.clear();
        }
        let endings = more.unwrap_or(list).split([',', ' ']).filter(|ending| !ending.is_empty());
        self.taboo.extend(endings.map(str::to_owned));
    }

    /// A file, or all of a folder in the order of their names.
    fn include(&mut self, path: &Path, from: &Path, depth: usize) {
        let real = self.place.real(path);
        if depth > DEEPEST {
            return self.note(format!("{} includes {} too deep down", from.display(), path.display()));
        }
        for (real, path) in self.members(&real, path) {
            self.files += 1;
            if self.files > MOST_FILES {
                return self.note(format!("more than {MOST_FILES} files are included: the rest was not read"));
            }
            match text_of(&real) {
                Ok(text) => self.text(&text, &path, depth),
                Err(error) => self.note(format!("cannot read {}: {error}", path.display())),
            }
        }
    }

    fn members(&self, real: &Path, path: &Path) -> Vec<(PathBuf, PathBuf)> {
        let Ok(entries) = fs::read_dir(real) else { return vec![(real.to_owned(), path.to_owned())] };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        let is_taboo = |name: &str| self.taboo.iter().any(|ending| name.ends_with(ending.as_str()));
        let wanted = names.into_iter().filter(|name| !is_taboo(&name.to_string_lossy()));
        let members = wanted.map(|name| (real.join(&name), path.join(&name)));
        members.filter(|(real, _)| real.is_file()).collect()
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A word and its value: `rotate 5`, `rotate=5`.
fn directive(line: &str) -> (&str, &str) {
    let end = line.find(|letter: char| letter.is_whitespace() || letter == '=').unwrap_or(line.len());
    (&line[..end], line[end..].trim_start_matches(|letter: char| letter.is_whitespace() || letter == '=').trim_end())
}
