//! The longest statement that a server takes, raised for the time of a load that needs more.

use std::collections::BTreeMap;

use shipshape_core::database::Client;

use super::super::RestoreError;

/// The name of the variable.
const VARIABLE: &str = "max_allowed_packet";

/// The most that the variable can be: 1 GiB.
const MOST: u64 = 1 << 30;

/// What every server takes: the least default that there ever was.
const LEAST: u64 = 1 << 20;

/// What a statement has beside what its dump shows.
const MARGIN: u64 = 64 << 10;

/// The limit as it was, put back when this is dropped.
pub(super) struct Packet<'a, 'c> {
    client: &'a Client<'c>,
    before: BTreeMap<String, String>,
}

impl<'a, 'c> Packet<'a, 'c> {
    /// Raises the limit, if a statement of that length needs it. A user who may not is told so by the server when that
    /// statement comes.
    pub(super) fn raise(client: &'a Client<'c>, longest: u64) -> Result<Self, RestoreError> {
        let before = Self::before(client, longest)?;
        if !before.is_empty() {
            let wanted = (longest + MARGIN).next_multiple_of(1024).min(MOST);
            let _ = client.sql(None, &format!("SET GLOBAL {VARIABLE} = {wanted}"));
        }
        Ok(Self { client, before })
    }

    /// The limit, if it has to be raised.
    pub(super) fn before(client: &Client<'_>, longest: u64) -> Result<BTreeMap<String, String>, RestoreError> {
        if longest + MARGIN < LEAST {
            return Ok(BTreeMap::new());
        }
        let rows = client.sql(None, &format!("SELECT @@GLOBAL.{VARIABLE}"))?;
        let limit = rows.first().and_then(|row| row.first()).cloned().unwrap_or_default();
        let is_too_low = limit.parse::<u64>().is_ok_and(|limit| limit < (longest + MARGIN).min(MOST));
        Ok(is_too_low.then(|| (VARIABLE.to_owned(), limit)).into_iter().collect())
    }
}

impl Drop for Packet<'_, '_> {
    fn drop(&mut self) {
        let _ = put_back(&self.client.for_cleanup(), &self.before);
    }
}

/// Sets the limit to what it was.
pub(super) fn put_back(client: &Client<'_>, before: &BTreeMap<String, String>) -> Result<(), RestoreError> {
    if let Some(limit) = before.get(VARIABLE).and_then(|limit| limit.parse::<u64>().ok()) {
        client.sql(None, &format!("SET GLOBAL {VARIABLE} = {limit}"))?;
    }
    Ok(())
}
