//! Zstandard in frames of 128 KiB, each compressed at once.
//!
//! The library's streaming writer copies everything into a window of its own and compresses across the seam of that
//! ring, which costs a fifth more time than handing it whole pieces. Of pieces tried from 128 KiB to 1 MiB the smallest
//! took the least time and, files of an application being small and unlike each other, no more room. Frames that follow each other are one
//! stream to every reader (RFC 8878, section 3.1), and each carries its own checksum.

use std::io::{self, Write};

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

/// Plain bytes of a frame: what zstd itself compresses at a time (RFC 8878, section 3.1.1.2.4), and small enough to stay
/// in the caches between the stages.
const FRAME: usize = 128 * 1024;

/// Compresses what is written into frames.
pub(super) struct FrameWriter<W: Write> {
    inner: W,
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    frame: Vec<u8>,
    begun: bool,
}

impl<W: Write> FrameWriter<W> {
    /// Compresses at that level.
    pub(super) fn new(inner: W, level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        // The library leaves it off; without it a damaged frame may decompress to something else.
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let frame = Vec::with_capacity(zstd_safe::compress_bound(FRAME));
        Ok(Self { inner, compressor, plain: Vec::with_capacity(FRAME), frame, begun: false })
    }

    /// Ends the last frame. A stream of nothing is one empty frame.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.plain.is_empty() || !self.begun {
            self.end_frame()?;
        }
        Ok(self.inner)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.frame.clear();
        self.compressor.compress_to_buffer(&self.plain, &mut self.frame)?;
        self.plain.clear();
        self.begun = true;
        self.inner.write_all(&self.frame)
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(FRAME - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        if self.plain.len() == FRAME {
            self.end_frame()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(parts: &[Vec<u8>], level: i32) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new(), level).unwrap();
        for part in parts {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn nothing_is_one_empty_frame() {
        assert_eq!(zstd::decode_all(packed(&[], 3).as_slice()).unwrap(), b"");
    }

    #[test]
    fn a_flipped_bit_in_the_content_is_noticed() {
        let plain = vec![b"shipshape ".repeat(1000)];
        let mut packed = packed(&plain, 3);
        let last = packed.len() - 1;
        packed[last] ^= 1;
        assert!(zstd::decode_all(packed.as_slice()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn frames_read_back_as_one_stream(lengths in proptest::collection::vec(0usize..700_000, 0..8), level in prop_oneof![Just(3), Just(-1000)]) {
            let parts: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, length)| vec![u8::try_from(n).unwrap(); *length]).collect();
            prop_assert!(zstd::decode_all(packed(&parts, level).as_slice()).unwrap() == parts.concat());
        }
    }
}
