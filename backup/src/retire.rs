//! Which packs to retire: their live files are stored anew from the source, so that the pack can go once no snapshot
//! needs it. Nothing has to be decrypted for that, which the server could not do.

use std::collections::BTreeSet;

/// A pack of the previous snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackUse {
    /// Its name.
    pub(crate) pack: String,
    /// Bytes of its tar.
    pub(crate) tar: u64,
    /// Of these, content of files.
    pub(crate) content: u64,
    /// Of these, content that the previous snapshot still uses.
    pub(crate) live: u64,
}

/// A pack of which less than this share is live is mostly dead.
const MOSTLY_DEAD: f64 = 0.5;
/// A pack below this many bytes is small. Every run with few changes leaves one or two.
const SMALL: u64 = 8 * 1024 * 1024;
/// So many small packs are let be; with more, all of them are written together.
const SMALL_ALLOWED: usize = 24;

/// The names of the packs to retire.
pub(crate) fn retire(packs: &[PackUse]) -> BTreeSet<String> {
    let (small, large): (Vec<_>, Vec<_>) = packs.iter().partition(|pack| pack.tar < SMALL);
    let mut retired: BTreeSet<String> =
        large.iter().filter(|pack| mostly_dead(pack)).map(|pack| pack.pack.clone()).collect();
    if small.len() > SMALL_ALLOWED {
        retired.extend(small.iter().map(|pack| pack.pack.clone()));
    }
    retired
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no precision")]
fn mostly_dead(pack: &PackUse) -> bool {
    (pack.live as f64) < pack.content as f64 * MOSTLY_DEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: usize, content: u64, live: u64) -> PackUse {
        PackUse { pack: format!("p{number}"), tar: content, content, live }
    }

    #[test]
    fn a_large_pack_goes_when_less_than_half_of_it_lives() {
        let retired = retire(&[pack(1, 64 << 20, 31 << 20), pack(2, 64 << 20, 33 << 20)]);
        assert_eq!(retired.into_iter().collect::<Vec<_>>(), ["p1"]);
    }

    #[test]
    fn headers_count_neither_as_dead_nor_as_small() {
        let tiny_files = |n: usize| PackUse { pack: format!("p{n}"), tar: 64 << 20, content: 3 << 20, live: 3 << 20 };
        assert!(retire(&(0..100).map(tiny_files).collect::<Vec<_>>()).is_empty());
    }

    #[test]
    fn a_few_small_packs_are_let_be_and_many_are_gathered() {
        let packs: Vec<_> = (0..=SMALL_ALLOWED).map(|n| pack(n, 1 << 20, 1 << 20)).collect();
        assert!(retire(&packs[1..]).is_empty());
        assert_eq!(retire(&packs).len(), packs.len());
    }
}
