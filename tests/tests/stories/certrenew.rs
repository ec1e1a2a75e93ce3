//! Certificates: obtained, renewed when due, installed together, and served.

mod adopting;
mod crashes;
mod finding;
mod grading;
mod issuing;
mod looking;
mod serving;
mod site;
mod testbed;
mod troubles;
mod wishes;
