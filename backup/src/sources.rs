//! What is copied, by kind.

pub(crate) mod config;
pub(crate) mod discovery;
pub(crate) mod files;
pub(crate) mod order;
pub(crate) mod services;
pub(crate) mod sqlite;
