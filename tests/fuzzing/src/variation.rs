//! Variations of seeds, the same on every run.

/// The most changes that one variation has.
const CHANGES: u64 = 4;

/// The longest variation, in bytes: parts of it are doubled at times.
const LONGEST: usize = 64 << 10;

/// Bytes that mean something to most parsers.
const TELLING: &[u8] = b"\0\n\r\t \"'\\/{}[]():;,.=-+#$%<>@`|019aAzZ\x1b\x7f\x80\xc3\xe2\xff";

/// So many variations of the seeds.
pub(crate) fn variations(seeds: &[&[u8]], count: u64) -> impl Iterator<Item = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    (0..count).map(move |nth| Random(nth << 32).variation(&seeds))
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap().max(1);
        usize::try_from(self.next() % bound).unwrap()
    }

    /// A part of so many bytes, mostly a short one.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 8 };
        start..(start + self.below(most + 1)).min(length)
    }

    fn variation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds.get(self.below(seeds.len())).cloned().unwrap_or_default();
        for _ in 0..=self.next() % CHANGES {
            self.change(&mut bytes, seeds);
            bytes.truncate(LONGEST);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let part = self.part(bytes.len());
        match self.below(6) {
            0 => drop(bytes.drain(part)),
            1 => {
                let doubled = bytes[part.clone()].repeat(1 + self.below(8));
                bytes.splice(part.end..part.end, doubled);
            }
            2 => {
                let other = seeds.get(self.below(seeds.len())).map_or(&[][..], Vec::as_slice);
                let piece = other[self.part(other.len())].to_vec();
                bytes.splice(part, piece);
            }
            3 => bytes.truncate(part.start),
            4 => bytes.insert(part.start, TELLING[self.below(TELLING.len())]),
            _ => {
                let bits = u8::try_from(1 << self.below(8)).unwrap();
                bytes.get_mut(part.start).into_iter().for_each(|byte| *byte ^= bits);
            }
        }
    }
}
