//! The names of databases that stand beside a live one.

use chrono::{DateTime, Utc};
use shipshape_core::database::{BEFORE, Engine, LOADING};

/// The longest name that MySQL takes, in characters (dev.mysql.com, "Identifier Length Limits").
const MYSQL_LIMIT: usize = 64;

/// The longest name that PostgreSQL takes, in bytes (`NAMEDATALEN` less one).
const POSTGRES_LIMIT: usize = 63;

/// The name under which the live database is kept: `fleetbase__before_20261120T020000`.
pub(crate) fn before(engine: Engine, live: &str, now: DateTime<Utc>) -> String {
    beside(engine, live, BEFORE, now)
}

/// The name of the database that is loaded: `fleetbase__restore_20261120T020000`.
pub(crate) fn loading(engine: Engine, live: &str, now: DateTime<Utc>) -> String {
    beside(engine, live, LOADING, now)
}

/// Where the name is too long, its end makes room: a few letters of its hash tell it from its neighbours.
fn beside(engine: Engine, live: &str, mark: &str, now: DateTime<Utc>) -> String {
    let stamp = now.format("%Y%m%dT%H%M%S");
    let name = format!("{live}{mark}{stamp}");
    let length = |text: &str| if engine.is_mysql() { text.chars().count() } else { text.len() };
    let limit = if engine.is_mysql() { MYSQL_LIMIT } else { POSTGRES_LIMIT };
    if length(&name) <= limit {
        return name;
    }
    let hash = blake3::hash(live.as_bytes()).to_hex();
    let end = format!("-{}{mark}{stamp}", &hash[..6]);
    let room = limit - end.len();
    let cut = if engine.is_mysql() {
        live.char_indices().nth(room).map_or(live.len(), |(at, _)| at)
    } else {
        (0..=room.min(live.len())).rev().find(|at| live.is_char_boundary(*at)).unwrap_or_default()
    };
    format!("{}{end}", &live[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipshape_core::database::is_ours;

    #[test]
    fn the_names_beside_a_database_tell_whose_they_are_and_since_when() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(before(Engine::Mariadb, "fleetbase", now), "fleetbase__before_19700101T000000");
        assert_eq!(loading(Engine::Postgres, "freight", now), "freight__restore_19700101T000000");
    }

    proptest! {
        #[test]
        fn any_name_finds_room_and_stays_told_from_others(live in "\\PC{1,63}", other in "\\PC{1,63}") {
            let now = DateTime::UNIX_EPOCH;
            for engine in [Engine::Mysql, Engine::Postgres] {
                let name = before(engine, &live, now);
                let length = if engine == Engine::Mysql { name.chars().count() } else { name.len() };
                let limit = if engine == Engine::Mysql { 64 } else { 63 };
                prop_assert!(length <= limit);
                prop_assert!(is_ours(&name));
                prop_assert_eq!(name == before(engine, &other, now), live == other);
            }
        }
    }
}
