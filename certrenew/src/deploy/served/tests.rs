use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rcgen::{CertificateParams, KeyPair, SerialNumber};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::*;

/// Which certificate is shown the how many-th time, by its serial number.
type Pick = dyn Fn(usize) -> u64 + Send + Sync;

/// What the server is asked for, and what it shows.
struct Shelf {
    pick: Box<Pick>,
    asked: Mutex<Vec<String>>,
    key: KeyPair,
    /// Another key than the certificate's, for a server that has only stolen the certificate.
    signs_with: Option<KeyPair>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a shelf")
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut asked = self.asked.lock().unwrap();
        let serial = (self.pick)(asked.len());
        asked.push(hello.server_name().unwrap_or("-").to_owned());
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.self_signed(&self.key).unwrap();
        let key = PrivatePkcs8KeyDer::from(self.signs_with.as_ref().unwrap_or(&self.key).serialize_der());
        let key = ring::sign::any_supported_type(&key.into()).unwrap();
        Some(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }
}

/// A server that speaks TLS, until it is dropped.
struct Server {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(pick: impl Fn(usize) -> u64 + Send + Sync + 'static) -> Self {
        Self::with(pick, None, rustls::ALL_VERSIONS)
    }

    fn with(
        pick: impl Fn(usize) -> u64 + Send + Sync + 'static,
        signs_with: Option<KeyPair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let (asked, key) = (Mutex::default(), KeyPair::generate().unwrap());
        let shelf = Arc::new(Shelf { pick: Box::new(pick), asked, key, signs_with });
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_cert_resolver(shelf.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_over) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let theirs = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.load(Ordering::Relaxed) {
                    return;
                }
                shake_hands(stream.unwrap(), &config);
            }
        });
        Self { address, shelf, is_over, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        self.shelf.asked.lock().unwrap().clone()
    }
}

/// Until the client goes; what goes wrong is what the tests are about.
fn shake_hands(mut stream: TcpStream, config: &Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    while tls.complete_io(&mut stream).is_ok_and(|(read, written)| read + written > 0) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A server that says these bytes to everybody and hangs up; `None` keeps silent.
fn other(words: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(words.unwrap_or_default());
        // Ends when the client hangs up.
        let _ = if words.is_none() { stream.read_to_end(&mut Vec::new()) } else { Ok(0) };
    });
    address
}

fn names(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn serials(seen: &[Served]) -> Vec<String> {
    seen.iter().map(|one| one.shown.as_ref().map_or_else(Clone::clone, |facts| facts.serial.clone())).collect()
}

#[test]
fn each_name_is_asked_for_at_each_address_as_its_users_would() {
    let (one, two) = (Server::start(|_| 0x11), Server::start(|_| 0x22));
    let names = names(&["a.example", "*.b.example", "192.0.2.7"]);
    let seen = served_at(&[one.address, two.address], &names);
    assert_eq!(serials(&seen), ["11", "11", "11", "22", "22", "22"]);
    assert!(seen.iter().map(|one| &one.name).eq(names.iter().chain(&names)), "they come in order");
    for server in [&one, &two] {
        let mut asked = server.asked();
        asked.sort();
        assert_eq!(asked, ["-", "a.example", "certrenew-look.b.example"]);
    }
}

#[test]
fn either_version_of_tls_will_do() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Server::with(|_| 0x33, None, &[version]);
        assert_eq!(serials(&served_at(&[server.address], &names(&["a.example"]))), ["33"], "{version:?}");
    }
}

#[test]
fn a_certificate_without_its_key_is_not_served() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Server::with(|_| 1, Some(KeyPair::generate().unwrap()), &[version]);
        let told = serials(&served_at(&[server.address], &names(&["a.example"])));
        assert!(told[0].contains("ignature"), "{told:?}");
    }
}

#[test]
fn more_names_than_looks_at_a_time_are_all_seen_in_order() {
    let server = Server::start(|_| 7);
    let all: Vec<String> = (0..3 * AT_A_TIME).map(|at| format!("n{at}.example")).collect();
    let all = names(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let seen = served_at(&[server.address], &all);
    assert!(seen.iter().map(|one| &one.name).eq(&all));
    assert!(seen.iter().all(|one| one.is("07")), "{seen:?}");
    assert!(served_at(&[], &all).is_empty() && served_at(&[server.address], &[]).is_empty());
}

#[test]
fn why_nothing_is_seen_is_told_in_one_line() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let told = serials(&served_at(&[nobody], &names(&["a.example"])));
    assert_eq!(told, ["Connection refused"]);
    let web = other(Some(b"HTTP/1.1 400 Bad Request\r\nX: \x1b[2J\r\n\r\n"));
    let told = serials(&served_at(&[web], &names(&["a.example"])));
    assert!(!told[0].is_empty() && told[0].len() <= 400 && !told[0].contains(['\n', '\u{1b}']), "{told:?}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_its_time() {
    let watch = Stopwatch::start();
    let told = serials(&served_at(&[other(None)], &names(&["a.example"])));
    assert!(watch.elapsed() < Duration::from_secs(6), "{:?}", watch.elapsed());
    assert_eq!(told, ["timed out"]);
}

#[test]
fn one_look_that_sees_the_new_one_is_not_taken_for_all_while_old_workers_still_answer() {
    // Old, new, old, new, new: as a server answers while it reloads.
    let server = Server::start(|at| if [1, 3, 4].contains(&at) { 0x22 } else { 0x11 });
    let patience = Duration::from_secs(10);
    let seen = wait_until_served(&[server.address], &names(&["a.example"]), "22", patience);
    assert_eq!((serials(&seen), server.asked().len()), (vec!["22".to_owned()], 5));
}

#[test]
fn a_name_that_was_seen_new_is_not_asked_for_again_while_another_is_old() {
    let server = Server::start(|_| 0x22);
    let other = Server::start(|at| if at < 6 { 0x11 } else { 0x22 });
    let seen =
        wait_until_served(&[server.address, other.address], &names(&["a.example"]), "22", Duration::from_secs(10));
    assert!(seen.iter().all(|one| one.is("22")), "{seen:?}");
    assert_eq!((server.asked().len(), other.asked().len()), (2, 8));
}

#[test]
fn when_patience_ends_what_was_seen_last_is_told() {
    let server = Server::start(|_| 0x11);
    let watch = Stopwatch::start();
    let seen = wait_until_served(&[server.address], &names(&["a.example"]), "22", Duration::from_millis(350));
    assert_eq!(serials(&seen), ["11"]);
    assert!(watch.elapsed() >= Duration::from_millis(350) && server.asked().len() >= 3, "{:?}", server.asked());
    assert!(wait_until_served(&[], &names(&["a.example"]), "22", Duration::from_secs(9)).is_empty());
}

#[test]
fn an_address_that_shows_other_names_alone_is_told_from_one_that_shows_an_old_certificate_of_ours() {
    // Both show one for a.example.
    let (one, two) = (Server::start(|_| 1), Server::start(|_| 2));
    let silent = other(Some(b"no"));
    let seen = |names_of: &[&str]| served_at(&[one.address, two.address], &names(names_of));
    assert!(of_others(&seen(&["a.example"])).is_empty());
    assert!(of_others(&seen(&["b.example", "a.example"])).is_empty(), "it knows one of them");
    assert_eq!(of_others(&seen(&["b.example", "www.a.example"])).len(), 2);
    assert!(of_others(&served_at(&[silent], &names(&["b.example"]))).is_empty(), "who shows nothing shows no other");
    assert!(of_others(&[]).is_empty());
}
