//! The questions that tell what a server has, and how their answers are read.

use std::collections::BTreeMap;

use super::client::{Client, Database, Facts};
use super::engine::Engine;
use super::error::DatabaseError;
use super::is_ours;

/// Every row begins with what it is about. Storage engines with transactions: `InnoDB` and its relatives; all others change
/// while they are dumped. `TRIGGER` is the one privilege without which mysqldump leaves something out in silence.
const MYSQL: &str = r"
SELECT 'server', VERSION(), @@max_allowed_packet;
SELECT 'database', SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA
  WHERE LOWER(SCHEMA_NAME) NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'ndbinfo');
SELECT 'size', TABLE_SCHEMA, CAST(COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) AS UNSIGNED)
  FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' GROUP BY TABLE_SCHEMA;
SELECT 'untransactional', TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
  WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE NOT IN ('InnoDB', 'ROCKSDB', 'TokuDB', 'ndbcluster')
  AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys');
SELECT 'trigger', '%' FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'
  AND GRANTEE = CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''');
SELECT 'trigger', TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER';
SELECT 'role', CURRENT_ROLE();
";

/// `COPY … TO STDOUT` escapes what could be taken for a separator. Sizes need the privilege to connect.
const POSTGRES: &str = r"
COPY (SELECT 'server', current_setting('server_version')) TO STDOUT;
COPY (SELECT 'database', datname, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END,
  pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba) FROM pg_database
  WHERE NOT datistemplate AND datallowconn ORDER BY datname) TO STDOUT;
";

/// Only known since version 15, so asked for as JSON: `datlocprovider`; `daticulocale` in 15 and 16, `datlocale` since 17.
const POSTGRES_LOCALES: &str = r"
COPY (SELECT 'locale', datname, coalesce(to_jsonb(d)->>'datlocprovider', ''),
  coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', '') FROM pg_database d) TO STDOUT;
";

/// Tables that somebody has made in the database in which one only maintains the others.
const POSTGRES_IN_USE: &str = r"
COPY (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%') TO STDOUT;
";

/// Statements that give databases their settings and rights back: `pg_dump` has them only together with
/// `CREATE DATABASE`, and `pg_dumpall --globals-only` not at all. A value that is a list of names is stored with their quotes
/// (`GUC_LIST_QUOTE` in the server's source), and is no text of its own.
pub(super) const POSTGRES_SETTINGS: &str = r#"
SELECT format('ALTER DATABASE %I SET %s TO %s;', d.datname, split_part(setting, '=', 1), CASE
    WHEN setting LIKE '%=""' THEN '''''' WHEN split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces',
      'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries', 'unix_socket_directories')
    THEN substr(setting, strpos(setting, '=') + 1) ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS setting
  WHERE s.setrole = 0 AND NOT d.datistemplate ORDER BY 1;
SELECT format('ALTER ROLE %I IN DATABASE %I SET %s TO %s;', r.rolname, d.datname, split_part(setting, '=', 1), CASE
    WHEN setting LIKE '%=""' THEN '''''' WHEN split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces',
      'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries', 'unix_socket_directories')
    THEN substr(setting, strpos(setting, '=') + 1) ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
  WHERE NOT d.datistemplate ORDER BY 1;
SELECT format('COMMENT ON DATABASE %I IS %L;', d.datname, shobj_description(d.oid, 'pg_database')) FROM pg_database d
  WHERE NOT d.datistemplate AND d.datname <> 'postgres' AND shobj_description(d.oid, 'pg_database') IS NOT NULL ORDER BY 1;
SELECT CASE WHEN a.grantee = 0 THEN format('GRANT %s ON DATABASE %I TO PUBLIC;', a.privilege_type, d.datname)
  ELSE format('GRANT %s ON DATABASE %I TO %I;', a.privilege_type, d.datname, pg_get_userbyid(a.grantee)) END
  FROM pg_database d, aclexplode(d.datacl) AS a WHERE NOT d.datistemplate AND a.grantee <> d.datdba ORDER BY 1;
SELECT format('REVOKE %s ON DATABASE %I FROM PUBLIC;', p.name, d.datname)
  FROM pg_database d, (VALUES ('CONNECT'), ('TEMPORARY')) AS p(name) WHERE NOT d.datistemplate AND d.datacl IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM aclexplode(d.datacl) AS a WHERE a.grantee = 0 AND a.privilege_type = p.name) ORDER BY 1;
"#;

pub(super) fn mysql(client: &Client<'_>) -> Result<Facts, DatabaseError> {
    // MySQL before 8.0 has no roles, and no function that tells them.
    let rows = client.sql(None, MYSQL).or_else(|refused| match refused {
        DatabaseError::Client { .. } => client.sql(None, MYSQL.split("SELECT 'role'").next().unwrap_or(MYSQL)),
        other => Err(other),
    })?;
    let server = about(&rows, "server").next();
    let version = field(server, 1);
    let is_mariadb = version.to_lowercase().contains("mariadb");
    let mut facts = Facts {
        engine: if is_mariadb { Engine::Mariadb } else { Engine::Mysql },
        longest_statement: field(server, 2).parse().ok(),
        version,
        databases: Vec::new(),
        ours: Vec::new(),
    };
    for row in about(&rows, "database") {
        facts.add(mysql_database(row, &rows));
    }
    Ok(facts)
}

fn mysql_database(row: &[String], rows: &[Vec<String>]) -> Database {
    let name = field(Some(row), 1);
    let of_this = |kind: &'static str| about(rows, kind).filter(|row| row.get(1) == Some(&name));
    let role = about(rows, "role").next();
    let has_role = !matches!(field(role, 1).as_str(), "" | "NONE" | "NULL");
    let has_trigger = about(rows, "trigger").any(|row| like(&name, &field(Some(row), 1)));
    Database {
        bytes: field(of_this("size").next(), 2).parse().unwrap_or_default(),
        settings: settings(&[("charset", field(Some(row), 2)), ("collation", field(Some(row), 3))]),
        untransactional: of_this("untransactional").map(|row| field(Some(row), 2)).collect(),
        // What a role brings does not stand in these tables: then the dump itself has to tell.
        missing_privileges: (!has_trigger && !has_role).then(|| "TRIGGER".to_owned()).into_iter().collect(),
        name,
    }
}

/// A name against a pattern of MySQL's grants: `%` for any characters, `_` for one, `\` before one that means itself.
fn like(name: &str, pattern: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => name.is_empty(),
        Some('%') => {
            let rest = pattern_chars.as_str();
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| like(&name[at..], rest))
        }
        Some(first) => {
            let literal = if first == '\\' { pattern_chars.next().unwrap_or('\\') } else { first };
            let mut name_chars = name.chars();
            let is_any = first == '_';
            name_chars.next().is_some_and(|c| is_any || c == literal)
                && like(name_chars.as_str(), pattern_chars.as_str())
        }
    }
}

pub(super) fn postgres(client: &Client<'_>) -> Result<Facts, DatabaseError> {
    let rows = client.sql(None, &[POSTGRES, POSTGRES_LOCALES].concat())?;
    let mut facts = Facts {
        engine: Engine::Postgres,
        version: field(about(&rows, "server").next(), 1),
        databases: Vec::new(),
        ours: Vec::new(),
        longest_statement: None,
    };
    for row in about(&rows, "database") {
        let name = field(Some(row), 1);
        let locale = about(&rows, "locale").find(|row| row.get(1) == Some(&name)).map(Vec::as_slice);
        let texts = [
            ("encoding", field(Some(row), 3)),
            ("collate", field(Some(row), 4)),
            ("ctype", field(Some(row), 5)),
            ("owner", field(Some(row), 6)),
            ("provider", field(locale, 2)),
            ("locale", field(locale, 3)),
        ];
        let bytes = field(Some(row), 2).parse().unwrap_or_default();
        facts.add(Database { name, bytes, settings: settings(&texts), ..Database::default() });
    }
    // Everybody connects to `postgres` to make the others; it counts only if somebody keeps something in it.
    if facts.databases.len() > 1 && facts.databases.iter().any(|database| database.name == "postgres") {
        let in_use = client.sql(Some("postgres"), POSTGRES_IN_USE)?;
        if field(in_use.first().map(Vec::as_slice), 0) == "0" {
            facts.databases.retain(|database| database.name != "postgres");
        }
    }
    Ok(facts)
}

pub(super) fn redis(client: &Client<'_>) -> Result<Facts, DatabaseError> {
    let answer = client.redis("INFO server\nINFO memory\n")?;
    let value = |name: &str| {
        let lines = answer.lines().filter_map(|line| line.trim().split_once(':'));
        lines.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let unclear =
        || DatabaseError::Answer { service: client.service().to_owned(), answer: answer.chars().take(80).collect() };
    let valkey = value("valkey_version");
    let engine = if valkey.is_some() { Engine::Valkey } else { Engine::Redis };
    let version = valkey.or_else(|| value("redis_version")).ok_or_else(unclear)?;
    let bytes = value("used_memory_dataset").and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
    let database = Database { name: client.service().to_owned(), bytes, ..Database::default() };
    Ok(Facts { engine, version, databases: vec![database], ours: Vec::new(), longest_statement: None })
}

impl Facts {
    fn add(&mut self, database: Database) {
        if is_ours(&database.name) {
            self.ours.push(database.name);
        } else {
            self.databases.push(database);
        }
    }
}

fn settings(texts: &[(&str, String)]) -> BTreeMap<String, String> {
    let stated = texts.iter().filter(|(_, text)| !text.is_empty() && text != "NULL" && text != "\\N");
    stated.map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
}

fn about<'r>(rows: &'r [Vec<String>], what: &str) -> impl Iterator<Item = &'r Vec<String>> {
    rows.iter().filter(move |row| row.first().is_some_and(|first| first == what))
}

fn field<R: AsRef<[String]> + ?Sized>(row: Option<&R>, at: usize) -> String {
    row.and_then(|row| row.as_ref().get(at)).cloned().unwrap_or_default()
}

/// Lines of fields between tabs. Both clients escape alike what is in a field: `\t`, `\n`, `\\`, and MySQL `\0`.
pub(super) fn rows(answer: &str) -> Vec<Vec<String>> {
    answer.split('\n').filter(|line| !line.is_empty()).map(|line| line.split('\t').map(unescaped).collect()).collect()
}

fn unescaped(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => text.push(c),
            (_, true) => match chars.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                Some('N') => text.push_str("\\N"),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_come_back_as_they_were() {
        assert_eq!(rows("a\\tb\tc\\\\n\n\\N\td\n"), [["a\tb", "c\\n"], ["\\N", "d"]]);
        assert!(rows("").is_empty());
    }

    #[test]
    fn a_grant_s_pattern_matches_as_mysql_does() {
        assert!(like("fleet", "%") && like("fleet", "fl%") && like("fleet_1", "fleet\\_1") && like("a", "_"));
        assert!(!like("fleetx1", "fleet\\_1") && !like("fleet", "flee") && !like("", "_"));
    }

    proptest! {
        #[test]
        fn any_field_survives_the_escapes_of_the_clients(text in "[a-z\\\\\t\n]{0,20}") {
            let escaped = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
            let read = rows(&format!("x\t{escaped}\n"));
            prop_assert_eq!(&read[0][1], &text);
        }
    }
}
