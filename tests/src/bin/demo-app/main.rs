//! `demo-app`: a small application to try the tools on. It can be made, worked in, and compared with a copy of itself.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal, without the tools' frame")]

mod compare;
mod make;
#[path = "../../seeded.rs"]
mod seeded;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: demo-app make DIR | demo-app work DIR | demo-app compare A B";

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let words: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo-app: {error}");
            ExitCode::from(3)
        }
    }
}

fn run(words: &[&Path]) -> Result<ExitCode, Box<dyn Error>> {
    match words {
        [verb, dir] if *verb == "make" => tell(&make::make(dir)?),
        [verb, dir] if *verb == "work" => tell(&make::work(dir)?),
        [verb, a, b] if *verb == "compare" => return Ok(judge(&compare::compare(a, b)?)),
        _ => return Err(USAGE.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(line: &str) {
    println!("{line}");
}

/// Tells what was compared, then what differs; 2 if anything does.
fn judge(verdict: &compare::Verdict) -> ExitCode {
    for difference in &verdict.differences {
        println!("differs: {difference}");
    }
    println!("{verdict}");
    if verdict.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
