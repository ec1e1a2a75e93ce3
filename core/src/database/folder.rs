//! Data folders of database servers, recognised by what is in them.
//!
//! Copied file by file while a server writes to it, such a folder is worth nothing: pages are torn, and its log belongs to
//! another moment than its tables.

use std::path::Path;

use super::Engine;

/// The server whose data folder this is, if it is one. A few looks, and nothing is read.
///
/// `InnoDB`: dev.mysql.com, "The System Tablespace", "Redo Log". `PostgreSQL`: "Database File Layout". Redis: "Multi-part
/// AOF". A lone `dump.rdb` is none: Redis replaces it by renaming, so that a copy of it is whole.
pub fn keeps_data_in(folder: &Path) -> Option<Engine> {
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    if has("ibdata1") && (has("ib_logfile0") || has("#innodb_redo") || has("mysql")) {
        let is_mariadb = has("aria_log_control");
        Some(if is_mariadb { Engine::Mariadb } else { Engine::Mysql })
    } else if has("PG_VERSION") && has("global/pg_control") {
        Some(Engine::Postgres)
    } else if has("appendonlydir") && has("appendonlydir/appendonly.aof.manifest") {
        Some(Engine::Redis)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(names: &[&str]) -> Option<Engine> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        keeps_data_in(folder.path())
    }

    #[test]
    fn a_data_folder_is_known_by_what_its_server_cannot_be_without() {
        assert_eq!(with(&["ibdata1", "ib_logfile0", "aria_log_control"]), Some(Engine::Mariadb));
        assert_eq!(with(&["ibdata1", "#innodb_redo"]), Some(Engine::Mysql));
        assert_eq!(with(&["PG_VERSION", "global/pg_control"]), Some(Engine::Postgres));
        assert_eq!(with(&["appendonlydir/appendonly.aof.manifest"]), Some(Engine::Redis));
    }

    #[test]
    fn what_only_resembles_one_is_none() {
        for names in [&["ibdata1"][..], &["PG_VERSION", "base"], &["dump.rdb", "redis.conf"], &["mysql"], &[]] {
            assert_eq!(with(names), None, "{names:?}");
        }
    }
}
