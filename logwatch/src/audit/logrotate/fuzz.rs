//! Fuzz target of logrotate's rules.

use shipshape_fuzzing::fuzz;

use super::tests::{keeps, rules};

#[test]
fn rules_are_read_or_noted() {
    let seeds: [&[u8]; 3] = [
        b"weekly\nrotate 4\ninclude /etc/logrotate.conf\n/var/log/*.log \"/srv/a b/x\" {\n rotate 3\n postrotate\n  }\n endscript\n}\n",
        b"/a/x {\n rotate 99999999999999999999\n",
        b"tabooext + .x,.y\n'/a\\'/**' {}\n",
    ];
    fuzz(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let found = rules(&[("/etc/logrotate.conf", &text)]);
        let _ = keeps(&found, "/var/log/app.log");
        assert!(found.notes.iter().all(|note| note.len() <= 2 * text.len() + 500));
    });
}
