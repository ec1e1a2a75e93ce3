//! The questions that tell what a server has, and how their answers are read.

use std::collections::BTreeMap;
use std::str::Chars;

use super::client::{Client, Database, Facts};
use super::engine::Engine;
use super::error::DatabaseError;
use super::is_ours;

/// Every row begins with what it is about. Storage engines with transactions: `InnoDB` and its relatives; all others change
/// while they are dumped. `{me}` is the user, as the tables of privileges call it. A name that is no name for files, such as
/// that of a folder `lost+found` among the data, is told as `#mysql50#…`, and is no database.
const MYSQL: &str = r"
SELECT 'server', VERSION(), @@max_allowed_packet;
SELECT 'database', SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA
  WHERE LOWER(SCHEMA_NAME) NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'ndbinfo')
  AND SCHEMA_NAME NOT LIKE '#mysql50#%';
SELECT 'size', TABLE_SCHEMA, CAST(COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) AS UNSIGNED)
  FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' GROUP BY TABLE_SCHEMA;
SELECT 'untransactional', TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
  WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE NOT IN ('InnoDB', 'ROCKSDB', 'TokuDB', 'ndbcluster')
  AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys');
SELECT 'versioned', TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'
  ORDER BY TABLE_SCHEMA, TABLE_NAME;
SELECT 'may', PRIVILEGE_TYPE, '%' FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {me};
SELECT 'may', PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = {me};
SELECT 'may', 'mysql.proc', '%' FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE = {me}
  AND TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'proc' AND PRIVILEGE_TYPE = 'SELECT';
SELECT 'role', CURRENT_ROLE();
";

/// `'keeper'@'%'`: so the tables of privileges have it.
const ME: &str =
    "CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";

/// Tables that count their history by transactions: the dump client refuses to dump it.
const PRECISE: &str = r"
SELECT 'precise', TABLE_SCHEMA FROM information_schema.COLUMNS WHERE DATA_TYPE = 'bigint' AND GENERATION_EXPRESSION = 'ROW START';
";

/// The version of MariaDB since which a history that was dumped is safe to load: until then the end of time was in 2038, and
/// a later server takes such rows, which are those of the present, for past ones.
const HISTORY_SINCE: (u32, u32) = (11, 5);

/// `COPY … TO STDOUT` escapes what could be taken for a separator. Sizes need the privilege to connect.
const POSTGRES: &str = r"
COPY (SELECT 'server', current_setting('server_version')) TO STDOUT;
COPY (SELECT 'database', datname, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END,
  pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba) FROM pg_database
  WHERE NOT datistemplate AND datallowconn ORDER BY datname) TO STDOUT;
COPY (SELECT 'closed', datname FROM pg_database WHERE NOT datistemplate AND NOT datallowconn ORDER BY datname) TO STDOUT;
";

/// Only known since version 15, so asked for as JSON: `datlocprovider`; `daticulocale` in 15 and 16, `datlocale` since 17.
const POSTGRES_LOCALES: &str = r"
COPY (SELECT 'locale', datname, coalesce(to_jsonb(d)->>'datlocprovider', ''),
  coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', '') FROM pg_database d) TO STDOUT;
";

/// What somebody has made in the database in which one only maintains the others.
const POSTGRES_IN_USE: &str = r"
COPY (WITH own AS (SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%')
  SELECT (SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM own))
  + (SELECT count(*) FROM pg_proc WHERE pronamespace IN (SELECT oid FROM own))
  + (SELECT count(*) FROM pg_type WHERE typnamespace IN (SELECT oid FROM own))
  + (SELECT count(*) FROM pg_largeobject_metadata) + (SELECT count(*) FROM pg_publication)) TO STDOUT;
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
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s;', datname, datconnlimit) FROM pg_database
  WHERE NOT datistemplate AND datconnlimit >= 0 ORDER BY 1;
SELECT CASE WHEN a.grantee = 0 THEN format('GRANT %s ON DATABASE %I TO PUBLIC;', a.privilege_type, d.datname)
  ELSE format('GRANT %s ON DATABASE %I TO %I;', a.privilege_type, d.datname, pg_get_userbyid(a.grantee)) END
  FROM pg_database d, aclexplode(d.datacl) AS a WHERE NOT d.datistemplate AND a.grantee <> d.datdba ORDER BY 1;
SELECT format('REVOKE %s ON DATABASE %I FROM PUBLIC;', p.name, d.datname)
  FROM pg_database d, (VALUES ('CONNECT'), ('TEMPORARY')) AS p(name) WHERE NOT d.datistemplate AND d.datacl IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM aclexplode(d.datacl) AS a WHERE a.grantee = 0 AND a.privilege_type = p.name) ORDER BY 1;
"#;

impl Client<'_> {
    /// The statements that give the databases of a PostgreSQL server their settings and rights, as its globals have them.
    pub fn settings(&self) -> Result<String, DatabaseError> {
        let questions = POSTGRES_SETTINGS.split("ORDER BY 1;").filter(|question| !question.trim().is_empty());
        let asked: String = questions.map(|question| ["COPY (", question, ") TO STDOUT;\n"].concat()).collect();
        Ok(self.sql(None, &asked)?.into_iter().flatten().map(|statement| statement + "\n").collect())
    }
}

pub(super) fn mysql(client: &Client<'_>) -> Result<Facts, DatabaseError> {
    // MySQL before 8.0 has no roles, and no function that tells them.
    let asked = MYSQL.replace("{me}", ME);
    let mut rows = client.sql(None, &asked).or_else(|refused| match refused {
        DatabaseError::Client { .. } => client.sql(None, asked.split("SELECT 'role'").next().unwrap_or(&asked)),
        other => Err(other),
    })?;
    if about(&rows, "versioned").next().is_some() {
        rows.extend(client.sql(None, PRECISE)?);
    }
    let server = about(&rows, "server").next();
    let version = field(server, 1);
    let is_mariadb = version.to_lowercase().contains("mariadb");
    let mut facts = Facts {
        engine: if is_mariadb { Engine::Mariadb } else { Engine::Mysql },
        longest_statement: field(server, 2).parse().ok(),
        version,
        databases: Vec::new(),
        ours: Vec::new(),
        closed: Vec::new(),
    };
    for row in about(&rows, "database") {
        facts.add(mysql_database(row, &rows, &facts.version));
    }
    Ok(facts)
}

fn mysql_database(row: &[String], rows: &[Vec<String>], version: &str) -> Database {
    let name = field(Some(row), 1);
    let of_this = |kind: &'static str| about(rows, kind).filter(|row| row.get(1) == Some(&name));
    let versioned: Vec<String> = of_this("versioned").map(|row| field(Some(row), 2)).collect();
    let has_history = numbers(version) >= HISTORY_SINCE && of_this("precise").next().is_none();
    Database {
        bytes: field(of_this("size").next(), 2).parse().unwrap_or_default(),
        settings: settings(&[("charset", field(Some(row), 2)), ("collation", field(Some(row), 3))]),
        untransactional: of_this("untransactional").map(|row| field(Some(row), 2)).collect(),
        missing_privileges: missing(&name, rows, version),
        history: has_history && !versioned.is_empty(),
        without_history: if has_history { Vec::new() } else { versioned },
        name,
    }
}

/// The privileges without which the dump client leaves something out in silence: it passes over the rows of tables that it
/// may not read, triggers, and routines of which it sees nothing at all. One that it sees and may not show, and events, it
/// tells of itself.
fn missing(database: &str, rows: &[Vec<String>], version: &str) -> Vec<String> {
    let role = about(rows, "role").next();
    // What a role brings does not stand in these tables: then the dump itself has to tell.
    if !matches!(field(role, 1).as_str(), "" | "NONE" | "NULL") {
        return Vec::new();
    }
    let may = |what: &str, on: &str| {
        about(rows, "may").any(|row| field(Some(row), 1) == what && like(on, &field(Some(row), 2)))
    };
    let may_everywhere =
        |what: &str| about(rows, "may").any(|row| row.get(1..) == Some(&[what.to_owned(), "%".to_owned()]));
    let lacking: Vec<&str> = ["SELECT", "TRIGGER"].into_iter().filter(|what| !may(what, database)).collect();
    let mut missing = Vec::new();
    if !lacking.is_empty() {
        missing.push(format!("{} ON `{}`.*", lacking.join(", "), database.replace('`', "``")));
    }
    // MySQL has had no table of its routines since 8.0.
    let has_table = version.to_lowercase().contains("mariadb") || numbers(version) < (8, 0);
    let sees = ["EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "SHOW CREATE ROUTINE", "SHOW_ROUTINE"];
    let sees_routines = sees.iter().any(|what| may(what, database))
        || may_everywhere("SELECT")
        || has_table && (may("mysql.proc", "") || may("SELECT", "mysql"));
    if !sees_routines {
        missing.push(if has_table { "SELECT ON `mysql`.`proc`" } else { "SHOW_ROUTINE ON *.*" }.to_owned());
    }
    missing
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// A name against a pattern of MySQL's grants: `%` for any characters, `_` for one, `\` before one that means itself.
pub(super) fn like(name: &str, pattern: &str) -> bool {
    let (mut name, mut pattern) = (name.chars(), pattern.chars());
    // Where to go on when what follows the last `%` does not match here: one character further. An earlier `%` could not do
    // better than the last one, so the effort is bounded by the product of both lengths.
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut rest, mut wanted) = (name.clone(), pattern.clone());
        let fits = match (rest.next(), wanted.next()) {
            (_, Some('%')) => {
                retry = Some((name.clone(), wanted.clone()));
                pattern = wanted;
                continue;
            }
            (None, None) => return true,
            (Some(_), Some('_')) => true,
            (Some(c), Some('\\')) => c == wanted.next().unwrap_or('\\'),
            (c, literal) => c.is_some() && c == literal,
        };
        if fits {
            (name, pattern) = (rest, wanted);
            continue;
        }
        let Some((tried, behind)) = &mut retry else { return false };
        if tried.next().is_none() {
            return false;
        }
        (name, pattern) = (tried.clone(), behind.clone());
    }
}

pub(super) fn postgres(client: &Client<'_>) -> Result<Facts, DatabaseError> {
    let rows = client.sql(None, &[POSTGRES, POSTGRES_LOCALES].concat())?;
    let mut facts = Facts {
        engine: Engine::Postgres,
        version: field(about(&rows, "server").next(), 1),
        databases: Vec::new(),
        ours: Vec::new(),
        closed: about(&rows, "closed").map(|row| field(Some(row), 1)).filter(|name| !is_ours(name)).collect(),
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
    let is_named = client.server().section.databases.iter().any(|name| name == "postgres");
    let is_there = facts.databases.iter().any(|database| database.name == "postgres");
    if !is_named && is_there && facts.databases.len() > 1 && is_unused(client)? {
        facts.databases.retain(|database| database.name != "postgres");
    }
    Ok(facts)
}

/// A server that does not understand the question, which is one before version 10, is not taken at its word.
fn is_unused(client: &Client<'_>) -> Result<bool, DatabaseError> {
    match client.sql(Some("postgres"), POSTGRES_IN_USE) {
        Ok(in_use) => Ok(field(in_use.first().map(Vec::as_slice), 0) == "0"),
        Err(DatabaseError::Client { .. }) => Ok(false),
        Err(other) => Err(other),
    }
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
    Ok(Facts {
        engine,
        version,
        databases: vec![database],
        ours: Vec::new(),
        closed: Vec::new(),
        longest_statement: None,
    })
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
        assert!(
            like("aab", "%ab") && like("", "%%") && like("a%b", "a\\%_") && !like("ab", "a%c") && like("a\\", "a\\")
        );
    }

    #[test]
    fn a_pattern_full_of_wildcards_is_answered_at_once() {
        assert!(!like(&"a".repeat(64), &("%a".repeat(30) + "%b")));
    }

    fn missing_of(version: &str, may: &[(&str, &str)]) -> String {
        let text = |text: &str| text.to_owned();
        let rows: Vec<Vec<String>> = may.iter().map(|(what, on)| vec![text("may"), text(what), text(on)]).collect();
        missing("shop", &rows, version).join(" and ")
    }

    #[test]
    fn a_privilege_whose_lack_nobody_would_tell_is_demanded() {
        let (maria, mysql) = ("11.8.6-MariaDB", "8.4.0");
        let rest = [("SELECT", "shop"), ("TRIGGER", "sh%")];
        let with = |more| [rest[0], rest[1], more];
        assert_eq!(missing_of(maria, &rest), "SELECT ON `mysql`.`proc`");
        assert_eq!(missing_of("5.7.44", &rest), "SELECT ON `mysql`.`proc`");
        assert_eq!(missing_of(mysql, &rest), "SHOW_ROUTINE ON *.*");
        assert_eq!(missing_of(maria, &with(("mysql.proc", "%"))), "");
        assert_eq!(missing_of(mysql, &with(("SELECT", "mysql"))), "SHOW_ROUTINE ON *.*");
        assert_eq!(missing_of(mysql, &with(("SHOW_ROUTINE", "%"))), "");
        assert_eq!(missing_of(mysql, &with(("EXECUTE", "shop"))), "");
        assert_eq!(missing_of(mysql, &[("SELECT", "%"), ("TRIGGER", "shop")]), "");
        assert_eq!(missing_of(maria, &[("SHOW CREATE ROUTINE", "shop")]), "SELECT, TRIGGER ON `shop`.*");
    }

    #[test]
    fn a_role_may_bring_what_no_table_tells() {
        assert!(missing("shop", &[vec!["role".to_owned(), "keeper".to_owned()]], "11.8.6-MariaDB").is_empty());
    }

    #[test]
    fn history_is_dumped_where_it_can_be_loaded_anywhere() {
        let row = |row: &[&str]| row.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["versioned", "shop", "prices"]), row(&["precise", "bank"]), row(&["versioned", "bank", "t"])];
        let told = |name: &str, version| {
            let database = mysql_database(&row(&["database", name]), &rows, version);
            (database.history, database.without_history.join(","))
        };
        assert_eq!(told("shop", "11.8.6-MariaDB"), (true, String::new()));
        assert_eq!(told("shop", "11.4.2-MariaDB"), (false, "prices".to_owned()));
        assert_eq!(told("bank", "11.8.6-MariaDB"), (false, "t".to_owned()));
        assert_eq!(told("other", "10.6.1-MariaDB"), (false, String::new()));
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
