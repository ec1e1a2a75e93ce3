//! `restore`: puts a snapshot back without endangering what is live, and proves snapshots without touching anything.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests arrange their files as they please"))]

mod all;
mod ask;
mod bare;
mod beneath;
mod cli;
mod content;
mod database;
mod drill;
#[cfg(test)]
mod fuzz;
mod list;
mod members;
mod metadata;
mod pick;
mod place;
mod proof;
mod select;
mod stage;
mod swap;
mod target;
#[cfg(test)]
mod testing;
mod tree;
mod undo;
mod unpack;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
