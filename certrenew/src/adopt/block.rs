//! What certbot was told of a certificate, in the words of our configuration, and what has none there.

use std::fmt::Write;
use std::path::Path;

use shipshape_core::config::KeyKind;
use shipshape_core::report::Notice;

use super::renewal::Renewal;
use crate::identifier::Identifier;
use crate::wanted::Authority;

/// The directory of Let's Encrypt before ACME had a number, which old files still name.
const FIRST_DIRECTORY: &str = "https://acme-v01.api.letsencrypt.org/directory";

/// Authorities that want accounts bound to ones that exist with them (RFC 8555, 7.3.4): certbot kept no key of that.
const BINDING: [&str; 3] = ["zerossl.com", "pki.goog", "ssl.com"];

/// What only a shell understands. A command without any of it is the words that it is written with.
const SHELL: &[char] =
    &['$', '`', '\\', '"', '\'', ';', '&', '|', '<', '>', '(', ')', '{', '}', '[', ']', '*', '?', '~', '#', '!', '='];

/// What to write for names that a running web server can prove.
const HTTP: &str = "challenge = \"http-01\"\nwebroot = \"/var/www/acme\"";

/// What to write for names that the DNS proves.
const DNS: &str = "challenge = \"dns-01\"\nhook = \"/etc/certrenew/dns-hook\"";

/// What is wrong where certbot had no hook: a server keeps what it has read until it is told.
const UNUSED: &str = "nothing makes the server take a new one: certbot had no deploy hook for it";

/// What to write then.
const USE: &str = "service = \"nginx\", a service of the stack, or command = [\"systemctl\", \"reload\", \"nginx\"]";

/// A certificate of certbot's, as it lies there.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it is for, its own name first.
    pub(super) names: Vec<Identifier>,
    /// The kind of its key.
    pub(super) key: Option<KeyKind>,
    /// What certbot wrote of it.
    pub(super) renewal: &'a Renewal,
    /// Where it wrote that.
    pub(super) place: &'a Path,
    /// The folder that is taken over.
    pub(super) folder: &'a Path,
    /// Why it is watched alone, whatever certbot was told.
    pub(super) doubt: Option<Doubt>,
    /// Whether the configuration has a command or a service for all certificates.
    pub(super) is_put_to_use: bool,
}

/// Why a certificate is not renewed here though its names could be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Its owner told certbot to renew it no more.
    SwitchedOff,
    /// There is no key beside it that can be read.
    NoKey,
    /// The key beside it is another one's.
    OtherKey,
}

/// The same for the configuration.
#[derive(Debug)]
pub(super) struct Block {
    /// The lines.
    pub(super) text: String,
    /// Whether it is renewed here from now on. What cannot be is watched, and stays certbot's.
    pub(super) is_renewed: bool,
    /// What could not be said.
    pub(super) notices: Vec<Notice>,
}

/// How names are proved: in our words, or not at all.
enum Way {
    /// The lines that say it.
    Known(String),
    /// Why there are none, and which lines the owner could write instead.
    Unknown { why: String, instead: &'static str },
}

impl Found<'_> {
    /// The block.
    pub(super) fn block(&self) -> Block {
        let mut text = format!("\n# From certbot: {}\n[[certrenew.certificate]]\n", self.place.display());
        let names: Vec<String> = self.names.iter().map(|name| quoted(&name.to_string())).collect();
        line(&mut text, "name", &quoted(self.name));
        line(&mut text, "names", &format!("[{}]", names.join(", ")));
        line(&mut text, "folder", &quoted(&self.folder.display().to_string()));
        line(&mut text, "ca", &quoted(self.authority()));
        line(&mut text, "key", &quoted(key_word(self.key)));
        if let Some(chain) = self.renewal.told("preferred_chain") {
            line(&mut text, "chain", &quoted(chain));
        }
        let mut notices = Vec::new();
        let is_used = self.put_to_use(&mut text, &mut notices);
        self.tell_what_is_lost(&mut notices);
        let is_renewed = match (self.way(), self.doubt) {
            (Way::Known(lines), None) => {
                if !is_used {
                    notices.push(self.notice("adopt.hook", UNUSED, USE));
                }
                text.push_str(&lines);
                true
            }
            (Way::Unknown { why, instead }, None) => {
                watch(&mut text, &format!("certbot goes on renewing it: {why}"), instead);
                notices.push(self.notice("adopt.not_renewed", &format!("stays with certbot: {why}"), instead));
                false
            }
            (Way::Known(lines), Some(doubt)) => self.watch_for(doubt, &lines, &mut text, &mut notices),
            (Way::Unknown { instead, .. }, Some(doubt)) => self.watch_for(doubt, instead, &mut text, &mut notices),
        };
        Block { text, is_renewed, notices }
    }

    /// Watched for what the certificate is, not for how its names are proved. Never renewed.
    fn watch_for(&self, doubt: Doubt, instead: &str, text: &mut String, notices: &mut Vec<Notice>) -> bool {
        let (code, why) = match doubt {
            Doubt::SwitchedOff => {
                ("adopt.switched_off", "certbot was told to renew it no more (autorenew = False), and so it is here")
            }
            Doubt::NoKey => ("adopt.key", "it has no privkey.pem that can be used, and is watched alone"),
            Doubt::OtherKey => {
                ("adopt.key", "its privkey.pem is the key of another certificate, and it is watched alone")
            }
        };
        watch(text, why, instead);
        let message = format!("{}: {why}", self.name);
        let instead = instead.lines().collect::<Vec<_>>().join("; ");
        let hint = format!("to renew it here all the same, write instead of `renew = false`: {instead}");
        notices.push(Notice::new(code, message, hint));
        false
    }

    fn notice(&self, code: &str, what: &str, instead: &str) -> Notice {
        let instead = instead.lines().collect::<Vec<_>>().join("; ");
        Notice::new(
            code,
            format!("{}: {what}", self.name),
            format!("write to its part of the configuration: {instead}"),
        )
    }

    /// By the name that people know, where it has one.
    fn authority(&self) -> &str {
        match self.renewal.told("server") {
            None | Some(FIRST_DIRECTORY) => "letsencrypt",
            Some(url) => Authority::word(url).unwrap_or(url),
        }
    }

    /// How the names are proved. What was done by a plugin, or beside a server that was stopped for it, has no words
    /// here.
    fn way(&self) -> Way {
        let unknown = |why: &str, instead| Way::Unknown { why: why.to_owned(), instead };
        let server = self.renewal.told("server").unwrap_or_default();
        if let Some(name) = BINDING.iter().find(|name| server.contains(*name)) {
            let why = format!("{name} wants an account that is bound to one of yours there");
            return Way::Unknown { why, instead: "eab_kid = \"KEY ID\"\neab_hmac_file = \"/etc/certrenew/eab\"" };
        }
        // RFC 8555, 6.1: ACME is spoken over HTTPS alone.
        if server.starts_with("http://") {
            return unknown("its authority is not spoken to over HTTPS", "ca = \"letsencrypt\"");
        }
        let has_hooks = ["pre_hook", "post_hook"].iter().any(|hook| self.renewal.told(hook).is_some());
        match self.renewal.told("authenticator").unwrap_or("standalone") {
            _ if self.names.iter().any(Identifier::is_wildcard) => unknown("wildcards are proved by the DNS", DNS),
            "webroot" => self.webroot().unwrap_or_else(|| unknown("its names have several webroots, or none", HTTP)),
            "standalone" if has_hooks => unknown("its server is stopped for it by hooks", HTTP),
            "standalone" => Way::Known(self.standalone()),
            name if name.starts_with("dns-") || name == "manual" => {
                unknown(&format!("its names are proved by certbot's `{}`", plain(name)), DNS)
            }
            name => unknown(&format!("its names are proved by certbot's `{}`", plain(name)), HTTP),
        }
    }

    /// One folder for all names: the configuration has one for each certificate.
    fn webroot(&self) -> Option<Way> {
        let webroots = self.renewal.webroots();
        let [webroot] = webroots.as_slice() else { return None };
        Path::new(webroot)
            .is_absolute()
            .then(|| Way::Known(format!("challenge = \"http-01\"\nwebroot = {}\n", quoted(webroot))))
    }

    /// certbot may have listened on another port, behind a proxy that leads there.
    fn standalone(&self) -> String {
        let mut lines = "challenge = \"standalone\"\n".to_owned();
        if let Some(port) = self.renewal.told("http01_port").filter(|port| *port != "80" && port.parse::<u16>().is_ok())
        {
            line(&mut lines, "http_listen", &quoted(&format!("[::]:{port}")));
        }
        lines
    }

    /// The command that makes a server take the new pair: certbot's hook where it is a program with its words, else
    /// what certbot's installer does.
    /// Whether there is one, or it was told already why there is none.
    fn put_to_use(&self, text: &mut String, notices: &mut Vec<Notice>) -> bool {
        let hook = self.renewal.told("renew_hook").or_else(|| self.renewal.told("deploy_hook"));
        let command = match (hook, self.renewal.told("installer")) {
            (Some(hook), _) if hook.contains(SHELL) => {
                let what = format!("its hook is one for a shell, and is not run here: {}", plain(hook));
                notices.push(self.notice(
                    "adopt.hook",
                    &what,
                    "command = [\"/etc/certrenew/reload.sh\"], a program with these lines",
                ));
                return true;
            }
            (Some(hook), _) => hook.split_whitespace().map(quoted).collect::<Vec<_>>().join(", "),
            (None, Some("nginx")) => "\"nginx\", \"-s\", \"reload\"".to_owned(),
            (None, Some("apache")) => "\"apachectl\", \"graceful\"".to_owned(),
            (None, _) => return self.is_put_to_use,
        };
        line(text, "command", &format!("[{command}]"));
        true
    }

    /// Wishes that have no words here, for good reasons.
    fn tell_what_is_lost(&self, notices: &mut Vec<Notice>) {
        for hook in ["pre_hook", "post_hook"] {
            if let Some(command) = self.renewal.told(hook) {
                let what = format!("its {hook} is not run here: {}", plain(command));
                notices.push(self.notice(
                    "adopt.hook",
                    &what,
                    "command = [\"PROGRAM\"], for what is to happen afterwards",
                ));
            }
        }
        let lost = [
            (
                "reuse_key",
                "its key was kept on renewal; here each certificate has a new one",
                "nothing; pins and TLSA records must name the issuer's key",
            ),
            (
                "must_staple",
                "it had to be stapled; authorities have ended OCSP",
                "nothing; take ssl_stapling out of the server's configuration",
            ),
        ];
        for (key, what, instead) in lost {
            if self.renewal.is(key) {
                notices.push(self.notice("adopt.lost", what, instead));
            }
        }
    }
}

/// The lines of one that is not renewed here, and those that would change it.
fn watch(text: &mut String, why: &str, instead: &str) {
    let _ = writeln!(text, "# {why}. To renew it here, say instead of the next line:");
    instead.lines().for_each(|said| text.extend(["# ", said, "\n"]));
    line(text, "renew", "false");
}

fn key_word(kind: Option<KeyKind>) -> &'static str {
    match kind {
        None | Some(KeyKind::EcdsaP256) => "ecdsa-p256",
        Some(KeyKind::EcdsaP384) => "ecdsa-p384",
        Some(KeyKind::Rsa2048) => "rsa-2048",
        Some(KeyKind::Rsa3072) => "rsa-3072",
        Some(KeyKind::Rsa4096) => "rsa-4096",
    }
}

/// `KEY = VALUE`.
fn line(text: &mut String, key: &str, value: &str) {
    for part in [key, " = ", value, "\n"] {
        text.push_str(part);
    }
}

/// A basic string of TOML: whatever stands in certbot's file, it stays one value.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for one in text.chars() {
        match one {
            '"' | '\\' => quoted.extend(['\\', one]),
            one if one.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(one));
            }
            one => quoted.push(one),
        }
    }
    quoted.push('"');
    quoted
}

/// As it can be shown on a terminal and in a comment.
fn plain(text: &str) -> String {
    text.chars().take(200).map(|one| if one.is_control() { '?' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(names: &[&str], params: &str) -> Block {
        doubted(names, params, None)
    }

    fn doubted(names: &[&str], params: &str, doubt: Option<Doubt>) -> Block {
        let renewal = Renewal::read(&format!("[renewalparams]\n{params}"));
        let names = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
        let (place, folder) = (Path::new("/le/renewal/a.test.conf"), Path::new("/le"));
        let (key, is_put_to_use) = (Some(KeyKind::Rsa2048), false);
        Found { name: "a.test", names, key, renewal: &renewal, place, folder, doubt, is_put_to_use }.block()
    }

    #[test]
    fn a_webroot_is_carried_over_with_all_that_has_words() {
        let params = "authenticator = webroot\nwebroot_path = /var/www/html,\nserver = \
                      https://acme-staging-v02.api.letsencrypt.org/directory\npreferred_chain = ISRG Root X1\nrenew_hook = \
                      systemctl reload nginx\n";
        let block = block(&["a.test", "www.a.test"], params);
        assert!(block.is_renewed && block.notices.is_empty(), "{:?}", block.notices);
        assert_eq!(
            block.text,
            "\n# From certbot: /le/renewal/a.test.conf\n[[certrenew.certificate]]\nname = \"a.test\"\nnames = [\"a.test\", \
             \"www.a.test\"]\nfolder = \"/le\"\nca = \"letsencrypt-staging\"\nkey = \"rsa-2048\"\nchain = \"ISRG Root \
             X1\"\ncommand = [\"systemctl\", \"reload\", \"nginx\"]\nchallenge = \"http-01\"\nwebroot = \"/var/www/html\"\n"
        );
    }

    #[test]
    fn what_has_no_words_here_stays_with_certbot_and_is_told_with_what_to_write() {
        let cases = [
            ("authenticator = nginx\n", "webroot = "),
            ("authenticator = dns-cloudflare\n", "hook = "),
            ("authenticator = manual\n", "hook = "),
            ("authenticator = standalone\npre_hook = systemctl stop nginx\n", "webroot = "),
            ("authenticator = webroot\nwebroot_path = /a, /b\n", "webroot = "),
            ("authenticator = webroot\nwebroot_path = a\n", "webroot = "),
            ("authenticator = standalone\nserver = https://acme.zerossl.com/v2/DV90\n", "eab_kid = "),
            ("authenticator = standalone\nserver = http://10.0.0.1/dir\n", "ca = "),
        ];
        for (params, instead) in cases {
            let block = block(&["a.test"], params);
            assert!(!block.is_renewed && block.text.ends_with("renew = false\n"), "{params}");
            assert!(block.text.contains(&format!("# {instead}")) || block.text.contains("\n# challenge"), "{params}");
            let told = block.notices.iter().find(|notice| notice.code == "adopt.not_renewed").unwrap();
            assert!(told.hint.contains(instead), "{params}: {}", told.hint);
        }
        assert!(!block(&["*.a.test"], "authenticator = webroot\nwebroot_path = /a\n").is_renewed);
    }

    #[test]
    fn a_server_of_its_own_is_carried_over_with_its_port() {
        let standalone = block(&["a.test"], "authenticator = standalone\nhttp01_port = 8080\n");
        assert!(standalone.is_renewed && standalone.text.contains("http_listen = \"[::]:8080\"\n"));
        let usual = block(&["a.test"], "authenticator = standalone\nhttp01_port = 80\n");
        assert!(usual.text.ends_with("challenge = \"standalone\"\n"), "{}", usual.text);
    }

    #[test]
    fn hooks_for_a_shell_and_lost_wishes_are_told() {
        let params = "authenticator = standalone\nrenew_hook = cat $RENEWED_LINEAGE/*.pem > /x\nreuse_key = True\nmust_staple = True\n";
        let block = block(&["a.test"], params);
        let codes: Vec<&str> = block.notices.iter().map(|notice| notice.code.as_str()).collect();
        assert_eq!(codes, ["adopt.hook", "adopt.lost", "adopt.lost"]);
        assert!(!block.text.contains("command"));
        assert!(block.notices[0].message.contains("cat $RENEWED_LINEAGE"));
    }

    #[test]
    fn without_a_hook_it_is_told_that_nothing_makes_the_server_take_a_new_one() {
        let webroot = "authenticator = webroot\nwebroot_path = /a\n";
        let told = block(&["a.test"], webroot).notices;
        assert!(told.len() == 1 && told[0].code == "adopt.hook", "{told:?}");
        assert!(
            told[0].hint.contains("service = \"nginx\"") && told[0].hint.contains("command = ["),
            "{}",
            told[0].hint
        );
        assert!(block(&["a.test"], &format!("{webroot}installer = nginx\n")).notices.is_empty());
        let shell = block(&["a.test"], &format!("{webroot}renew_hook = a; b\n"));
        assert_eq!(shell.notices.len(), 1, "one reason is enough: {:?}", shell.notices);
    }

    #[test]
    fn what_is_doubted_is_watched_and_its_lines_wait_in_a_comment() {
        let webroot = "authenticator = webroot\nwebroot_path = /a\ninstaller = nginx\n";
        for (doubt, code, word) in [
            (Doubt::SwitchedOff, "adopt.switched_off", "autorenew"),
            (Doubt::NoKey, "adopt.key", "no privkey.pem"),
            (Doubt::OtherKey, "adopt.key", "another certificate"),
        ] {
            for (params, instead) in [(webroot, "webroot = \"/a\""), ("authenticator = dns-x\n", "hook = ")] {
                let block = doubted(&["a.test"], params, Some(doubt));
                assert!(!block.is_renewed && block.text.ends_with("renew = false\n"), "{}", block.text);
                assert!(block.text.contains(&format!("\n# {instead}")), "{}", block.text);
                let [told] = block.notices.as_slice() else { panic!("{:?}", block.notices) };
                assert!(told.code == code && told.message.contains(word) && told.hint.contains(instead), "{told:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_certbot_wrote_stays_one_value(text in "(?s).{0,40}") {
            let quoted = quoted(&text);
            prop_assert_eq!(quoted.lines().count(), 1);
            // The JSON form of a string is one of TOML's too, but for what is above the basic plane.
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }
}
