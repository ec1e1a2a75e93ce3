//! `bench-data`: the data set of the benchmarks, the same bytes on every run and machine.
//!
//! One scale is 12 000 photos of 10 to 150 kB, which do not compress, 20 000 JSON files of 1 to 5 kB and one CSV of 60 MB:
//! 1.1 GB. With `--small N` it is N files of 100 to 900 bytes instead.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal, without the tools' frame")]

#[path = "../../seeded.rs"]
mod seeded;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use seeded::Random;

const USAGE: &str = "usage: bench-data DIR [--scale N | --small N]";
const PHOTOS: u64 = 12_000;
const DOCUMENTS: u64 = 20_000;
const CSV_BYTES: u64 = 60_000_000;
/// How many files share a folder.
const PER_FOLDER: u64 = 500;

const WORDS: [&str; 8] = ["engine", "brake", "tyre", "driver", "refuel", "idle", "geofence", "speed"];

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Uploads { scale: u64 },
    Small { files: u64 },
}

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(bytes) => {
            println!("{bytes} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench-data: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<u64, Box<dyn Error>> {
    let (root, shape) = parse(arguments)?;
    Ok(match shape {
        Shape::Uploads { scale } => uploads(&root, scale)?,
        Shape::Small { files } => many(files, |nth| (folder(&root, "small", nth), small(nth)))?,
    })
}

fn parse(arguments: Vec<OsString>) -> Result<(PathBuf, Shape), Box<dyn Error>> {
    let mut words = arguments.into_iter();
    let root = words.next().ok_or(USAGE)?;
    let flag = words.next().map(OsString::into_string).transpose().map_err(|_| USAGE)?;
    let number = words.next().map(OsString::into_string).transpose().map_err(|_| USAGE)?;
    let shape = match (flag.as_deref(), number) {
        (None, None) => Shape::Uploads { scale: 1 },
        (Some("--scale"), Some(number)) => Shape::Uploads { scale: number.parse()? },
        (Some("--small"), Some(number)) => Shape::Small { files: number.parse()? },
        _ => return Err(USAGE.into()),
    };
    Ok((root.into(), shape))
}

fn uploads(root: &Path, scale: u64) -> io::Result<u64> {
    let photos = many(PHOTOS * scale, |nth| (folder(root, "photos", nth).with_extension("jpg"), photo(nth)))?;
    let documents =
        many(DOCUMENTS * scale, |nth| (folder(root, "documents", nth).with_extension("json"), document(nth)))?;
    let tables = many(scale, |nth| (root.join(format!("imports/positions-{nth}.csv")), table(nth)))?;
    Ok(photos + documents + tables)
}

/// The path of the nth file: `photos/0003/0001742`.
fn folder(root: &Path, kind: &str, nth: u64) -> PathBuf {
    root.join(kind).join(format!("{:04}", nth / PER_FOLDER)).join(format!("{nth:07}"))
}

/// Writes that many files, and says how many bytes they have.
fn many(files: u64, make: impl Fn(u64) -> (PathBuf, Vec<u8>)) -> io::Result<u64> {
    let mut bytes = 0;
    for nth in 0..files {
        let (path, content) = make(nth);
        if nth % PER_FOLDER == 0 {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
        }
        File::create(path)?.write_all(&content)?;
        bytes += content.len() as u64;
    }
    Ok(bytes)
}

fn photo(nth: u64) -> Vec<u8> {
    let mut random = Random::new(nth);
    let length = random.between(10_000, 150_000);
    random.bytes(length)
}

fn document(nth: u64) -> Vec<u8> {
    let mut random = Random::new((1 << 32) + nth);
    let length = usize::try_from(random.between(1_000, 5_000)).unwrap_or_default();
    let mut text = format!("{{\"id\":{nth},\"events\":[");
    while text.len() < length {
        let (word, at) = (random.pick(&WORDS), random.between(1_790_000_000, 1_800_000_000));
        let _ = write!(text, "{{\"kind\":\"{word}\",\"at\":{at},\"value\":{}}},", random.between(0, 10_000));
    }
    text.push_str("null]}\n");
    text.into_bytes()
}

fn table(nth: u64) -> Vec<u8> {
    let mut random = Random::new((2 << 32) + nth);
    let mut text = String::from("time,vehicle,latitude,longitude,speed\n");
    let mut time = 1_790_000_000;
    while (text.len() as u64) < CSV_BYTES {
        time += random.between(1, 4);
        let (vehicle, speed) = (random.between(1, 400), random.between(0, 130));
        let (north, east) = (random.between(0, 1_000_000), random.between(0, 1_000_000));
        let _ = writeln!(text, "{time},{vehicle},51.{north:06},7.{east:06},{speed}");
    }
    text.into_bytes()
}

fn small(nth: u64) -> Vec<u8> {
    let mut text = document((3 << 32) + nth);
    text.truncate(usize::try_from(Random::new(nth).between(100, 900)).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_makes_the_same_file() {
        assert_eq!(photo(3), photo(3));
        assert_ne!(photo(3), photo(4));
        assert!((10_000..150_000).contains(&photo(3).len()));
        assert!((1_000..5_200).contains(&document(9).len()));
    }

    #[test]
    fn small_files_fill_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [folder.path().as_os_str(), "--small".as_ref(), "1001".as_ref()];
        let bytes = run(arguments.iter().map(OsString::from).collect()).unwrap();
        assert!((100_100..900_900).contains(&bytes));
        assert_eq!(fs::read_dir(folder.path().join("small/0001")).unwrap().count(), 500);
        assert_eq!(fs::read_dir(folder.path().join("small/0002")).unwrap().count(), 1);
    }

    #[test]
    fn words_that_make_no_sense_are_refused() {
        assert!(run(vec![]).is_err());
        assert!(run(["x", "--scale"].map(OsString::from).to_vec()).is_err());
        assert!(parse(["x", "--scale", "5"].map(OsString::from).to_vec()).unwrap().1 == Shape::Uploads { scale: 5 });
    }
}
