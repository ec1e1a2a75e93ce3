//! Fuzz target of what Redis says of itself.

use shipshape_fuzzing::fuzz;

use super::info::{self, Info, Keyspace};

#[test]
fn what_a_server_says_is_read_as_pairs() {
    let seeds: [&[u8]; 3] = [
        b"# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:21000\r\nmaster_link_status:up\r\n",
        b"db0:keys=18446744073709551615,expires=1\ndb1:keys=1,expires=18446744073709551615\n",
        b"dir\n/data\nname\nsearch\npath\n/usr/lib/search.so\n",
    ];
    fuzz(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let info = Info::read(&text);
        assert!(!info.is_in_step_with("21000") || info.is_replica());
        let keyspace = Keyspace::read(&text);
        assert_eq!(keyspace.differs_from(&keyspace.clone()), None);
        let _ = keyspace.keys();
        assert!(info::modules(&text).iter().all(|path| path.starts_with('/')));
        assert!(info::pair(&text, "dir").is_none_or(|value| !value.is_empty()));
    });
}
