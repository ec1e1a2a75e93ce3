//! What can go wrong with a file at its source. Never confused with what goes wrong at the store: the one is told and
//! the run goes on, the other ends it.

use std::collections::BTreeMap;
use std::io;

use shipshape_core::archive::entry::Bytes;
use shipshape_core::report::Notice;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// It changed while it was read. What is stored is a mixture of two moments, of the size told.
    Changed,
    /// It was gone when it was to be read.
    Vanished,
    /// It could not be read: permissions, a bad disk. The snapshot lacks it.
    Unreadable(io::ErrorKind),
}

impl Trouble {
    /// Sorts an error of the system.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up, as with map_err")]
    pub(crate) fn from_io(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Vanished,
            kind => Self::Unreadable(kind),
        }
    }
}

/// So many paths of each trouble are named; the rest is counted.
const NAMED: usize = 10;

/// All troubles of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    by_kind: BTreeMap<Trouble, (u64, Vec<String>)>,
}

impl Troubles {
    /// Notes one.
    pub(crate) fn note(&mut self, path: &Bytes, trouble: Trouble) {
        let (count, named) = self.by_kind.entry(trouble).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(path.shown());
        }
    }

    /// Adds another one's.
    pub(crate) fn add(&mut self, other: Self) {
        for (trouble, (more, paths)) in other.by_kind {
            let (count, named) = self.by_kind.entry(trouble).or_default();
            *count += more;
            named.extend(paths);
            named.truncate(NAMED);
        }
    }

    /// Files that the snapshot lacks.
    pub(crate) fn missing(&self) -> u64 {
        let lacks = |trouble: &Trouble| match trouble {
            Trouble::Changed => false,
            Trouble::Vanished | Trouble::Unreadable(_) => true,
        };
        self.by_kind.iter().filter(|(trouble, _)| lacks(trouble)).map(|(_, (count, _))| count).sum()
    }

    /// Whether the snapshot lacks something that was there.
    pub(crate) fn partial(&self) -> bool {
        self.by_kind.keys().any(|trouble| matches!(trouble, Trouble::Unreadable(_)))
    }

    /// As warnings of the report.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.by_kind.iter().map(|(trouble, (count, named))| notice(*trouble, *count, named)).collect()
    }
}

fn notice(trouble: Trouble, count: u64, named: &[String]) -> Notice {
    let more = count.saturating_sub(named.len() as u64);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let which = format!("{}{rest}", named.join(", "));
    match trouble {
        Trouble::Changed => Notice::new(
            "files.changed",
            format!("changed while being read: {which}"),
            "they are stored as they were met, and looked at again in the next run",
        ),
        Trouble::Vanished => Notice::new(
            "files.vanished",
            format!("vanished before being read: {which}"),
            "temporary files are better left out: --exclude",
        ),
        Trouble::Unreadable(kind) => Notice::new(
            "files.unreadable",
            format!("cannot be read ({kind}) and are not in the snapshot: {which}"),
            "run backup as a user who may read them, or leave them out with --exclude",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_troubles_are_counted_and_a_few_are_named() {
        let mut troubles = Troubles::default();
        for number in 0..25 {
            troubles.note(&format!("f{number}").as_bytes().into(), Trouble::Vanished);
        }
        let notices = troubles.notices();
        assert_eq!(notices.len(), 1);
        assert!(notices[0].message.ends_with("f9 and 15 more"), "{}", notices[0].message);
        assert!(!troubles.partial());
        assert_eq!(troubles.missing(), 25);
    }

    #[test]
    fn an_unreadable_file_makes_the_snapshot_partial() {
        let mut troubles = Troubles::default();
        troubles.note(&b"x".as_slice().into(), Trouble::from_io(io::Error::from_raw_os_error(13)));
        assert!(troubles.partial());
    }
}
