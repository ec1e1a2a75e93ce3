//! Whether it is worth trying to compress a file, told from a sample of its bytes.

/// Bytes looked at: enough for 256 counts to mean something, few enough not to be noticed.
const SAMPLE: usize = 2048;
/// Shorter ones are not worth a decision.
const SHORTEST: usize = 512;
/// Entropy above which nothing is to be gained, in bits a byte. Random bytes show about 7.9 in a sample of 2048 and
/// 7.6 in one of 512; text stays below 5.5, machine code below 6.8.
const HOPELESS: f64 = 7.2;

/// What is to be done with a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Compress it.
    Compressible,
    /// It is a photo, a film, an archive, or encrypted: store it as it is.
    Dense,
}

/// Judges by the middle of what has been read: headers of dense formats are often text.
pub(crate) fn judge(bytes: &[u8]) -> Content {
    if bytes.len() < SHORTEST {
        return Content::Compressible;
    }
    let length = bytes.len().min(SAMPLE);
    let start = (bytes.len() - length) / 2;
    if entropy(&bytes[start..start + length]) > HOPELESS { Content::Dense } else { Content::Compressible }
}

/// Shannon entropy of single bytes, in bits a byte.
#[expect(clippy::cast_precision_loss, reason = "counts of at most 2048 are exact")]
fn entropy(sample: &[u8]) -> f64 {
    let mut counts = [0u16; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let total = sample.len() as f64;
    let weigh = |count: &u16| f64::from(*count) * (total / f64::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(weigh).sum::<f64>() / total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator good enough to look random to a count of bytes (xorshift64).
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn noise_is_dense_at_any_length_that_counts() {
        for length in [512, 1000, 4096, 100_000] {
            assert_eq!(judge(&noise(length)), Content::Dense, "{length}");
        }
    }

    #[test]
    fn text_and_tables_are_compressible() {
        let rows: Vec<String> = (0..2000).map(|n| format!("{n},vehicle-{},{}", n % 17, n * 31 % 977)).collect();
        assert_eq!(judge(rows.join("\n").as_bytes()), Content::Compressible);
        assert_eq!(judge(&[0; 10_000]), Content::Compressible);
        assert_eq!(judge(b""), Content::Compressible);
    }

    #[test]
    fn base64_of_noise_is_compressible_still() {
        let text: Vec<u8> = noise(8192).iter().map(|byte| b'A' + byte % 64).collect();
        assert_eq!(judge(&text), Content::Compressible);
    }
}
