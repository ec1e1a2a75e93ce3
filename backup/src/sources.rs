//! What is copied, by kind.

pub(crate) mod config;
pub(crate) mod data_folders;
pub(crate) mod databases;
pub(crate) mod discovery;
pub(crate) mod files;
pub(crate) mod order;
pub(crate) mod sqlite;
pub(crate) mod volumes;
