//! The kinds of database servers, and how one is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::plain_name;

/// What a database runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// MySQL, and Percona Server, which is one.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL, and what is built on it: `PostGIS`, `TimescaleDB`, pgvector.
    Postgres,
    /// Redis, and its relatives that have kept its names.
    Redis,
    /// Valkey.
    Valkey,
}

/// Engines by words in the last part of an image's name. The first that matches counts: `mysql-exporter` and the like are
/// sorted out before.
const BY_IMAGE: [(&str, Engine); 12] = [
    ("mariadb", Engine::Mariadb),
    ("mysql", Engine::Mysql),
    ("postgres", Engine::Postgres),
    ("percona", Engine::Mysql),
    ("postgis", Engine::Postgres),
    ("timescaledb", Engine::Postgres),
    ("pgvector", Engine::Postgres),
    ("supabase", Engine::Postgres),
    ("redis", Engine::Redis),
    ("keydb", Engine::Redis),
    ("dragonfly", Engine::Redis),
    ("valkey", Engine::Valkey),
];

/// Words in the names of images that go with a database and are none: they hold nothing of their own.
const COMPANIONS: [&str; 16] = [
    "postgrest",
    "dashboard",
    "exporter",
    "admin",
    "insight",
    "commander",
    "backup",
    "router",
    "proxy",
    "bouncer",
    "pgpool",
    "operator",
    "client",
    "sentinel",
    "orchestrator",
    "migrat",
];

/// The same, where they are words of their own: `postgres-meta`, `mongo-express`, `clickhouse-keeper`, `redis-ui`.
const COMPANION_WORDS: [&str; 7] = ["ui", "gui", "rest", "meta", "express", "keeper", "studio"];

/// Images of databases that are recognised and cannot be copied by this version.
const UNKNOWN: [&str; 12] = [
    "mongo",
    "couchdb",
    "cassandra",
    "scylla",
    "elasticsearch",
    "opensearch",
    "influxdb",
    "clickhouse",
    "neo4j",
    "mssql",
    "cockroach",
    "rethinkdb",
];

impl Engine {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mysql, Self::Mariadb, Self::Postgres, Self::Redis, Self::Valkey];

    /// The name, as the label `shipshape.kind` and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    /// The engine that an image holds, by its name: `mariadb:11.8`, `bitnami/redis@sha256:…`, `host:5000/team/postgres`.
    pub fn of_image(image: &str) -> Option<Self> {
        let name = plain_name(image);
        if is_companion(&name) {
            return None;
        }
        // A vendor's folder says what an image called `server` is: `mysql/mysql-server`, `percona/percona-server`.
        let found = |text: &str| BY_IMAGE.iter().find(|(word, _)| text.contains(word)).map(|(_, engine)| *engine);
        found(&name)
    }

    /// Whether an image holds a database that this version cannot copy.
    pub fn is_foreign(image: &str) -> bool {
        let name = plain_name(image);
        !is_companion(&name) && UNKNOWN.iter().any(|word| name.contains(word))
    }

    /// Whether it speaks SQL.
    pub fn is_sql(self) -> bool {
        match self {
            Self::Mysql | Self::Mariadb | Self::Postgres => true,
            Self::Redis | Self::Valkey => false,
        }
    }

    /// Whether it is of the MySQL family.
    pub fn is_mysql(self) -> bool {
        matches!(self, Self::Mysql | Self::Mariadb)
    }

    /// Whether one server's dump is for the other: the same engine, or its relative.
    pub fn is_kin(self, other: Self) -> bool {
        self.family() == other.family()
    }

    fn family(self) -> u8 {
        match self {
            Self::Mysql | Self::Mariadb => 0,
            Self::Postgres => 1,
            Self::Redis | Self::Valkey => 2,
        }
    }

    /// What its dumps end with, before compression: `.sql`, `.rdb`.
    pub fn suffix(self) -> &'static str {
        if self.is_sql() { "sql" } else { "rdb" }
    }

    /// Whether a folder of a service is where this engine keeps its data: what lies there is not to be copied as files
    /// while it runs. The places are those of the official images and of Bitnami's.
    pub fn keeps_data_at(self, target: &Path) -> bool {
        let places: &[&str] = match self {
            Self::Mysql | Self::Mariadb => {
                &["/var/lib/mysql", "/bitnami/mysql", "/bitnami/mariadb", "/var/lib/mysql-files"]
            }
            Self::Postgres => &["/var/lib/postgresql", "/bitnami/postgresql", "/home/postgres/pgdata", "/pgdata"],
            Self::Redis | Self::Valkey => {
                &["/data", "/var/lib/redis", "/var/lib/valkey", "/bitnami/redis", "/bitnami/valkey"]
            }
        };
        places.iter().any(|place| target.starts_with(place))
    }
}

fn is_companion(name: &str) -> bool {
    COMPANIONS.iter().any(|word| name.contains(word))
        || name.split(['-', '_', '.']).any(|part| COMPANION_WORDS.contains(&part))
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of database; there are mysql, mariadb, postgres, redis, valkey")]
pub struct UnknownEngine(pub String);

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        match text.trim().to_lowercase().as_str() {
            "mysql" | "percona" => Ok(Self::Mysql),
            "mariadb" => Ok(Self::Mariadb),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            "redis" | "keydb" => Ok(Self::Redis),
            "valkey" => Ok(Self::Valkey),
            _ => Err(UnknownEngine(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_recognised_by_the_last_part_of_its_name() {
        for (image, engine) in [
            ("mysql:8", Some(Engine::Mysql)),
            ("docker.io/library/mariadb:11.8@sha256:abc", Some(Engine::Mariadb)),
            ("bitnami/postgresql:16", Some(Engine::Postgres)),
            ("postgis/postgis:16-3.4", Some(Engine::Postgres)),
            ("timescale/timescaledb:latest-pg16", Some(Engine::Postgres)),
            ("registry.example:5000/team/redis", Some(Engine::Redis)),
            ("valkey/valkey:8", Some(Engine::Valkey)),
            ("mysql/mysql-server:8.0", Some(Engine::Mysql)),
            ("nginx:1.26", None),
            ("prom/mysqld-exporter", None),
            ("phpmyadmin", None),
            ("dpage/pgadmin4", None),
            ("redis/redisinsight", None),
            ("edoburu/pgbouncer", None),
            ("acme/mysql/app:1", None),
            ("percona/percona-distribution-postgresql:17", Some(Engine::Postgres)),
            ("postgrest/postgrest:v12", None),
            ("supabase/postgres-meta:v0.84", None),
            ("acme/redis-ui", None),
            ("acme/mysql-rest:2", None),
        ] {
            assert_eq!(Engine::of_image(image), engine, "{image}");
        }
        assert!(Engine::is_foreign("mongo:7"));
        for image in
            ["mongo-express-admin", "mongo-express:1", "opensearch-dashboards:2", "clickhouse/clickhouse-keeper"]
        {
            assert!(!Engine::is_foreign(image), "{image}");
        }
    }

    #[test]
    fn every_engine_is_read_by_its_name() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        assert!("oracle".parse::<Engine>().is_err());
    }

    #[test]
    fn data_folders_are_known_by_their_place() {
        assert!(Engine::Postgres.keeps_data_at(Path::new("/var/lib/postgresql/data")));
        assert!(Engine::Mariadb.keeps_data_at(Path::new("/var/lib/mysql")));
        assert!(!Engine::Mariadb.keeps_data_at(Path::new("/etc/mysql")));
        assert!(!Engine::Redis.keeps_data_at(Path::new("/database")));
    }
}
