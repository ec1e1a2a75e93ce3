//! A name server of a few lines, for tests: datagrams and TCP on one port of the loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use simple_dns::rdata::{A, AAAA, CAA, CNAME, RData, SOA, TXT};
use simple_dns::{CLASS, CharacterString, Name, Packet, QTYPE, RCODE, ResourceRecord, TYPE};

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Datagram,
    Tcp,
}

/// A name server, and what it was asked: `www.a.test A`.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Answers each question with these bytes (several datagrams, or one message each); with nothing where there are none.
    pub(crate) fn raw(answer: impl Fn(&Packet<'_>, Way) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let (own, noted) = (answer.clone(), asked.clone());
        thread::spawn(move || datagrams(&socket, &noted, own.as_ref()));
        let noted = asked.clone();
        thread::spawn(move || connections(&listener, &noted, answer.as_ref()));
        Self { address, asked }
    }

    /// Answers from a zone.
    pub(crate) fn of(zone: Zone) -> Self {
        Self::raw(move |query, _| vec![zone.answer(query)])
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn note(asked: &Mutex<Vec<String>>, query: &Packet<'_>) {
    let question = &query.questions[0];
    let QTYPE::TYPE(kind) = question.qtype else { return };
    asked.lock().unwrap().push(format!("{} {kind:?}", question.qname));
}

type Answer = dyn Fn(&Packet<'_>, Way) -> Vec<Vec<u8>>;

fn datagrams(socket: &UdpSocket, asked: &Mutex<Vec<String>>, answer: &Answer) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let query = Packet::parse(&buffer[..length]).unwrap();
        note(asked, &query);
        for bytes in answer(&query, Way::Datagram) {
            let _ = socket.send_to(&bytes, from);
        }
    }
}

fn connections(listener: &TcpListener, asked: &Mutex<Vec<String>>, answer: &Answer) {
    for mut stream in listener.incoming().flatten() {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes).unwrap();
        let query = Packet::parse(&bytes).unwrap();
        note(asked, &query);
        for bytes in answer(&query, Way::Tcp) {
            let length = u16::try_from(bytes.len()).unwrap();
            let _ = stream.write_all(&[&length.to_be_bytes(), &bytes[..]].concat());
        }
    }
}

/// Names with their records; any other name does not exist.
#[derive(Clone, Default)]
pub(crate) struct Zone(Vec<(String, Data)>);

#[derive(Clone)]
enum Data {
    A([u8; 4]),
    Aaaa(u128),
    Alias(String),
    Caa(u8, String, String),
    Txt(Vec<String>),
    Failure(TYPE),
    /// The name exists.
    Nothing,
}

impl Zone {
    fn with(mut self, name: &str, data: Data) -> Self {
        self.0.push((name.to_owned(), data));
        self
    }

    pub(crate) fn address(self, name: &str, address: &str) -> Self {
        let data = match address.parse().unwrap() {
            std::net::IpAddr::V4(v4) => Data::A(v4.octets()),
            std::net::IpAddr::V6(v6) => Data::Aaaa(v6.to_bits()),
        };
        self.with(name, data)
    }

    pub(crate) fn alias(self, name: &str, target: &str) -> Self {
        self.with(name, Data::Alias(target.to_owned()))
    }

    pub(crate) fn caa(self, name: &str, flag: u8, tag: &str, value: &str) -> Self {
        self.with(name, Data::Caa(flag, tag.to_owned(), value.to_owned()))
    }

    pub(crate) fn txt(self, name: &str, strings: &[&str]) -> Self {
        self.with(name, Data::Txt(strings.iter().map(|&one| one.to_owned()).collect()))
    }

    pub(crate) fn failing(self, name: &str, kind: TYPE) -> Self {
        self.with(name, Data::Failure(kind))
    }

    pub(crate) fn empty(self, name: &str) -> Self {
        self.with(name, Data::Nothing)
    }

    /// As a resolver answers: aliases with what is at their end, a SOA where there is nothing.
    pub(crate) fn answer(&self, query: &Packet<'_>) -> Vec<u8> {
        let question = query.questions[0].clone();
        let QTYPE::TYPE(kind) = question.qtype else { panic!("a strange question") };
        let mut reply = query.clone().into_reply();
        *reply.opt_mut() = None;
        let mut name = question.qname.to_string();
        let mut has_records = false;
        for _ in 0..20 {
            let own: Vec<&Data> =
                self.0.iter().filter(|(own, _)| own.eq_ignore_ascii_case(&name)).map(|(_, data)| data).collect();
            if own.iter().any(|data| matches!(data, Data::Failure(failing) if *failing == kind)) {
                *reply.rcode_mut() = RCODE::ServerFailure;
                reply.answers.clear();
                return reply.build_bytes_vec().unwrap();
            }
            if own.is_empty() {
                *reply.rcode_mut() = RCODE::NameError;
            }
            let found = own.iter().filter_map(|data| record(data, kind));
            for data in found {
                has_records = true;
                reply.answers.push(ResourceRecord::new(owned(&name), CLASS::IN, 60, data));
            }
            let Some(target) = own.iter().find_map(|data| if let Data::Alias(to) = data { Some(to) } else { None })
            else {
                break;
            };
            reply.answers.push(ResourceRecord::new(owned(&name), CLASS::IN, 60, RData::CNAME(CNAME(owned(target)))));
            name.clone_from(target);
        }
        if !has_records {
            reply.name_servers.push(ResourceRecord::new(owned("test"), CLASS::IN, 60, soa()));
        }
        reply.build_bytes_vec_compressed().unwrap()
    }
}

pub(crate) fn owned(name: &str) -> Name<'static> {
    Name::new(name).unwrap().into_owned()
}

fn record(data: &Data, kind: TYPE) -> Option<RData<'static>> {
    let found = match data {
        Data::A(octets) => RData::A(A { address: u32::from_be_bytes(*octets) }),
        Data::Aaaa(address) => RData::AAAA(AAAA { address: *address }),
        Data::Caa(flag, tag, value) => RData::CAA(CAA {
            flag: *flag,
            tag: CharacterString::new(tag.as_bytes()).unwrap().into_owned(),
            value: value.as_bytes().to_vec().into(),
        }),
        Data::Txt(strings) => {
            let mut txt = TXT::new();
            for one in strings {
                txt.add_char_string(CharacterString::new(one.as_bytes()).unwrap().into_owned());
            }
            RData::TXT(txt)
        }
        Data::Alias(_) | Data::Failure(_) | Data::Nothing => return None,
    };
    (found.type_code() == kind).then_some(found)
}

fn soa() -> RData<'static> {
    let (mname, rname) = (owned("ns.test"), owned("root.test"));
    RData::SOA(SOA { mname, rname, serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 })
}

/// A web server of a few lines, which speaks TLS where it is spoken to in it.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    /// Answers each request with these bytes, and closes.
    pub(crate) fn at(address: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, answer) = (noted.clone(), answer.clone());
                thread::spawn(move || serve(stream, &noted, answer.as_ref()));
            }
        });
        Self { address, asked }
    }

    /// The same on `127.0.0.1` and on `::1`, at one port.
    pub(crate) fn pair(answer: impl Fn(&str) -> Vec<u8> + Clone + Send + Sync + 'static) -> (Self, Self) {
        for _ in 0..50 {
            let port = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                let v4 = Self::at(&format!("127.0.0.1:{port}"), answer.clone());
                return (v4, Self::at(&format!("[::1]:{port}"), answer));
            }
        }
        panic!("no port is free on both");
    }

    /// What files below a folder would be.
    pub(crate) fn of(folder: &std::path::Path) -> impl Fn(&str) -> Vec<u8> + Clone + Send + Sync + 'static {
        let folder = folder.to_owned();
        move |request| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            std::fs::read(folder.join(path.trim_start_matches('/'))).map_or_else(
                |_| b"HTTP/1.1 404 Not Found\r\nServer: tiny/1\r\nContent-Length: 12\r\n\r\n<h1>No</h1>\n".to_vec(),
                |body| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &body[..], b"\n"].concat(),
            )
        }
    }

    /// The requests, each with its headers.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: std::net::TcpStream, asked: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> Vec<u8>) {
    let mut first = [0];
    let _ = stream.peek(&mut first);
    // The first byte of a TLS handshake (RFC 8446, 5.1).
    if first == [22] {
        let tls = rustls::ServerConnection::new(tls()).unwrap();
        converse(rustls::StreamOwned::new(tls, stream), asked, answer);
    } else {
        converse(stream, asked, answer);
    }
}

fn converse(mut stream: impl Read + Write, asked: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> Vec<u8>) {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    let request = String::from_utf8(request).unwrap();
    asked.lock().unwrap().push(request.clone());
    let _ = stream.write_all(&answer(&request)).and_then(|()| stream.flush());
}

/// A certificate that nobody trusts.
fn tls() -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["nobody.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap())
}

/// What a configuration of these lines wants; its names are asked of this server, at this port.
pub(crate) fn wanted(lines: &str, resolver: SocketAddr, port: u16) -> crate::wanted::Wanted {
    let folder = std::env::temp_dir();
    let text = format!(
        "[[certrenew.certificate]]\nresolver = \"{resolver}\"\nhttp_port = {port}\nca = \"https://ca.test/directory\"\nfolder = {folder:?}\n{lines}\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let common = shipshape_core::cli::CommonArgs { config: Some(file.path().to_owned()), ..Default::default() };
    let config = shipshape_core::config::Config::load(&common, None).unwrap();
    crate::wanted::wanted(&config, &crate::cli::OneArgs::default()).unwrap().remove(0)
}
