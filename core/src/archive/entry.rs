//! What is recorded of each file: the vocabulary of the index.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string that is mostly text: a file name, a link target, a value. In JSON a string where it is UTF-8, else
/// `{"base64":"…"}`, so that nothing is lost and nearly everything is readable.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// For people: UTF-8 as it is, the rest and control characters escaped.
    pub fn shown(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
            }
            for byte in chunk.invalid() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &BASE64_STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or {\"base64\": …}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(Bytes(text.as_bytes().to_vec()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
        let Some(("base64", text)) = map.next_entry::<&str, String>()? else {
            return Err(de::Error::custom("expected the key base64"));
        };
        BASE64_STANDARD.decode(text).map(Bytes).map_err(de::Error::custom)
    }
}

/// A BLAKE3 hash of a file's content; 64 hex digits in JSON, as `b3sum` prints them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        blake3::Hash::from_hex(text.as_bytes()).map(|hash| Self(*hash.as_bytes())).map_err(de::Error::custom)
    }
}

/// A moment as file systems keep it: seconds since 1970, possibly negative, and nanoseconds to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(pub i64, pub u32);

/// What kind of thing an entry is. Sockets and devices are never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file; its content is in a pack.
    File,
    /// A folder.
    Dir,
    /// A symbolic link; `link` is its target, as it is.
    Symlink,
    /// A further name of a file; `link` is the path of its first name in this index.
    Hardlink,
    /// A named pipe.
    Fifo,
}

/// Where a file's content lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The pack without folder and suffix: `20261120T020000Z-7f3a-0001`.
    pub pack: String,
    /// Where the file's tar header begins in the plain pack, in bytes.
    pub offset: u64,
    /// BLAKE3 of the content.
    pub blake3: Hash,
}

/// One thing below the application's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the application's folder, `/` between the parts; `.` is the folder itself.
    pub path: Bytes,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-user-id, set-group-id and sticky: 12 bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// When the content last changed.
    pub mtime: Time,
    /// When anything about it last changed: only to notice changes, never restored.
    pub ctime: Time,
    /// Inode number: only to notice changes.
    pub ino: u64,
    /// Bytes of content, for files.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Target of a symbolic link, first name of a hard link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Bytes>,
    /// Extended attributes with their values, POSIX ACLs among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<(Bytes, Bytes)>,
    /// Whether the file has holes, to be made again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sparse: bool,
    /// Where the content is, for files.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The order of the index: folder by folder, each part of the path compared bytewise, a folder before its content. It is
/// the order in which a sorted walk meets them.
pub fn path_order(a: &[u8], b: &[u8]) -> Ordering {
    if a == b"." || b == b"." {
        return (a != b".").cmp(&(b != b"."));
    }
    // A slash sorts before every other byte of a name; so `a/b` comes before `a-b`, as in a walk.
    let rank = |byte: &u8| if *byte == b'/' { 0u16 } else { u16::from(*byte) + 1 };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &[u8]) -> Entry {
        Entry {
            path: path.into(),
            kind: Kind::File,
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            mtime: Time(-5, 999_999_999),
            ctime: Time(1_790_000_000, 1),
            ino: 7,
            size: 3,
            link: None,
            xattrs: vec![(b"user.note".as_slice().into(), b"\xff\x00".as_slice().into())],
            sparse: false,
            stored: Some(Stored { pack: "p".to_owned(), offset: 512, blake3: Hash([7; 32]) }),
        }
    }

    #[test]
    fn a_folder_comes_before_its_content_and_the_root_first() {
        let mut paths: Vec<&[u8]> = vec![b"a-b", b"a/b/c", b"a", b".", b"a/b", b"A", b"a.b"];
        paths.sort_by(|a, b| path_order(a, b));
        let expected: [&[u8]; 7] = [b".", b"A", b"a", b"a/b", b"a/b/c", b"a-b", b"a.b"];
        assert_eq!(paths, expected);
    }

    proptest! {
        #[test]
        fn an_entry_survives_json_whatever_its_name(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            let before = entry(&path);
            let line = serde_json::to_vec(&before).unwrap();
            prop_assert!(!line.contains(&b'\n'), "one line each");
            prop_assert_eq!(serde_json::from_slice::<Entry>(&line).unwrap(), before);
        }

        #[test]
        fn the_order_is_that_of_the_parts(a in "[a-c./-]{1,8}", b in "[a-c./-]{1,8}") {
            let split = |p: &str| p.split('/').map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
            prop_assume!(a != "." && b != ".");
            prop_assert_eq!(path_order(a.as_bytes(), b.as_bytes()), split(&a).cmp(&split(&b)));
        }
    }
}
