//! Fuzz target of the configuration file.

use std::path::Path;

use shipshape_fuzzing::fuzz;

use super::file;
use crate::error::Explain;

#[test]
fn a_file_is_read_or_refused_with_a_line_that_it_has() {
    let seeds: [&[u8]; 5] = [
        b"[app]\nname = \"demo\"\ndir = 'x'\n[store]\nurl = \"backups\"\nrecipients = [\"age1x\"]\ncompression = \"gzip\"\n[backup.keep]\nlast = 5\n",
        b"[database.db]\nkind = 'mysql'\npassword_file = 'p'\ndatabases = ['a']\n[logwatch]\nfiles = ['/var/log/*.log']\n[[logwatch.ignore]]\nmatch = 'x'\n",
        b"[alert.mail]\nhost = 'localhost'\nfrom = 'Ops <a@h.org>'\nto = ['b@h.org']\n[[alert.webhook]]\nurl_env = 'X'\n[alert]\nremind = ['1h']\n",
        b"[[certrenew.certificate]]\nnames = ['example.org']\nwebroot = '/srv'\nkey = 'rsa-2048'\n",
        b"\xef\xbb\xbf[stroe]\nurl = 1\n",
    ];
    fuzz(&seeds, |bytes| {
        let path = Path::new("/srv/shipshape.toml");
        let read = file::parse(path, bytes);
        let salvaged = file::salvaged(path, bytes);
        match read {
            Ok(config) => assert_eq!((config.app, config.store), (salvaged.app, salvaged.store)),
            Err(refused) => assert!(!refused.to_string().is_empty() && !refused.hint().is_empty()),
        }
    });
}
