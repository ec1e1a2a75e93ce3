//! Fuzz targets: laws that hold for all bytes, looked for by coverage and kept by examples.
//!
//! A target is a test in a module `fuzz` that calls [`fuzz`] with its seeds and a closure. `cargo test` runs it on what was once
//! found, on its seeds, and on some hundred variations of them that are the same on every run. `scripts/fuzz` builds it with
//! `--cfg fuzzing` under libFuzzer, which goes on from the seeds by what of the code they reach.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "only tests use it, which say what they expect by failing loudly"
)]

#[cfg(not(fuzzing))]
mod variation;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

/// Tries `law`, which must be a closure written in the test itself: the target is named for where it stands.
///
/// # Panics
/// Where the law does, that is, if it does not hold.
pub fn fuzz<L: Fn(&[u8])>(seeds: &[&[u8]], law: L) {
    run(&target(std::any::type_name::<L>()), seeds, VARIATIONS, law);
}

/// The same for a law that takes milliseconds: `cargo test` tries it on a tenth as many variations.
///
/// # Panics
/// Where the law does.
pub fn fuzz_slow<L: Fn(&[u8])>(seeds: &[&[u8]], law: L) {
    run(&target(std::any::type_name::<L>()), seeds, VARIATIONS / 10, law);
}

/// How many variations of its seeds `cargo test` tries a law on.
const VARIATIONS: u64 = 400;

/// The name of a target, by the name of its closure's type: `shipshape_core::units::fuzz::sizes::{{closure}}` is
/// `shipshape_core/units/sizes`.
fn target(closure: &str) -> String {
    let path = closure.trim_end_matches("::{{closure}}");
    assert_ne!(path, closure, "a law is a closure, so that its type tells of the test");
    let parts = path.split("::").filter(|part| *part != "fuzz");
    parts.collect::<Vec<_>>().join("/")
}

/// Where inputs lie that broke a law once: `scripts/fuzz` puts them there.
#[cfg(not(fuzzing))]
fn found(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("found").join(target)
}

#[cfg(not(fuzzing))]
fn run(target: &str, seeds: &[&[u8]], variations: u64, law: impl Fn(&[u8])) {
    for input in files(&found(target)) {
        hold(target, &input, &law);
    }
    for seed in seeds {
        hold(target, seed, &law);
    }
    for input in variation::variations(seeds, variations) {
        hold(target, &input, &law);
    }
}

/// The contents of the files in a folder, in the order of their names; of a folder that is not there, none.
#[cfg(not(fuzzing))]
fn files(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Says on which input it fails, where it does.
#[cfg(not(fuzzing))]
fn hold(target: &str, input: &[u8], law: &impl Fn(&[u8])) {
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| law(input))) {
        eprintln!("{target} does not hold for b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// Leaves the seeds and their words where `scripts/fuzz` wants them, then hands over to libFuzzer, which ends the process.
#[cfg(fuzzing)]
fn run(target: &str, seeds: &[&[u8]], _: u64, law: impl Fn(&[u8])) {
    let Some(folder) = std::env::var_os("SHIPSHAPE_FUZZ_SEEDS").map(PathBuf::from) else {
        panic!("{target} is run by scripts/fuzz");
    };
    for (nth, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{nth}")), seed).unwrap();
    }
    std::fs::write(folder.with_extension("words"), words(seeds)).unwrap();
    let law = &AssertUnwindSafe(law);
    bolero::check!().for_each(|input: &[u8]| {
        // All of it: its content alone would be captured without what asserts that panics do it no harm.
        let law = law;
        law.0(input);
    });
}

/// The words of the seeds, as libFuzzer's option `-dict` wants them: what is looked for by searching alone is told by nothing
/// else.
#[cfg(fuzzing)]
fn words(seeds: &[&[u8]]) -> String {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let words = seeds.iter().flat_map(|seed| seed.split(move |byte| !is_of_word(byte)));
    let words: std::collections::BTreeSet<&[u8]> = words.filter(|word| (3..=32).contains(&word.len())).collect();
    // One at least: of none, libFuzzer says that the file is broken.
    let lines = std::iter::once(&b"null"[..]).chain(words.into_iter().take(500));
    lines.map(|word| format!("\"{}\"\n", String::from_utf8_lossy(word))).collect()
}

#[cfg(all(test, not(fuzzing)))]
mod tests;
