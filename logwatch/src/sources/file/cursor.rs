//! Where a file was left, and by what it is known again under another name, copied, or packed.

use serde::{Deserialize, Serialize};

/// How much of a file's beginning is compared, in bytes.
pub(super) const HEAD: usize = 1024;

/// How much before the place where it was left is compared, in bytes.
pub(super) const TAIL: usize = 256;

/// Where a file was left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileCursor {
    /// The newest generation that has anything in it, and how far it was read.
    pub(super) at: Place,
    /// The newest one of those before it. Whoever still has it open may write into it; and what is newer than it is new.
    pub(super) before: Option<Place>,
    /// The file itself, where it was there and still empty: what it becomes is what comes after `at`.
    pub(super) next: Option<Place>,
    /// Whether no file was there under the log's name the last time.
    pub(super) is_missing: bool,
    /// Whether the file was truncated while it was read, and no copy of it was found. Still to be told.
    pub(super) is_torn: bool,
    /// Whether it is a packed file that was named itself and ends too early: as long as it stays as it is, there is more in
    /// it than anybody can read. States of earlier versions do not say so.
    #[serde(default)]
    pub(super) is_cut: bool,
}

/// A place in one generation of a log. Neither the inode nor the beginning says alone which generation a file is: inodes are
/// used again at once (ext4, tmpfs), and every generation may begin with the same line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// When the inode was made, in nanoseconds of the epoch, where the file system knows.
    pub(super) born: Option<i64>,
    /// How far it was read, in bytes of what is packed if it is packed.
    pub(super) offset: u64,
    /// The beginning, up to the offset at most.
    pub(super) head: Print,
    /// The last bytes before the offset.
    pub(super) tail: Print,
    /// How large the file was.
    pub(super) size: u64,
    /// When it was written last, in nanoseconds of the epoch.
    pub(super) mtime_ns: i64,
    /// The end of the file itself, if it is packed: with a checksum in it, so that it need not be unpacked to know it again.
    pub(super) packed: Option<Print>,
    /// Whether it had been rotated away, and was read to its end: that it is gone one day is no loss.
    pub(super) is_done: bool,
}

impl Place {
    /// Whether nothing is known of the generation: it was empty.
    pub(super) fn is_blank(&self) -> bool {
        self.head.len == 0
    }
}

/// What is left of bytes to know them again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    /// How many they were.
    pub(super) len: usize,
    /// Their hash, in hexadecimal: one that nobody who writes into the log can meet on purpose.
    hash: String,
}

impl Print {
    /// Of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = blake3::hash(bytes).to_hex().to_string();
        hash.truncate(32);
        Self { len: bytes.len(), hash: if bytes.is_empty() { String::new() } else { hash } }
    }

    /// Whether these are the bytes.
    pub(super) fn is_of(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len && *self == Self::of(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_knows_its_bytes_again_and_no_others() {
        let print = Print::of(b"2026-11-20 first line\n");
        assert!(print.is_of(b"2026-11-20 first line\n"));
        assert!(!print.is_of(b"2026-11-20 other line\n"));
        assert!(!print.is_of(b"2026-11-20 first line"));
        assert!(Print::of(b"").is_of(b"") && !Print::default().is_of(b"x"));
        let kept = serde_json::to_string(&print).unwrap();
        assert_eq!(serde_json::from_str::<Print>(&kept).unwrap(), print);
    }
}
