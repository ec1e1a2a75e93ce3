//! What at least two Shipshape tools share, in layers; each uses only the ones before it.
//!
//! - *Words*: [`exit`], [`error`], [`moment`], [`name`], [`path`], [`report`], [`units`]. Plain types; no files, no clock.
//! - *Hands*, each owning one danger of touching the machine: [`clock`], [`signal`], [`atomic`], [`lock`],
//!   [`machine`], [`output`], [`redact`], [`secret`], [`child`], [`http`].
//! - *Frame*, the life of every run: [`cli`], [`config`], [`state`], [`progress`], [`alert`], [`run`].
//! - *Stack*: how to reach the application: [`stack`].
//! - *Database*: the databases of an application, whatever engine they run on: [`database`].
//! - *Archive*, the store and the stored form: [`archive`], behind the feature of that name.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests arrange their files as they please"))]

pub mod error;
pub mod exit;
pub mod moment;
pub mod name;
pub mod path;
pub mod report;
pub mod units;

pub mod atomic;
pub mod child;
pub mod clock;
pub mod http;
pub mod lock;
pub mod machine;
pub mod output;
pub mod redact;
pub mod secret;
pub mod signal;

pub mod alert;
pub mod cli;
pub mod config;
pub mod progress;
pub mod run;
pub mod state;

pub mod stack;

#[cfg(feature = "archive")]
pub mod database;

#[cfg(feature = "archive")]
pub mod archive;

#[cfg(test)]
mod fuzz;
