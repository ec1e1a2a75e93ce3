//! `certrenew`: obtains and renews certificates through the running web server, and checks that the new one is served.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests arrange their files as they please"))]

mod acme;
mod adopt;
mod certificate;
mod challenge;
mod check;
mod cli;
mod deploy;
mod due;
mod files;
#[cfg(test)]
mod fuzz;
mod identifier;
mod key;
mod ledger;
mod looker;
mod pem;
mod preflight;
mod renew;
mod report;
mod revoke;
mod self_signed;
mod status;
mod timed;
mod wanted;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
