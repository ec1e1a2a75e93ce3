//! `logwatch`: reads each line of a log once, and tells real errors, what is new, what rises and what leaks.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests arrange their files as they please"))]

mod audit;
mod chunk;
mod clean;
mod cli;
mod counted;
mod engine;
mod examine;
mod explain;
mod follow;
mod formats;
#[cfg(test)]
mod fuzz;
mod lanes;
mod level;
mod look;
mod records;
mod report;
mod rules;
mod secrets;
mod sources;
mod state;
mod tally;
mod templates;
mod top;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
