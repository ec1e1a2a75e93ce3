//! Where a redirect leads, and whether an authority would go there.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// A URL of http or https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) is_tls: bool,
    /// In lower case; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// With the query.
    pub(super) path: String,
}

impl Url {
    /// Where the authority asks first (RFC 8555, 8.3).
    pub(super) fn of_token(host: &str, port: u16, token: &str) -> Self {
        let path = format!("/.well-known/acme-challenge/{token}");
        Self { is_tls: false, host: host.to_owned(), port, path }
    }

    /// Where a `Location` leads from here (RFC 9110, 10.2.2); none where it makes no sense, or is of another scheme.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        if location.starts_with("//") {
            let scheme = if self.is_tls { "https:" } else { "http:" };
            return Self::absolute(&format!("{scheme}{location}"));
        }
        if location.starts_with('/') {
            let path = location.parse::<Uri>().ok()?.path_and_query()?.to_string();
            return Some(Self { path, ..self.clone() });
        }
        // A path that is relative to the folder of this one is as good as unknown in redirects of web servers.
        Self::absolute(location)
    }

    fn absolute(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        // The syntax of URIs leaves more to hosts than there is (RFC 3986, 3.2.2).
        let is_name = host.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_'));
        let is_host = !host.is_empty() && (is_name || host.parse::<IpAddr>().is_ok());
        is_host.then_some(Self { is_tls, host, port, path })
    }

    /// The address in it, where it names one instead of a host.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What stands in the `Host` header: the port only where it is not the usual one (RFC 9110, 7.2).
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Url {
        Url::of_token("a.test", 80, "t")
    }

    fn joined(location: &str) -> String {
        start().join(location).map_or_else(|| "nowhere".to_owned(), |url| url.to_string())
    }

    #[test]
    fn a_location_may_be_whole_or_a_part() {
        assert_eq!(start().to_string(), "http://a.test/.well-known/acme-challenge/t");
        assert_eq!(joined("https://B.test./x?y=z#part"), "https://b.test/x?y=z");
        assert_eq!(joined("/x?y"), "http://a.test/x?y");
        assert_eq!(joined("//b.test/x"), "http://b.test/x");
        assert_eq!(joined("https://user:word@b.test:8443"), "https://b.test:8443/");
        assert_eq!(joined("https://[2001:DB8::1]:444/x"), "https://[2001:db8::1]:444/x");
        assert_eq!(start().join("https://[2001:db8::1]/x").unwrap().address(), "2001:db8::1".parse().ok());
    }

    #[test]
    fn what_is_no_place_for_a_token_is_told() {
        for location in [
            "",
            "x",
            "ftp://a.test/",
            "javascript:alert(1)",
            "http://",
            "http://a b/",
            "https://[::1/",
            "//a,b[1:c:1]/",
        ] {
            assert_eq!(joined(location), "nowhere", "{location:?}");
        }
    }

    #[test]
    fn addresses_stand_in_brackets_and_ports_only_where_they_are_unusual() {
        assert_eq!(Url::of_token("2001:db8::1", 80, "t").authority(), "[2001:db8::1]");
        assert_eq!(Url::of_token("192.0.2.7", 5002, "t").authority(), "192.0.2.7:5002");
    }

    proptest! {
        #[test]
        fn no_location_makes_a_reader_fall(location in "\\PC{0,60}") {
            if let Some(url) = start().join(&location) {
                prop_assert!(url.path.starts_with('/') || url.path.starts_with('?'), "{url:?}");
                prop_assert!(!url.path.contains(['\r', '\n', ' ']) && !url.host.contains(['\r', '\n', ' ']));
            }
        }
    }
}
