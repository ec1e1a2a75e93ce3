//! What the stories are told with: a host with a site on it, runs of the tools, trees to compare, and faults to inject.

pub(crate) mod acme;
mod compose;
mod finished;
mod host;
mod intruder;
mod launch;
mod mount;
mod prober;
#[path = "../../../src/seeded.rs"]
mod seeded;
mod site;
mod smtp;
mod strace;
mod tls;
mod tree;
mod web;

pub(crate) use compose::Project;
pub(crate) use finished::Finished;
pub(crate) use host::{DATABASE, Host, scratch};
pub(crate) use intruder::{Intruder, Mischief, On};
pub(crate) use launch::{Launch, Running, goes_without, shell, tool};
pub(crate) use mount::Mount;
pub(crate) use prober::{Prober, served};
pub(crate) use seeded::Random;
pub(crate) use shipshape_core::exit::Exit;
pub(crate) use site::rows;
pub(crate) use smtp::Smtp;
pub(crate) use strace::{Fault, Point, each};
pub(crate) use tree::Tree;
pub(crate) use web::Web;
