//! What Redis tells about itself, understood. Pure.

use std::collections::BTreeMap;

/// An answer to `INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info(BTreeMap<String, String>);

impl Info {
    /// Reads `name:value` lines.
    pub(super) fn read(answer: &str) -> Self {
        let pairs = answer.lines().filter_map(|line| line.trim().split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A value; empty where it is not told.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether it follows another server.
    pub(super) fn is_replica(&self) -> bool {
        matches!(self.text("role"), "slave" | "replica")
    }

    /// Whether it has everything that the server at this port of its own machine has.
    pub(super) fn is_in_step_with(&self, port: &str) -> bool {
        self.is_replica()
            && self.text("master_host") == "127.0.0.1"
            && self.text("master_port") == port
            && self.text("master_link_status") == "up"
            && self.text("master_sync_in_progress") != "1"
    }

    /// Changes as long as a replica gets on.
    pub(super) fn progress(&self) -> String {
        ["master_link_status", "master_sync_in_progress", "master_sync_left_bytes", "master_sync_read_bytes", "loading"]
            .map(|name| self.text(name))
            .join(" ")
    }
}

/// The value of a pair in an answer to `CONFIG GET`: a line each, in RESP2 as in RESP3.
pub(super) fn pair(answer: &str, name: &str) -> Option<String> {
    let mut lines = answer.lines();
    lines.by_ref().find(|line| *line == name)?;
    lines.next().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The paths in an answer to `MODULE LIST`: what has none is built in.
pub(super) fn modules(answer: &str) -> Vec<String> {
    let lines: Vec<&str> = answer.lines().collect();
    let paths = lines.windows(2).filter(|pair| pair[0] == "path" && pair[1].starts_with('/'));
    paths.map(|pair| pair[1].to_owned()).collect()
}

/// How many keys each database has, and how many of them have an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyspace(BTreeMap<String, (u64, u64)>);

impl Keyspace {
    /// Reads `db0:keys=8,expires=1,avg_ttl=0` lines.
    pub(super) fn read(answer: &str) -> Self {
        let lines = Info::read(answer).0.into_iter();
        let databases = lines.filter(|(name, _)| name.strip_prefix("db").is_some_and(is_number));
        Self(databases.map(|(name, value)| (name, (number(&value, "keys"), number(&value, "expires")))).collect())
    }

    /// All keys.
    pub(super) fn keys(&self) -> u64 {
        self.0.values().fold(0, |all, (keys, _)| all.saturating_add(*keys))
    }

    /// What another server lacks or has too much, if anything.
    pub(super) fn differs_from(&self, found: &Self) -> Option<String> {
        let mut names = self.0.keys().chain(found.0.keys());
        names.find_map(|name| self.difference(found, name))
    }

    fn difference(&self, found: &Self, name: &str) -> Option<String> {
        let of = |keyspace: &Self| keyspace.0.get(name).copied().unwrap_or_default();
        let ((expected, may_end), (keys, _)) = (of(self), of(found));
        let lacking = expected.saturating_sub(keys);
        let is_fine = lacking <= may_end && keys.saturating_sub(expected) <= may_end;
        (!is_fine).then(|| format!("{name} has {keys} keys instead of {expected}"))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(fields: &str, name: &str) -> u64 {
    let value = fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICATION: &str = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:21000\r\n\
        master_link_status:up\r\nmaster_sync_in_progress:0\r\n";

    #[test]
    fn more_keys_than_can_be_counted_are_as_many_as_can() {
        let keyspace = Keyspace::read("db0:keys=18446744073709551615,expires=0\ndb1:keys=2,expires=0\n");
        assert_eq!(keyspace.keys(), u64::MAX);
    }

    #[test]
    fn a_replica_is_in_step_when_its_link_is_up_and_nothing_is_under_way() {
        assert!(Info::read(REPLICATION).is_in_step_with("21000"));
        assert!(!Info::read(REPLICATION).is_in_step_with("6379"), "another master");
        for (from, to) in [("status:up", "status:down"), ("progress:0", "progress:1"), ("role:slave", "role:master")] {
            assert!(!Info::read(&REPLICATION.replace(from, to)).is_in_step_with("21000"), "{to}");
        }
    }

    #[test]
    fn keys_that_may_end_by_themselves_may_be_missing_and_no_others() {
        let before =
            Keyspace::read("# Keyspace\r\ndb0:keys=8,expires=1,avg_ttl=5,subexpiry=0\r\ndb1:keys=1,expires=0\r\n");
        assert_eq!(before.keys(), 9);
        let with = |text: &str| before.differs_from(&Keyspace::read(text));
        assert_eq!(with("db0:keys=7,expires=0\ndb1:keys=1,expires=0"), None);
        assert_eq!(with("db0:keys=6,expires=0\ndb1:keys=1,expires=0").unwrap(), "db0 has 6 keys instead of 8");
        assert_eq!(with("db0:keys=8,expires=1").unwrap(), "db1 has 0 keys instead of 1");
        assert_eq!(with("db0:keys=8,expires=1\ndb1:keys=1\ndb2:keys=3").unwrap(), "db2 has 3 keys instead of 0");
    }

    #[test]
    fn answers_are_pairs_of_lines() {
        assert_eq!(pair("dir\n/data\n", "dir").as_deref(), Some("/data"));
        assert_eq!(pair("", "dir"), None);
        assert_eq!(pair("masterauth\n\n", "masterauth"), None);
        let listed =
            "name\nvectorset\nver\n1\npath\n\nargs\n\nname\nbf\nver\n1\npath\n/usr/lib/redis/redisbloom.so\nargs\n";
        assert_eq!(modules(listed), ["/usr/lib/redis/redisbloom.so"]);
    }
}
