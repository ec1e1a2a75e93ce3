//! What belongs to a whole PostgreSQL server and not to one of its databases: roles, and the settings of databases. Pure, but
//! for reading and creating.

use std::collections::BTreeSet;

use shipshape_core::database::{Client, GLOBALS_SETTINGS};

use super::super::RestoreError;
use super::{maintenance, quoted};

/// The statements of a dump of globals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    /// About roles: memberships and settings too.
    roles: Vec<String>,
    /// About databases, by their names.
    settings: Vec<String>,
}

impl Roles {
    /// Those of a dump.
    pub(crate) fn of(text: &str) -> Self {
        let (roles, settings) = text.split_once(GLOBALS_SETTINGS).unwrap_or((text, ""));
        Self { roles: statements(roles), settings: statements(settings) }
    }

    /// What the server says of its databases now, and of no role.
    pub(crate) fn of_live(client: &Client<'_>) -> Result<Self, RestoreError> {
        Ok(Self { roles: Vec::new(), settings: statements(&client.settings()?) })
    }

    /// Makes the roles that this server lacks, with all that is said of them. Of those that it has nothing is changed:
    /// their passwords are the ones that the application uses now. Returns the names of the new ones.
    pub(crate) fn create_missing(&self, client: &Client<'_>) -> Result<Vec<String>, RestoreError> {
        let database = maintenance(client, "")?;
        let rows = client.sql(Some(&database), "COPY (SELECT rolname FROM pg_roles) TO STDOUT")?;
        let (names, sql) = self.missing(&rows.into_iter().flatten().collect());
        if !names.is_empty() {
            client.sql(Some(&database), &format!("BEGIN;\n{sql}\nCOMMIT;\n"))?;
        }
        Ok(names)
    }

    pub(super) fn missing(&self, known: &BTreeSet<String>) -> (Vec<String>, String) {
        let created = |statement: &String| name_after(statement, &["CREATE ROLE "]).map(|(name, _)| name);
        let names: Vec<String> = self.roles.iter().filter_map(created).filter(|name| !known.contains(name)).collect();
        let is_new = |name: &String| names.contains(name);
        let mut sql = String::new();
        for statement in &self.roles {
            let about = name_after(statement, &["CREATE ROLE ", "ALTER ROLE ", "COMMENT ON ROLE "]);
            let membership = membership(statement);
            if about.is_some_and(|(name, _)| is_new(&name))
                || membership.as_ref().is_some_and(|[role, member]| is_new(role) || is_new(member))
            {
                // Who has granted it there may not be here, or may not be allowed to.
                let plain = if membership.is_some() { without_grantor(statement) } else { statement.as_str() };
                sql.push_str(plain);
                sql.push_str(";\n");
            }
        }
        (names, sql)
    }

    /// Gives the database `into` the settings and rights that `database` had.
    pub(crate) fn give_settings(&self, client: &Client<'_>, database: &str, into: &str) -> Result<(), RestoreError> {
        let sql = self.settings_of(database, into);
        if !sql.is_empty() {
            client.sql(Some(&maintenance(client, into)?), &sql)?;
        }
        Ok(())
    }

    /// The statements that give a database its settings and rights, for the one that has come in its place.
    pub(super) fn settings_of(&self, database: &str, into: &str) -> String {
        let about = |statement: &String| {
            let at =
                [" ON DATABASE ", " IN DATABASE "].iter().find_map(|mark| Some(statement.find(mark)? + mark.len()));
            let at = if statement.starts_with(ALTER) { ALTER.len() } else { at? };
            let (name, rest) = identifier(statement.get(at..)?)?;
            (name == database).then(|| format!("{}{}{rest};\n", statement.get(..at).unwrap_or_default(), quoted(into)))
        };
        self.settings.iter().filter_map(about).collect()
    }
}

const ALTER: &str = "ALTER DATABASE ";

/// The statements of a text, without their semicolons and comments.
pub(super) fn statements(text: &str) -> Vec<String> {
    let (mut all, mut current) = (Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    let mut escapes = false;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '-') if chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, '\\') if current.trim().is_empty() => {
                // A line for psql itself: `\restrict`.
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, ';') => all.push(std::mem::take(&mut current).trim().to_owned()),
            (None, '\'' | '"') => {
                // A doubled quote ends a text and begins it again, under the same rules.
                escapes = c == '\'' && (current.ends_with('E') || (escapes && current.ends_with('\'')));
                quote = Some(c);
                current.push(c);
            }
            (Some(_), '\\') if escapes => {
                current.push(c);
                current.extend(chars.next());
            }
            (Some(end), c) if c == end => {
                quote = None;
                current.push(c);
            }
            (_, c) => current.push(c),
        }
    }
    all.retain(|statement| !statement.is_empty());
    all
}

/// The name behind one of these beginnings, and what follows it.
fn name_after<'s>(statement: &'s str, beginnings: &[&str]) -> Option<(String, &'s str)> {
    beginnings.iter().find_map(|beginning| identifier(statement.strip_prefix(beginning)?))
}

/// A name at the beginning of a text, out of its quotes, and the rest.
pub(super) fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ';' || c == ',').unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// `GRANT role TO member …`: both names. A grant on something is none.
pub(super) fn membership(statement: &str) -> Option<[String; 2]> {
    let (role, rest) = name_after(statement, &["GRANT "])?;
    let (member, _) = identifier(rest.strip_prefix(" TO ")?)?;
    Some([role, member])
}

fn without_grantor(statement: &str) -> &str {
    statement.rfind(" GRANTED BY ").map_or(statement, |at| &statement[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"--
-- PostgreSQL database cluster dump
--
\restrict abc
SET default_transaction_read_only = off;
CREATE ROLE freight;
ALTER ROLE freight WITH SUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x;y';
CREATE ROLE "odd ""one""";
ALTER ROLE "odd ""one""" WITH NOLOGIN;
COMMENT ON ROLE "odd ""one""" IS E'it''s\' ; here';
CREATE ROLE reporting;
ALTER ROLE reporting SET statement_timeout TO '30s';
GRANT billing_owner TO freight WITH INHERIT TRUE GRANTED BY freight;
GRANT reporting TO freight WITH INHERIT TRUE GRANTED BY gone;
GRANT SET ON PARAMETER x TO reporting;
-- PostgreSQL database cluster dump complete

-- Shipshape: settings of databases
ALTER DATABASE freight SET work_mem TO '8MB';
ALTER DATABASE freight2 SET work_mem TO '9MB';
ALTER ROLE reporting IN DATABASE freight SET search_path TO 'a';
GRANT CONNECT ON DATABASE "freight" TO reporting;
REVOKE CONNECT ON DATABASE freight FROM PUBLIC;
-- Shipshape: settings complete
"#;

    #[test]
    fn only_roles_that_are_missing_are_made_with_all_that_is_theirs() {
        let roles = Roles::of(TEXT);
        let known = ["freight".to_owned(), "billing_owner".to_owned()].into();
        let (names, sql) = roles.missing(&known);
        assert_eq!(names, ["odd \"one\"", "reporting"]);
        let expected = r#"CREATE ROLE "odd ""one""";
ALTER ROLE "odd ""one""" WITH NOLOGIN;
COMMENT ON ROLE "odd ""one""" IS E'it''s\' ; here';
CREATE ROLE reporting;
ALTER ROLE reporting SET statement_timeout TO '30s';
GRANT reporting TO freight WITH INHERIT TRUE;
"#;
        assert_eq!(sql, expected);
    }

    #[test]
    fn the_settings_of_a_database_go_to_the_one_in_its_place() {
        let expected = r#"ALTER DATABASE "new" SET work_mem TO '8MB';
ALTER ROLE reporting IN DATABASE "new" SET search_path TO 'a';
GRANT CONNECT ON DATABASE "new" TO reporting;
REVOKE CONNECT ON DATABASE "new" FROM PUBLIC;
"#;
        assert_eq!(Roles::of(TEXT).settings_of("freight", "new"), expected);
    }

    #[test]
    fn no_quote_is_the_end_of_a_statement() {
        assert_eq!(statements("a ';' \";\" E'\\';' b; c"), ["a ';' \";\" E'\\';' b"]);
    }
}
