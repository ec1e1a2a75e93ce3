//! What the stories are told with: a host with a site on it, runs of the tools, trees to compare, and faults to inject.

mod compose;
mod finished;
mod host;
mod launch;
mod mount;
#[path = "../../../src/seeded.rs"]
mod seeded;
mod site;
mod smtp;
mod strace;
mod tree;
mod web;

pub(crate) use compose::Project;
pub(crate) use finished::Finished;
pub(crate) use host::{DATABASE, Host, scratch};
pub(crate) use launch::{Launch, Running, shell, tool};
pub(crate) use mount::Mount;
pub(crate) use seeded::Random;
pub(crate) use shipshape_core::exit::Exit;
pub(crate) use site::rows;
pub(crate) use smtp::Smtp;
pub(crate) use strace::{Fault, Point, each};
pub(crate) use tree::Tree;
pub(crate) use web::Web;
