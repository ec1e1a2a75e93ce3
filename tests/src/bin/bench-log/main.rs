//! `bench-log`: the log of the benchmarks, the same bytes on every run and machine, and what is true of it.
//!
//! It is one file with the lines of several programs in it, as the log of a service that is several programs: nginx,
//! Laravel, a Node and a Go program, uvicorn, Redis, PostgreSQL and cron jobs. About one line in eight speaks of errors
//! and is none.

#![expect(clippy::print_stderr, reason = "a program for the terminal, without the tools' frame")]

mod calendar;
mod errors;
mod ordinary;
mod scene;
#[path = "../../seeded.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "a log needs no incompressible bytes"))]
mod seeded;

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use shipshape_core::units::ByteSize;

use scene::{Scene, Shape, one_of};

const USAGE: &str = "usage: bench-log [--bytes 1GB] [--errors 0.2%] [--seed N] [--truth FILE] > FILE";
/// How much is written at a time.
const BLOCK: usize = 1 << 20;
/// In how many parts shares are told: 0.0001 % is one.
const WHOLE: u64 = 1_000_000;

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    /// The log ends with the record that reaches this many.
    bytes: u64,
    /// How many of [`WHOLE`] records are errors.
    errors: u64,
    seed: u64,
    /// Where to write what is true of the log.
    truth: Option<PathBuf>,
}

/// What is true of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct Truth {
    bytes: u64,
    lines: u64,
    records: u64,
    /// Records that are errors: by level, by status, or by their words where they have neither.
    errors: u64,
}

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-log: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<(), Box<dyn Error>> {
    let order = parse(arguments)?;
    let truth = write(&order, io::stdout().lock())?;
    if let Some(path) = &order.truth {
        fs::File::create(path)?.write_all(format!("{}\n", serde_json::to_string(&truth)?).as_bytes())?;
    }
    Ok(())
}

fn parse(arguments: Vec<OsString>) -> Result<Order, Box<dyn Error>> {
    let mut order = Order { bytes: 1_000_000_000, errors: 2_000, seed: 1, truth: None };
    let mut words = arguments.into_iter();
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        if flag == "--truth" {
            order.truth = Some(value.into());
            continue;
        }
        let value = value.into_string().map_err(|_| USAGE)?;
        match flag.to_str() {
            Some("--bytes") => order.bytes = value.parse::<ByteSize>()?.0,
            Some("--errors") => order.errors = share(&value).ok_or(USAGE)?,
            Some("--seed") => order.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(order)
}

/// `0.2%`, as parts of [`WHOLE`].
fn share(text: &str) -> Option<u64> {
    let (percent, part) = text.strip_suffix('%')?.split_once('.').unwrap_or((text.trim_end_matches('%'), ""));
    let part: u64 = format!("{part:0<4}").parse().ok()?;
    let share = percent.parse::<u64>().ok()?.checked_mul(10_000)?.checked_add(part)?;
    (share <= WHOLE && part < 10_000).then_some(share)
}

fn write(order: &Order, mut into: impl Write) -> io::Result<Truth> {
    let mut scene = Scene::new(order.seed);
    let mut truth = Truth::default();
    while truth.bytes < order.bytes {
        record(&mut scene, order, &mut truth);
        if scene.out.len() >= BLOCK || truth.bytes >= order.bytes {
            into.write_all(&scene.out)?;
            scene.out.clear();
        }
    }
    into.flush()?;
    Ok(truth)
}

/// One record more, of whatever shape comes.
fn record(scene: &mut Scene, order: &Order, truth: &mut Truth) {
    let before = scene.out.len();
    let is_error = scene.random.between(0, WHOLE) < order.errors;
    let shapes: &[Shape] = if is_error { &errors::SHAPES } else { &ordinary::SHAPES };
    scene.clock.tick(&mut scene.random);
    truth.lines += one_of(shapes, &mut scene.random)(scene);
    truth.records += 1;
    truth.errors += u64::from(is_error);
    truth.bytes += (scene.out.len() - before) as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bytes: u64, errors: u64, seed: u64) -> (String, Truth) {
        let mut log = Vec::new();
        let truth = write(&Order { bytes, errors, seed, truth: None }, &mut log).unwrap();
        (String::from_utf8(log).unwrap(), truth)
    }

    fn speaking_of_errors(log: &str) -> u64 {
        log.lines().filter(|line| line.to_lowercase().contains("error")).count() as u64
    }

    #[test]
    fn the_same_seed_writes_the_same_log_and_another_one_does_not() {
        assert_eq!(log(200_000, 2_000, 5), log(200_000, 2_000, 5));
        assert_ne!(log(200_000, 2_000, 5).0, log(200_000, 2_000, 6).0);
    }

    #[test]
    fn the_truth_counts_the_bytes_and_lines_that_were_written() {
        let (log, truth) = log(3_000_000, 20_000, 1);
        assert_eq!(truth.bytes, log.len() as u64);
        assert_eq!(truth.lines, log.lines().count() as u64);
        assert!(log.ends_with('\n') && truth.bytes >= 3_000_000);
        assert!((80..=120).contains(&(truth.bytes / truth.lines)), "{truth:?}");
    }

    #[test]
    fn a_word_search_finds_fifty_times_too_many() {
        let (log, truth) = log(20_000_000, 2_000, 1);
        let share = truth.errors * WHOLE / truth.records;
        assert!((1_700..2_300).contains(&share), "{truth:?}");
        let found = speaking_of_errors(&log);
        assert!(found > 50 * truth.errors, "{found} and {truth:?}");
    }

    #[test]
    fn a_log_without_errors_still_speaks_of_them() {
        let (log, truth) = log(1_000_000, 0, 1);
        assert_eq!(truth.errors, 0);
        assert!(speaking_of_errors(&log) > truth.lines / 20);
        assert!(!log.contains(".ERROR:") && !log.contains("level=error") && !log.contains("\"level\":50"));
    }

    #[test]
    fn a_log_of_errors_has_records_of_many_lines() {
        let (_, truth) = log(1_000_000, WHOLE, 1);
        assert_eq!(truth.errors, truth.records);
        assert!(truth.lines > truth.records * 2, "{truth:?}");
    }

    #[test]
    fn shares_are_read_as_people_write_them() {
        assert_eq!(
            (share("0.2%"), share("10%"), share("100%"), share("0.0001%")),
            (Some(2_000), Some(100_000), Some(WHOLE), Some(1))
        );
        assert_eq!((share("0.2"), share("101%"), share("%"), share("1.23456%")), (None, None, None, None));
    }

    #[test]
    fn words_that_make_no_sense_are_refused() {
        assert!(parse(["--bytes", "many"].map(OsString::from).to_vec()).is_err());
        assert!(parse(["--seed"].map(OsString::from).to_vec()).is_err());
        assert!(parse(["x", "y"].map(OsString::from).to_vec()).is_err());
        let order = parse(["--errors", "10%", "--truth", "t"].map(OsString::from).to_vec()).unwrap();
        assert_eq!((order.errors, order.truth), (100_000, Some("t".into())));
    }
}
