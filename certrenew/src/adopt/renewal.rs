//! What certbot wrote down of a certificate: `renewal/NAME.conf`, in the form of `ConfigObj`.
//!
//! ```text
//! cert = /etc/letsencrypt/live/a.test/cert.pem
//! [renewalparams]
//! authenticator = webroot
//! webroot_path = /var/www/html,
//! [[webroot_map]]
//! a.test = /var/www/html
//! ```

use std::collections::BTreeMap;

/// The largest file that is read, in bytes. Real ones take one kilobyte.
pub(super) const LARGEST: u64 = 64 << 10;

/// The section with what certbot was told.
const PARAMS: &str = "[renewalparams]";

/// The section in it with a webroot for each name.
const WEBROOTS: &str = "[[webroot_map]]";

/// What stands in such a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renewal {
    /// Before any section: versions and paths.
    top: BTreeMap<String, String>,
    /// What certbot was told.
    params: BTreeMap<String, String>,
    /// The webroot of each name.
    webroots: BTreeMap<String, String>,
    /// Whether there is a section with what certbot was told. Without it, certbot takes the file for a broken one too.
    pub(super) is_whole: bool,
}

impl Renewal {
    /// Reads the lines that make sense; certbot is as forgiving.
    pub(super) fn read(text: &str) -> Self {
        let mut read = Self::default();
        let mut section = Some(&mut read.top);
        for line in text.lines().map(str::trim) {
            if line.starts_with('#') {
                continue;
            }
            if line.starts_with('[') {
                read.is_whole |= line == PARAMS;
                section = match line {
                    PARAMS => Some(&mut read.params),
                    WEBROOTS => Some(&mut read.webroots),
                    _ => None,
                };
            } else if let (Some(section), Some((key, value))) = (section.as_mut(), line.split_once('=')) {
                section.insert(bare(key), bare(value));
            }
        }
        read
    }

    /// A path of before any section: `cert`, `privkey`, `fullchain`, ….
    pub(super) fn path(&self, key: &str) -> Option<&str> {
        self.top.get(key).map(String::as_str)
    }

    /// What certbot was told, where it was told something: `None` is how it writes that it was not.
    pub(super) fn told(&self, key: &str) -> Option<&str> {
        self.params.get(key).map(String::as_str).filter(|value| !value.is_empty() && *value != "None")
    }

    /// Whether it was told yes.
    pub(super) fn is(&self, key: &str) -> bool {
        self.told(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether certbot renews it when it is due: so unless it says otherwise, in a word that `ConfigObj` takes for no.
    pub(super) fn renews(&self) -> bool {
        let said = self.told("autorenew").map(str::to_lowercase);
        said.is_none_or(|value| !["false", "no", "off", "0"].contains(&value.as_str()))
    }

    /// The folders that the challenges of these names are written to, each once. The map of names says more than the
    /// path, which is that of the last names of a command line.
    pub(super) fn webroots(&self) -> Vec<String> {
        let mut found: Vec<String> = self.webroots.values().cloned().collect();
        if found.is_empty() {
            found = self.told("webroot_path").map(list).unwrap_or_default();
        }
        found.sort();
        found.dedup();
        found
    }
}

/// The same file, in which certbot is told to renew no more; every other line stays. None where there is no such
/// section.
pub(super) fn without_renewal(text: &str) -> Option<String> {
    const LINE: &str = "autorenew = False\n";
    let mut written = String::with_capacity(text.len() + LINE.len());
    let (mut is_in_section, mut is_said) = (false, false);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            is_in_section = trimmed == PARAMS;
        }
        let is_it = is_in_section && trimmed.split_once('=').is_some_and(|(key, _)| bare(key) == "autorenew");
        if !is_it {
            written.push_str(line);
        }
        if trimmed == PARAMS && !is_said {
            if !line.ends_with('\n') {
                written.push('\n');
            }
            written.push_str(LINE);
            is_said = true;
        }
    }
    is_said.then_some(written)
}

/// The elements of `a, b,`.
fn list(value: &str) -> Vec<String> {
    value.split(',').map(bare).filter(|element| !element.is_empty()).collect()
}

/// Without the spaces around it, and without quotes where both are there.
fn bare(text: &str) -> String {
    let text = text.trim();
    let quoted = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REAL: &str = "# renew_before_expiry = 30 days\nversion = 2.1.0\narchive_dir = /etc/letsencrypt/archive/a.test\n\
        cert = /etc/letsencrypt/live/a.test/cert.pem\n\n# Options used in the renewal process\n[renewalparams]\n\
        account = 0123\nauthenticator = webroot\nwebroot_path = /var/www/html, /srv/b,\nserver = \
        https://acme-v02.api.letsencrypt.org/directory\nkey_type = ecdsa\nreuse_key = True\nrenew_hook = \"echo 'a = b'\"\n\
        pre_hook = None\n[[webroot_map]]\na.test = /var/www/html\nwww.a.test = /var/www/html\n[other]\nkey_type = rsa\n";

    #[test]
    fn what_certbot_was_told_is_read() {
        let read = Renewal::read(REAL);
        assert_eq!(read.path("cert"), Some("/etc/letsencrypt/live/a.test/cert.pem"));
        let told = ["authenticator", "key_type", "renew_hook", "pre_hook", "post_hook"].map(|key| read.told(key));
        assert_eq!(told, [Some("webroot"), Some("ecdsa"), Some("echo 'a = b'"), None, None]);
        assert!(read.is("reuse_key") && !read.is("must_staple") && read.renews() && read.is_whole);
        assert_eq!(read.webroots(), ["/var/www/html"], "the map of names says it");
    }

    #[test]
    fn without_a_map_of_names_the_list_of_paths_counts() {
        let read = Renewal::read("[renewalparams]\nwebroot_path = /var/www/html, /srv/b,\n");
        assert_eq!(read.webroots(), ["/srv/b", "/var/www/html"]);
    }

    #[test]
    fn certbot_is_told_to_renew_no_more_and_nothing_else_changes() {
        let told = without_renewal(REAL).unwrap();
        assert!(!Renewal::read(&told).renews());
        assert_eq!(told.replace("autorenew = False\n", ""), REAL);
        assert_eq!(without_renewal(&told).unwrap(), told, "once is enough");
        let other = without_renewal("[renewalparams]\nautorenew=True\n[x]\nautorenew = True").unwrap();
        assert_eq!(other, "[renewalparams]\nautorenew = False\n[x]\nautorenew = True");
        assert_eq!(without_renewal("[renewalparams]").unwrap(), "[renewalparams]\nautorenew = False\n");
        assert_eq!(without_renewal("cert = /x\n"), None);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_it_certbot_is_told_once(before in "(?s).{0,80}", after in "(?s).{0,80}") {
            let text = format!("{before}\n[renewalparams]\n{after}");
            let told = without_renewal(&text).unwrap();
            prop_assert!(!Renewal::read(&told).renews());
            prop_assert_eq!(without_renewal(&told).unwrap(), told);
        }
    }
}
