//! Accounts and roles of the MySQL family. Each stands or fails by itself: that one cannot be made keeps no other back, and
//! no database.

use std::collections::BTreeSet;

use shipshape_core::database::{ACCOUNT, Client, DatabaseError, Engine};
use shipshape_core::report::Notice;

use super::super::RestoreError;
use super::super::globals::Made;

/// Names in statements keep their backslashes, whatever the server's setting is.
const SESSION: &str = "SET SESSION sql_mode='';\n";

/// The statements of a dump of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    engine: Engine,
    all: Vec<Account>,
    /// Those that were made, and whose rights could not all be given yet.
    waiting: Vec<Account>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    /// As the server names it in [`Client::account_names`].
    name: String,
    /// None for `PUBLIC`, which nobody makes.
    create: Option<String>,
    grants: Vec<String>,
}

impl Accounts {
    pub(crate) fn of(engine: Engine, text: &str) -> Self {
        let mut all: Vec<Account> = Vec::new();
        for piece in pieces(text) {
            match (piece.strip_prefix(ACCOUNT), all.last_mut()) {
                (Some(name), _) => all.push(Account { name: name.to_owned(), create: None, grants: Vec::new() }),
                (None, Some(last)) if !piece.starts_with('-') => last.add(piece),
                (None, _) => {}
            }
        }
        Self { engine, all, waiting: Vec::new() }
    }

    /// Makes the accounts that this server lacks. One may need another, as its default role.
    pub(crate) fn create_missing(&mut self, client: &Client<'_>) -> Result<Made, RestoreError> {
        if let Some(notice) = self.other_engine(client)? {
            return Ok(Made { names: Vec::new(), notices: vec![notice] });
        }
        let mut missing = self.missing(&client.account_names()?);
        let mut made = Vec::new();
        let mut notices;
        loop {
            let mut left = Vec::new();
            notices = Vec::new();
            let before = made.len();
            for account in missing {
                match attempt(client, account.create.as_deref().unwrap_or("DO 0"))? {
                    None => made.push(account),
                    Some(why) => {
                        notices.push(not_made(&account.name, &why));
                        left.push(account);
                    }
                }
            }
            missing = left;
            if missing.is_empty() || made.len() == before {
                break;
            }
        }
        for account in &made {
            if attempt(client, &account.grants.join(";\n"))?.is_some() {
                self.waiting.push(account.clone());
            }
        }
        let names = made.into_iter().filter(|account| account.create.is_some()).map(|account| account.name).collect();
        Ok(Made { names, notices })
    }

    fn missing(&self, known: &BTreeSet<String>) -> Vec<Account> {
        self.all.iter().filter(|account| !known.contains(&account.name)).cloned().collect()
    }

    /// Passwords and rights of one are nothing to the other.
    fn other_engine(&self, client: &Client<'_>) -> Result<Option<Notice>, RestoreError> {
        let version = client.sql(None, "SELECT VERSION()")?.concat().concat();
        let is_mariadb = version.to_lowercase().contains("mariadb");
        let message = || {
            format!(
                "the accounts of the snapshot are those of {}, and {} runs another server: none was made",
                self.engine,
                client.service()
            )
        };
        let hint = "make those that the application needs yourself";
        Ok((is_mariadb != (self.engine == Engine::Mariadb)).then(|| Notice::new("restore.account", message(), hint)))
    }

    /// Removes those that still lack rights.
    pub(crate) fn take_back(&mut self, client: &Client<'_>) {
        for account in std::mem::take(&mut self.waiting) {
            let create = account.create.as_deref().unwrap_or_default();
            let drop = match create.strip_prefix("CREATE ROLE ") {
                Some(role) => format!("DROP ROLE {role}"),
                None if create.is_empty() => continue,
                None => format!("DROP USER {}", account.name),
            };
            let _ = attempt(client, &drop);
        }
    }

    /// Gives the rights that could not be given before the databases were there.
    pub(crate) fn give_rest(&mut self, client: &Client<'_>) -> Vec<Notice> {
        std::mem::take(&mut self.waiting).iter().filter_map(|account| account.give(client)).collect()
    }
}

impl Account {
    /// What MariaDB tells of a role has the rights of the roles within it too; these are theirs.
    fn add(&mut self, statement: String) {
        let role = self.create.as_ref().and_then(|create| create.strip_prefix("CREATE ROLE "));
        let options = [" WITH GRANT OPTION", " WITH ADMIN OPTION"];
        let plain = options.iter().find_map(|end| statement.strip_suffix(end)).unwrap_or(&statement);
        if statement.starts_with("CREATE ") {
            self.create = Some(statement);
        } else if role.is_none_or(|role| plain.ends_with(&format!(" TO {role}"))) {
            self.grants.push(statement);
        }
    }

    /// Each right by itself, so that one that cannot be given keeps no other back.
    fn give(&self, client: &Client<'_>) -> Option<Notice> {
        let all = attempt(client, &self.grants.join(";\n"));
        if matches!(all, Ok(None)) {
            return None;
        }
        let refused = |grant: &String| match attempt(client, grant) {
            Ok(why) => why,
            Err(why) => Some(why.to_string()),
        };
        let why: Vec<String> = self.grants.iter().filter_map(refused).collect();
        let message = format!("the account {} lacks rights that it had: {}", self.name, why.first()?);
        Some(Notice::new("restore.account", message, "the other rights were given; look whether it needs this one"))
    }
}

fn not_made(name: &str, why: &str) -> Notice {
    let hint = "it is in no database: make it yourself, if the application needs it";
    Notice::new("restore.account", format!("the account {name} was not made: {why}"), hint)
}

/// Carries statements out; what the server says if it refuses one. That it is gone is another matter.
fn attempt(client: &Client<'_>, statements: &str) -> Result<Option<String>, RestoreError> {
    if statements.is_empty() {
        return Ok(None);
    }
    match client.sql(None, &format!("{SESSION}{statements};\n")) {
        Ok(_) => Ok(None),
        Err(DatabaseError::Client { why, .. } | DatabaseError::Privilege { why, .. }) => Ok(Some(why)),
        Err(other) => Err(other.into()),
    }
}

/// The statements of a text, without their semicolons, and the comments between them.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let (mut all, mut current) = (Vec::new(), String::new());
    let mut chars = text.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '-') if current.trim().is_empty() => {
                all.push(std::iter::once('-').chain(chars.by_ref().take_while(|c| *c != '\n')).collect());
            }
            (None, ';') => all.push(std::mem::take(&mut current).trim().to_owned()),
            (None, '\'' | '"' | '`') => {
                quote = Some(c);
                current.push(c);
            }
            (Some('\'' | '"'), '\\') => {
                current.push(c);
                current.extend(chars.next());
            }
            // A doubled quote ends a text and begins it again.
            (Some(end), c) if c == end => {
                quote = None;
                current.push(c);
            }
            (_, c) => current.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"-- MariaDB dump of accounts
-- Server version	11.8.6-MariaDB
-- Shipshape: account 'PUBLIC'@''
GRANT SELECT ON `a`.* TO PUBLIC;
-- Shipshape: account 'readers'@''
CREATE ROLE `readers`;
GRANT `inner` TO `readers`;
GRANT USAGE ON *.* TO `readers`;
GRANT SELECT ON `a`.* TO `readers` WITH GRANT OPTION;
GRANT USAGE ON *.* TO `inner`;
-- Shipshape: account 'o\'d"`\\;\ny'@'10.%'
CREATE USER `o'd"``\;
y`@`10.%` IDENTIFIED BY PASSWORD '*AB' COMMENT 'it\'s ; "';
GRANT USAGE ON *.* TO `o'd"``\;
y`@`10.%`;
-- Shipshape: settings complete
"#;

    #[test]
    fn accounts_are_read_with_their_names_whatever_these_are() {
        let accounts = Accounts::of(Engine::Mariadb, TEXT);
        let names: Vec<&str> = accounts.all.iter().map(|account| account.name.as_str()).collect();
        assert_eq!(names, ["'PUBLIC'@''", "'readers'@''", r#"'o\'d"`\\;\ny'@'10.%'"#]);
        let odd = &accounts.all[2];
        let created = "CREATE USER `o'd\"``\\;\ny`@`10.%` IDENTIFIED BY PASSWORD '*AB' COMMENT 'it\\'s ; \"'";
        assert_eq!(odd.create.as_deref(), Some(created));
        assert_eq!(odd.grants, ["GRANT USAGE ON *.* TO `o'd\"``\\;\ny`@`10.%`"]);
        assert_eq!((&accounts.all[0].create, accounts.all[0].grants.len()), (&None, 1));
    }

    #[test]
    fn a_role_gets_its_own_rights_and_not_those_of_the_roles_within_it() {
        let accounts = Accounts::of(Engine::Mariadb, TEXT);
        let own = [
            "GRANT `inner` TO `readers`",
            "GRANT USAGE ON *.* TO `readers`",
            "GRANT SELECT ON `a`.* TO `readers` WITH GRANT OPTION",
        ];
        assert_eq!(accounts.all[1].grants, own);
    }

    #[test]
    fn an_account_that_is_there_is_left_alone() {
        let accounts = Accounts::of(Engine::Mariadb, TEXT);
        let known = ["'readers'@''".to_owned(), "'PUBLIC'@''".to_owned()].into();
        let missing = accounts.missing(&known);
        assert_eq!(missing, accounts.all[2..]);
    }
}
