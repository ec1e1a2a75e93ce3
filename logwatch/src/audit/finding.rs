//! What an audit finds, as reports tell it.

use serde::Serialize;
use shipshape_core::units::{ByteSize, counted};

/// The kind of a finding. The words are part of the promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Kind {
    /// A container's log that grows without end.
    #[serde(rename = "container.unrotated")]
    ContainerUnrotated,
    /// A container's log that nobody can read here.
    #[serde(rename = "container.unreadable")]
    ContainerUnreadable,
    /// A container's log beyond the size.
    #[serde(rename = "container.large")]
    ContainerLarge,
    /// A log file beyond the size.
    #[serde(rename = "file.large")]
    FileLarge,
    /// A folder with logs that grow, and that no rule rotates.
    #[serde(rename = "folder.unrotated")]
    FolderUnrotated,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Of which kind.
    pub(super) kind: Kind,
    /// The container, the file, the folder.
    pub(super) what: String,
    /// How much there is of it now, where that can be seen.
    pub(super) size_bytes: Option<u64>,
    /// What is wrong.
    pub(super) why: String,
}

impl Finding {
    /// A line for people.
    pub(super) fn line(&self) -> String {
        let size = self.size_bytes.map_or("-".to_owned(), |bytes| ByteSize(bytes).to_string());
        let of = match self.kind {
            Kind::ContainerUnrotated | Kind::ContainerUnreadable | Kind::ContainerLarge => "container ",
            Kind::FileLarge | Kind::FolderUnrotated => "",
        };
        format!("{size:>9}  {of}{}: {}", self.what, self.why)
    }
}

/// One line for all of them.
pub(super) fn summary(findings: &[Finding]) -> String {
    let count = |kinds: &[Kind]| findings.iter().filter(|finding| kinds.contains(&finding.kind)).count() as u64;
    let parts = [
        (count(&[Kind::ContainerUnrotated]), "container log without rotation", "container logs without rotation"),
        (
            count(&[Kind::ContainerUnreadable]),
            "container log that cannot be read",
            "container logs that cannot be read",
        ),
        (count(&[Kind::ContainerLarge, Kind::FileLarge]), "log that is too large", "logs that are too large"),
        (count(&[Kind::FolderUnrotated]), "folder without a logrotate rule", "folders without a logrotate rule"),
    ];
    let told = parts.into_iter().filter(|(number, ..)| *number > 0);
    let told: Vec<String> = told.map(|(number, one, many)| counted(number, one, many)).collect();
    if told.is_empty() { "no log grows without end".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_what_is_wrong() {
        let (what, why) = ("app-1".to_owned(), "x".to_owned());
        let finding = Finding { kind: Kind::ContainerLarge, what, size_bytes: Some(2_000_000), why };
        assert_eq!(finding.line(), "   2.0 MB  container app-1: x");
        assert_eq!(Finding { kind: Kind::FileLarge, size_bytes: None, ..finding }.line(), "        -  app-1: x");
    }

    #[test]
    fn the_summary_counts_by_kind() {
        let finding = |kind| Finding { kind, what: String::new(), size_bytes: None, why: String::new() };
        assert_eq!(summary(&[]), "no log grows without end");
        let both = [finding(Kind::FileLarge), finding(Kind::FolderUnrotated), finding(Kind::ContainerLarge)];
        assert_eq!(summary(&both), "2 logs that are too large, 1 folder without a logrotate rule");
    }
}
