//! Applications under Docker Compose, with real servers.

mod backup;
mod drill;
mod faults;
mod legacy;
mod projects;
mod quiesce;
mod recovery;
mod redis;
mod restore;
mod settled;
mod unsaid;
mod volumes;
