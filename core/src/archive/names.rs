//! Names in the store: snapshot ids and object keys.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::config::{Compression, Encryption};

/// The form of the time in an id: UTC, sortable, free of characters that shells or stores mind.
const TIME_FORM: &str = "%Y%m%dT%H%M%SZ";

/// `20261120T020000Z-7f3a`: the moment a snapshot began, in UTC, and four random hex digits, so that ids stay unique when
/// a clock repeats itself. Ids order as their moments do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId {
    text: String,
    time: DateTime<Utc>,
}

impl SnapshotId {
    /// A new id for a run that began at `now`.
    pub fn new(now: DateTime<Utc>, random: u16) -> Self {
        // To the second, as the text has it: an id that is read back must equal the one that was written.
        let time = now.trunc_subsecs(0);
        let text = format!("{}-{random:04x}", time.format(TIME_FORM));
        Self { text, time }
    }

    /// A new id that orders after `newest`, should that be of the very same second. What is from the future cannot be
    /// ordered after; whoever minds looks at the clock.
    pub fn new_after(now: DateTime<Utc>, random: u16, newest: Option<&Self>) -> Self {
        let same_second = newest.filter(|newest| newest.time == now.trunc_subsecs(0));
        let Some(taken) = same_second.and_then(Self::random) else { return Self::new(now, random) };
        let room = u16::MAX - taken;
        match room {
            0 => Self::new(now + chrono::Duration::seconds(1), random),
            _ => Self::new(now, taken + 1 + random % room.min(GAP)),
        }
    }

    fn random(&self) -> Option<u16> {
        u16::from_str_radix(self.text.rsplit('-').next()?, 16).ok()
    }

    /// The moment in it, to the second.
    pub fn time(&self) -> DateTime<Utc> {
        self.time
    }

    /// The random number at its end, which also orders the runs of one second.
    pub fn number(&self) -> u16 {
        let digits = self.text.rsplit('-').next().unwrap_or_default();
        u16::from_str_radix(digits, 16).unwrap_or_default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Ids of one second are spread by up to so much, so that many fit between the first and the last.
const GAP: u16 = 64;

/// The text is not a snapshot id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a snapshot id (they look like 20261120T020000Z-7f3a)")]
pub struct NotAnId(String);

impl FromStr for SnapshotId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let refused = || NotAnId(text.to_owned());
        let (time, random) = text.split_once('-').ok_or_else(refused)?;
        let plain = random.len() == 4 && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let time = NaiveDateTime::parse_from_str(time, TIME_FORM).map_err(|_| refused())?.and_utc();
        let same = format!("{}-{random}", time.format(TIME_FORM)) == text;
        if plain && same { Ok(Self { text: text.to_owned(), time }) } else { Err(refused()) }
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.text
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Whose part of the store: one writer per HOST/APP, so that many servers share a store without meeting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The server's name.
    pub host: String,
    /// The application's name.
    pub app: String,
}

impl Place {
    /// The full key of an object of this place: `HOST/APP/packs/…`.
    pub fn key(&self, relative: &str) -> String {
        format!("{}/{}/{relative}", self.host, self.app)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.app)
    }
}

/// How objects are wrapped, which their names show: `.zst.age`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// What compresses them.
    pub compression: Compression,
    /// What encrypts them.
    pub encryption: Encryption,
}

impl Wrapping {
    /// The end of an object's name.
    pub fn suffix(self) -> String {
        let compressed = match self.compression {
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
            Compression::None => "",
        };
        let encrypted = match self.encryption {
            Encryption::Age => ".age",
            Encryption::None => "",
        };
        format!("{compressed}{encrypted}")
    }

    /// The wrapping that a name shows.
    pub fn of_name(name: &str) -> Self {
        let (rest, encryption) = match name.strip_suffix(".age") {
            Some(rest) => (rest, Encryption::Age),
            None => (name, Encryption::None),
        };
        let end = rest.rsplit('.').next().unwrap_or_default();
        let compression = match end {
            "zst" => Compression::Zstd,
            "gz" | "tgz" => Compression::Gzip,
            _ => Compression::None,
        };
        Self { compression, encryption }
    }
}

/// `packs/ID-0001.tar.zst.age`, relative to the place.
pub fn pack(id: &SnapshotId, number: u32, wrapping: Wrapping) -> String {
    format!("packs/{id}-{number:04}.tar{}", wrapping.suffix())
}

/// `snapshots/ID/config.tar.zst.age`, relative to the place.
pub fn payload(id: &SnapshotId, stem: &str, wrapping: Wrapping) -> String {
    format!("snapshots/{id}/{stem}{}", wrapping.suffix())
}

/// `snapshots/ID/manifest.json`, relative to the place.
pub fn manifest(id: &SnapshotId) -> String {
    format!("snapshots/{id}/manifest.json")
}

/// `snapshots/ID/manifest.deleted-20261121T020000Z.json`: a pruned snapshot within its grace.
pub fn tombstone(id: &SnapshotId, at: DateTime<Utc>) -> String {
    format!("snapshots/{id}/manifest.deleted-{}.json", at.format(TIME_FORM))
}

/// When a tombstone of that key was made; `None` if the key is not one.
pub fn tombstone_time(key: &str) -> Option<DateTime<Utc>> {
    let name = key.rsplit('/').next()?;
    let time = name.strip_prefix("manifest.deleted-")?.strip_suffix(".json")?;
    NaiveDateTime::parse_from_str(time, TIME_FORM).ok().map(|time| time.and_utc())
}

/// The id in an object's key relative to its place: of the snapshot's folder, or of the run that wrote the pack.
pub fn id_of(relative: &str) -> Option<SnapshotId> {
    let (folder, rest) = relative.split_once('/')?;
    match folder {
        "snapshots" => rest.split('/').next()?.parse().ok(),
        "packs" => rest.get(..ID_LENGTH)?.parse().ok(),
        _ => None,
    }
}

/// Bytes of an id as text.
const ID_LENGTH: usize = "20261120T020000Z-7f3a".len();

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    #[test]
    fn keys_name_their_run_and_their_wrapping() {
        let id = SnapshotId::new(Utc.with_ymd_and_hms(2026, 11, 20, 2, 0, 0).unwrap(), 0x7f3a);
        let wrapping = Wrapping { compression: Compression::Zstd, encryption: Encryption::Age };
        let key = pack(&id, 1, wrapping);
        assert_eq!(key, "packs/20261120T020000Z-7f3a-0001.tar.zst.age");
        assert_eq!(id_of(&key), Some(id.clone()));
        assert_eq!(id_of(&manifest(&id)), Some(id));
        assert_eq!(Wrapping::of_name(&key), wrapping);
    }

    #[test]
    fn text_that_only_resembles_an_id_is_refused() {
        for text in ["", "latest", "20261120T020000Z", "20261120T020000Z-7F3A", "20261320T020000Z-7f3a", "../x-7f3a"] {
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_made_after_another_orders_after_it(s in 0i64..4_000_000_000, later in 0u32..1_999, first: u16, second: u16) {
            let now = Utc.timestamp_opt(s, 0).unwrap();
            let one = SnapshotId::new(now, first);
            let two = SnapshotId::new_after(now + chrono::Duration::milliseconds(later.into()), second, Some(&one));
            prop_assert!(two > one, "{two} after {one}");
        }

        #[test]
        fn an_id_reads_back_and_orders_as_its_time(a in 0i64..4_000_000_000, b in 0i64..4_000_000_000, ns in 0u32..1_000_000_000, r: u16) {
            let [x, y] = [a, b].map(|s| SnapshotId::new(Utc.timestamp_opt(s, ns).unwrap(), r));
            prop_assert_eq!(&x.as_str().parse::<SnapshotId>().unwrap(), &x);
            prop_assert_eq!(x.as_str().cmp(y.as_str()), a.cmp(&b));
        }
    }
}
