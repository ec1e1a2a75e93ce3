//! Data that looks random and is the same on every run: a seed and a short generator.

/// `SplitMix64` (Steele, Lea and Flood, 2014): eight bytes a step, no state to warm up, incompressible by zstd. Not for keys.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that says the same for the same seed, for ever.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next eight bytes.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to, and without, `high`. Slightly uneven, which no data set here minds.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    /// One of the words.
    pub(crate) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let nth = self.between(0, words.len() as u64);
        usize::try_from(nth).ok().and_then(|nth| words.get(nth)).copied().unwrap_or_default()
    }

    /// That many incompressible bytes.
    pub(crate) fn bytes(&mut self, length: u64) -> Vec<u8> {
        let steps = length.div_ceil(8);
        let mut bytes: Vec<u8> = (0..steps).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_another_one_does_not() {
        assert_eq!(Random::new(7).bytes(100), Random::new(7).bytes(100));
        assert_ne!(Random::new(7).bytes(100), Random::new(8).bytes(100));
        assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf, "the published first value for seed 0");
    }

    #[test]
    fn lengths_and_ranges_are_kept() {
        let mut random = Random::new(1);
        assert_eq!(random.bytes(13).len(), 13);
        assert!((0..1000).all(|_| (10..20).contains(&random.between(10, 20))));
    }
}
