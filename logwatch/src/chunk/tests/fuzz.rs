//! Fuzz target of pieces: streams of runs, since what matters happens around 64 KiB and 1 MiB.

use shipshape_fuzzing::fuzz_slow;

use super::*;

/// A stream of which each three bytes tell a byte and how often it comes.
fn spelled_out(bytes: &[u8]) -> Vec<u8> {
    let runs = bytes.chunks_exact(3).take(40);
    let run = |run: &[u8]| vec![run[0]; usize::from(run[1]) << (run[2] % 13)];
    let mut input: Vec<u8> = runs.flat_map(run).collect();
    input.truncate(3 << 20);
    input
}

#[test]
fn a_stream_comes_out_as_its_lines_and_is_taken_once() {
    let long = [b'a', 255, 8, b'\n', 1, 0, b'b', 9, 0, b'\n', 3, 0, b'c', 255, 12, b'\n', 1, 0, 0, 200, 5, b'd', 4, 0];
    fuzz_slow(&[&long, b"x\x01\x00\n\x01\x00", b"\0\xff\x06\n\x01\0"], |bytes| {
        let Some((size, bytes)) = bytes.split_first() else { return };
        let input = spelled_out(bytes);
        let sizes = [usize::from(*size) * 300 + 1, 1 << 16];
        for ending in [Ending::Whole, Ending::Open] {
            let seen = read(&input, &sizes, ending);
            if input.contains(&0) {
                assert!(seen.taken <= input.len() && (ending == Ending::Open || seen.taken == input.len()));
            } else {
                assert!(seen == expected(&input, ending));
            }
        }
    });
}
