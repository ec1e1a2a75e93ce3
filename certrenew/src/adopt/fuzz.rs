//! Fuzz target of certbot's renewal files.

use shipshape_fuzzing::fuzz;

use super::block;
use super::renewal::{self, Renewal};

#[test]
fn a_file_of_certbot_keeps_every_line_but_one() {
    let file = b"version = 2.1.0\ncert = /etc/letsencrypt/live/a.test/cert.pem\n# x\n[renewalparams]\nautorenew = \"True\"\nauthenticator = webroot\nwebroot_path = /var/www/html,\n[[webroot_map]]\na.test = '/var/www/html'\n";
    fuzz(&[file, b"[renewalparams]", b"[renewalparams]\r\n[renewalparams]\n autorenew=no"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let read = Renewal::read(&text);
        assert!(read.webroots().len() <= text.len());
        let Some(without) = renewal::without_renewal(&text) else {
            assert!(!read.is_whole);
            return;
        };
        let again = Renewal::read(&without);
        assert!(!again.renews(), "{without:?}");
        assert_eq!((again.path("cert"), again.webroots()), (read.path("cert"), read.webroots()));
        assert_eq!(renewal::without_renewal(&without).as_deref(), Some(&*without), "a second time changes nothing");
    });
}

#[test]
fn what_certbot_wrote_is_one_value_of_our_file() {
    fuzz(&[b"/var/www\n[x]\n\"\\\x7f", "caf\u{e9}\u{85}".as_bytes()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let quoted = block::quoted(&text);
        assert_eq!(quoted.lines().count(), 1);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    });
}
