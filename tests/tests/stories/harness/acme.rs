//! A real ACME server for one story: pebble, an old or a new one, with a DNS of its own, on ports of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::tls::{connect, exchange, trusting};
use super::{Project, shell};

/// How long the servers may take to make their keys and to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which pebble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2.4: without renewal information, without profiles.
    Old,
    /// 2.10: with both, and it refuses an order whose `replaces` names what is replaced already.
    New,
}

/// How long the authority takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delays {
    /// No time at all, and it does not say when to ask again.
    None,
    /// It thinks for up to five seconds before it validates, and says to ask again after 3 (authorizations) and 5 seconds
    /// (orders), as seconds or as a date. The old one only thinks.
    Real,
}

/// How the authority is.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: Version,
    /// Of 100 good nonces, how many are refused.
    pub(crate) nonce_reject: u8,
    /// Of 100 authorizations that are valid already, how many are used again for a new order.
    pub(crate) authz_reuse: u8,
    pub(crate) delays: Delays,
    /// Where it looks for http-01, instead of 80.
    pub(crate) http_port: u16,
    /// Where it looks for tls-alpn-01, instead of 443.
    pub(crate) tls_port: u16,
    /// The one account elsewhere to which accounts must be bound: its name, and its key in base64url.
    pub(crate) binding: Option<(&'static str, &'static str)>,
    /// The names that it does not like.
    pub(crate) blocked: Vec<&'static str>,
    /// Its profiles, and how long their certificates are valid. The old one has none, and takes the first time for all. An
    /// order that names no profile gets any of them, by chance.
    pub(crate) profiles: Vec<(&'static str, Duration)>,
    pub(crate) alternate_roots: u8,
    /// What it calls itself in CAA records, as its directory says; the old one never says. Neither looks at the records.
    pub(crate) caa_identities: Vec<&'static str>,
}

impl Default for Settings {
    /// The new one at its fastest and friendliest.
    fn default() -> Self {
        Self {
            version: Version::New,
            nonce_reject: 0,
            authz_reuse: 0,
            delays: Delays::None,
            http_port: free_port(),
            tls_port: free_port(),
            binding: None,
            blocked: Vec::new(),
            profiles: vec![("default", Duration::from_secs(90 * 24 * 3600))],
            alternate_roots: 0,
            caa_identities: vec!["pebble.test"],
        }
    }
}

/// The server and its DNS. Dropped, both are ended.
pub(crate) struct Pebble {
    folder: TempDir,
    settings: Settings,
    port: u16,
    management: u16,
    dns: u16,
    dns_management: u16,
    server: Child,
    names: Child,
}

impl Pebble {
    /// Starts both, and waits until they listen. Every name has the address 127.0.0.1 and no other.
    #[track_caller]
    pub(crate) fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, management, dns, dns_management] = [free_port(), free_port(), free_port(), free_port()];
        fs::write(folder.path().join("pebble.json"), described(&settings, port, management).to_string()).unwrap();
        let names = start_names(folder.path(), settings.version, dns, dns_management);
        let server = start_server(folder.path(), &settings, dns);
        let mut pebble = Self { folder, settings, port, management, dns, dns_management, server, names };
        pebble.wait();
        pebble
    }

    /// Ends the server and starts a new one at the same ports, with the same DNS. It has forgotten every account, order and
    /// certificate, and issues from another root.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.server = start_server(self.folder.path(), &self.settings, self.dns);
        self.wait();
    }

    /// Ends the server; its DNS goes on.
    pub(crate) fn stop(&mut self) {
        end(&mut self.server);
    }

    #[track_caller]
    fn wait(&mut self) {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if [self.port, self.management, self.dns, self.dns_management].into_iter().all(listens) {
                return;
            }
            let lives = self.server.try_wait().unwrap().is_none() && self.names.try_wait().unwrap().is_none();
            assert!(lives, "no ACME server: {}{}", self.log(), self.names_log());
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the ACME server does not listen: {}{}", self.log(), self.names_log());
    }

    /// Where its directory is.
    pub(crate) fn directory_url(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The port of the same.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The file with the authority of its own HTTPS, which is not the one that it issues from.
    pub(crate) fn root() -> PathBuf {
        tls_file("root.pem")
    }

    /// The roots that it issues from, and the intermediate of the first, each in PEM.
    #[track_caller]
    pub(crate) fn issuance_roots(&self) -> Vec<String> {
        let roots = (0..=self.settings.alternate_roots).map(|root| format!("/roots/{root}"));
        roots.chain(["/intermediates/0".to_owned()]).map(|path| self.manage(&format!("GET {path}"), None)).collect()
    }

    /// From now on that is its renewal information for that certificate (RFC 9773, 4.2), to the letter, whatever it is. Only
    /// the new one has this.
    #[track_caller]
    pub(crate) fn set_renewal_info(&self, certificate: &str, answer: &str) {
        let told = json!({ "certificate": certificate, "ariResponse": answer });
        self.manage("POST /set-renewal-info/", Some(&told));
    }

    /// What the server has written so far, before it was restarted too.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("pebble.log")).unwrap()
    }

    fn names_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("names.log")).unwrap()
    }

    /// How many orders were made so far, before it was restarted too.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("Added order ").count()
    }

    /// The serials of what it issued so far, in order.
    pub(crate) fn issued(&self) -> Vec<String> {
        let log = self.log();
        let after = log.split("Issued certificate serial ").skip(1);
        after.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
    }

    /// The test bed's shop, not yet up: its nginx will answer where this server looks, with what lies in `certs` and
    /// `webroot`, once there is a certificate for `shop.test` in the former.
    #[track_caller]
    pub(crate) fn shop(&self) -> Project {
        let shop = Project::down("acme");
        let ports = format!("HTTP_PORT={}\nHTTPS_PORT={}\n", self.settings.http_port, self.settings.tls_port);
        let name = fs::read_to_string(shop.app(".env")).unwrap();
        shop.write(".env", name + &ports);
        shop.write("webroot/.keep", "");
        shop.write("certs/.keep", "");
        shop
    }

    /// A request to its management, which must be granted.
    #[track_caller]
    fn manage(&self, request: &str, told: Option<&Value>) -> String {
        let stream = connect(trusting(&Self::root()), "localhost", self.management).unwrap();
        granted(request, &exchange(stream, &asking(request, told)).unwrap())
    }
}

/// Names. All servers of the test bed that ask for one ask this DNS.
impl Pebble {
    /// Where its DNS answers, over UDP and TCP.
    pub(crate) fn dns_address(&self) -> String {
        format!("127.0.0.1:{}", self.dns)
    }

    /// Where programs outside of the story, such as hooks, tell its DNS records: `POST /set-txt {host, value}`,
    /// `POST /clear-txt {host}`.
    pub(crate) fn dns_management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.dns_management)
    }

    /// Gives a name that address alone.
    #[track_caller]
    pub(crate) fn set_a(&self, name: &str, address: &str) {
        self.tell("clear-a", &json!({ "host": name }));
        self.tell("add-a", &json!({ "host": name, "addresses": [address] }));
    }

    /// Gives a name that address of version 6 alone.
    #[track_caller]
    pub(crate) fn set_aaaa(&self, name: &str, address: &str) {
        self.tell("clear-aaaa", &json!({ "host": name }));
        self.tell("add-aaaa", &json!({ "host": name, "addresses": [address] }));
    }

    /// Gives a name one CAA record: `issue`, `ca.example`.
    #[track_caller]
    pub(crate) fn set_caa(&self, name: &str, tag: &str, value: &str) {
        self.tell("clear-caa", &json!({ "host": name }));
        self.tell("add-caa", &json!({ "host": name, "policies": [{ "tag": tag, "value": value }] }));
    }

    /// Gives a name a TXT record more.
    #[track_caller]
    pub(crate) fn set_txt(&self, name: &str, value: &str) {
        // The old one finds these records only with the dot at the end, and others only without.
        self.tell("set-txt", &json!({ "host": format!("{name}."), "value": value }));
    }

    /// Whatever is asked about a name fails.
    #[track_caller]
    pub(crate) fn set_servfail(&self, name: &str) {
        self.tell("set-servfail", &json!({ "host": name }));
    }

    /// Names of which nothing else was said have no address any more.
    #[track_caller]
    pub(crate) fn set_no_address(&self) {
        self.tell("set-default-ipv4", &json!({ "ip": "" }));
    }

    /// Forgets what was said of a name.
    #[track_caller]
    pub(crate) fn clear(&self, name: &str) {
        for what in ["clear-a", "clear-aaaa", "clear-caa", "clear-servfail"] {
            self.tell(what, &json!({ "host": name }));
        }
        self.tell("clear-txt", &json!({ "host": format!("{name}.") }));
    }

    #[track_caller]
    fn tell(&self, what: &str, told: &Value) {
        let request = format!("POST /{what}");
        let stream = TcpStream::connect(("127.0.0.1", self.dns_management)).unwrap();
        granted(&request, &exchange(stream, &asking(&request, Some(told))).unwrap());
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        end(&mut self.server);
        end(&mut self.names);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A port of loopback that nothing listens at, and that no other part of this process was given. Below those that the
/// system gives to clients, so that no connection takes it before its server does.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let port = u16::try_from(20_000 + u64::from(rand::random::<u16>()) % 12_000).unwrap();
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() && given.insert(port) {
            return port;
        }
    }
}

/// What `scripts/testbed up unpacked` has unpacked.
pub(crate) fn unpacked(relative: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/testbed");
    let folder = FOLDER
        .get_or_init(|| shell(&format!("'{0}' up unpacked; '{0}' path unpacked", testbed.display())).trim().into());
    folder.join(relative)
}

/// `root.pem`, `cert.pem` and `key.pem` of the test bed's own HTTPS.
pub(super) fn tls_file(name: &str) -> PathBuf {
    unpacked("tls").join(name)
}

impl Version {
    fn program(self, name: &str) -> PathBuf {
        let version = if self == Self::Old { "old" } else { "new" };
        unpacked(version).join("usr/bin").join(name)
    }
}

/// The configuration. Each version passes over what it does not know.
fn described(settings: &Settings, port: u16, management: u16) -> Value {
    let profiles: Map<String, Value> = settings.profiles.iter().map(profile).collect();
    let waits = settings.delays == Delays::Real;
    json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{port}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": tls_file("cert.pem"),
        "privateKey": tls_file("key.pem"),
        "httpPort": settings.http_port,
        "tlsPort": settings.tls_port,
        "externalAccountBindingRequired": settings.binding.is_some(),
        "externalAccountMACKeys": settings.binding.into_iter().collect::<BTreeMap<_, _>>(),
        "domainBlocklist": settings.blocked,
        "certificateValidityPeriod": settings.profiles[0].1.as_secs(),
        "profiles": profiles,
        "retryAfter": { "authz": if waits { 3 } else { 0 }, "order": if waits { 5 } else { 0 } },
        "keyAlgorithm": "ecdsa",
        "caaIdentities": settings.caa_identities,
    }})
}

fn profile((name, valid): &(&str, Duration)) -> (String, Value) {
    ((*name).to_owned(), json!({ "description": format!("{valid:?}"), "validityPeriod": valid.as_secs() }))
}

fn start_server(folder: &Path, settings: &Settings, dns: u16) -> Child {
    let mut command = Command::new(settings.version.program("pebble"));
    command.args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns}"), "-config"]).arg(folder.join("pebble.json"));
    command.env("PEBBLE_WFE_NONCEREJECT", settings.nonce_reject.to_string());
    command.env("PEBBLE_AUTHZREUSE", settings.authz_reuse.to_string());
    command.env("PEBBLE_ALTERNATE_ROOTS", settings.alternate_roots.to_string());
    match settings.delays {
        Delays::None => command.env("PEBBLE_VA_NOSLEEP", "1"),
        Delays::Real => command.env("PEBBLE_VA_SLEEPTIME", "5"),
    };
    start(command, &folder.join("pebble.log"))
}

fn start_names(folder: &Path, version: Version, port: u16, management: u16) -> Child {
    let mut command = Command::new(version.program("pebble-challtestsrv"));
    // Only its DNS is wanted; the option for that has got another name.
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
    command.args(["-management", &format!("127.0.0.1:{management}")]);
    match version {
        Version::Old => command.args(["-dns01", &format!("127.0.0.1:{port}")]),
        Version::New => command.args(["-dnsserver", &format!("127.0.0.1:{port}"), "-doh", ""]),
    };
    start(command, &folder.join("names.log"))
}

fn start(mut command: Command, log: &Path) -> Child {
    let log = File::options().append(true).create(true).open(log).unwrap();
    command.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log).spawn().unwrap()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A request of HTTP/1.0, in which answers end where the connection ends.
fn asking(request: &str, told: Option<&Value>) -> Vec<u8> {
    let body = told.map(Value::to_string).unwrap_or_default();
    let head =
        format!("{request} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: stories\r\nContent-Length: {}", body.len());
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// The body of an answer, which must be 200.
#[track_caller]
fn granted(request: &str, answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    assert!(head.contains(" 200 "), "{request} was answered with {answer}");
    body.to_owned()
}
