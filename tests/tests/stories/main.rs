//! Stories: each drives the real binaries, and its name is what they promise.
//!
//! They need root (mounts, owners) and the programs that `scripts/test` installs; a story that cannot have them fails and
//! says so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "stories fail loudly, arrange their files as they please, and run programs without the tools' own hands"
)]

mod harness;

mod alerts;
mod architecture;
mod certrenew;
mod databases;
mod fault_matrix;
mod faults;
mod flux;
mod forgeries;
mod formats;
mod in_place;
mod incremental;
mod keeping;
mod logwatch;
mod oddities;
mod pipes;
mod rounds;
mod sources;
mod undo;
