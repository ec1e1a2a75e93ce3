//! Accounts and roles of the MySQL family: which ones there are, and the questions that tell how to make them again.

use std::collections::BTreeSet;

use super::client::Client;
use super::error::DatabaseError;

/// The line before the statements of one account, without the account.
pub const ACCOUNT: &str = "-- Shipshape: account ";

/// What a dump of accounts begins with, behind the name of its engine.
pub const ACCOUNTS_HEAD: &str = " dump of accounts";

/// An account as a statement names it, in one line: `'reporting'@'10.%'`; a role of MariaDB has no host.
const NAME: &str = r"CONCAT(REPLACE(QUOTE(User), CHAR(10), '\\n'), '@', REPLACE(QUOTE(Host), CHAR(10), '\\n'))";

/// Nobody makes these: each server has its own, with passwords that are its own too.
const OURS: &str = "User NOT IN ('root', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys')";

/// Names keep their backslashes, whatever the server's setting is. MySQL's hashes are no text, but for this.
pub(super) const SESSION: &str = "SET SESSION sql_mode='' /*!80017 , print_identified_with_as_hex=ON */;";

/// The questions whose answers are a dump of the accounts, in an order that does not change by itself. Roles of MariaDB are
/// no users and come first; those of MySQL are users.
pub(super) fn questions() -> String {
    format!(
        r"SET SESSION sql_mode='';
SELECT CONCAT('SELECT ''-- ', IF(VERSION() LIKE '%MariaDB%', 'MariaDB', 'MySQL'), '{ACCOUNTS_HEAD}'';');
SELECT CONCAT('SELECT CONCAT(''-- Server version'', CHAR(9), ', QUOTE(VERSION()), ');');
SELECT CONCAT('SELECT ', QUOTE(CONCAT('{ACCOUNT}', {NAME})), ';',
  /*M! IF(is_role = 'Y', IF(User = 'PUBLIC', '', CONCAT('SELECT ', QUOTE(CONCAT('CREATE ROLE `', REPLACE(User, '`', '``'), '`')), ';')), */
  CONCAT('SHOW CREATE USER ', {NAME}, ';') /*M! ) */, 'SHOW GRANTS FOR ',
  /*M! IF(User = 'PUBLIC' AND is_role = 'Y', User, IF(is_role = 'Y', CONCAT('`', REPLACE(User, '`', '``'), '`'), */
  {NAME} /*M! )) */, ';')
  FROM mysql.user WHERE {OURS} ORDER BY /*M! is_role = 'Y' DESC, */ User, Host;
"
    )
}

/// Whether there are accounts that belong into a backup, as far as the user may see that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// There are.
    Some,
    /// There are none but the server's own.
    None,
    /// The user may not read them, or the server is too old to tell how they are made.
    Unreadable,
}

impl Client<'_> {
    /// Whether there are accounts that belong into a backup. For the MySQL family.
    pub fn accounts(&self) -> Result<Accounts, DatabaseError> {
        let asked = self.sql(None, &format!("SET SESSION sql_mode=''; SELECT {NAME} FROM mysql.user WHERE {OURS}"));
        let found = match asked {
            Err(DatabaseError::Client { .. } | DatabaseError::Privilege { .. }) => return Ok(Accounts::Unreadable),
            other => other?,
        };
        let names: Vec<String> = found.into_iter().flatten().collect();
        // A user must be allowed more for the grants of others than for their names.
        let Some(any) = names.iter().find(|name| !is_role(name)) else {
            return Ok(if names.is_empty() { Accounts::None } else { Accounts::Some });
        };
        match self.sql(None, &format!("{SESSION} SHOW CREATE USER {any}; SHOW GRANTS FOR {any};")) {
            Err(DatabaseError::Client { .. } | DatabaseError::Privilege { .. }) => Ok(Accounts::Unreadable),
            other => other.map(|_| Accounts::Some),
        }
    }

    /// The names of all accounts that a server of the MySQL family has, as a dump of them has them.
    pub fn account_names(&self) -> Result<BTreeSet<String>, DatabaseError> {
        let rows = self.sql(None, &format!("SET SESSION sql_mode=''; SELECT {NAME} FROM mysql.user"))?;
        Ok(rows.into_iter().flatten().collect())
    }
}

fn is_role(name: &str) -> bool {
    name.ends_with("@''")
}
