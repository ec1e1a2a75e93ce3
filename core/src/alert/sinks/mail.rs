//! Mail by SMTP.

use std::fs;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, SmtpTransport, Transport};

use super::{Delivered, STEP, SinkError};
use crate::alert::message::{Message, one_line};
use crate::config::{Login, MailSection, MailTls};
use crate::error::chain;
use crate::machine;

/// `[alert.mail]`.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// What the configuration says.
    pub(super) section: MailSection,
    /// The host that sends.
    pub(super) host: String,
}

/// Says that no person wrote this, so that nobody's absence is answered to it (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    pub(super) fn deliver(&self, message: &Message) -> Delivered {
        let letter = self.letter(message)?;
        let transport = self.transport()?;
        let to: Vec<Address> = self.section.to.iter().map(|mailbox| mailbox.email.clone()).collect();
        let bytes = letter.formatted();
        match self.send(&transport, &to, &bytes) {
            // One recipient that the server does not know must not keep the others from being told.
            Err(refused) if to.len() > 1 && refused.is_permanent() => self.send_to_each(&transport, &to, &bytes),
            Err(refused) => Err(self.failed(refused)),
            Ok(()) => Ok(None),
        }
    }

    fn letter(&self, message: &Message) -> Result<lettre::Message, SinkError> {
        let start: MessageBuilder = lettre::Message::builder().from(self.section.from.clone());
        let addressed = self.section.to.iter().fold(start, |builder, to: &Mailbox| builder.to(to.clone()));
        let subject = one_line(&message.subject, usize::MAX);
        let headed = addressed.subject(subject).header(AutoSubmitted).header(ContentType::TEXT_PLAIN);
        // Its right side is ours to choose; a name of its own keeps filters from suspecting us (RFC 5322, section 3.6.4).
        let id = format!("<{:016x}@{}>", machine::random(), self.host);
        Ok(headed.message_id(Some(id)).body(message.body.clone())?)
    }

    fn transport(&self) -> Result<SmtpTransport, SinkError> {
        let MailSection { host, port, login, .. } = &self.section;
        let mut builder = SmtpTransport::builder_dangerous(host)
            .port(*port)
            .timeout(Some(STEP))
            .hello_name(ClientId::Domain(self.host.clone()))
            .tls(self.tls()?);
        if let Some(Login { user, password }) = login {
            builder = builder.credentials(Credentials::new(user.clone(), password.resolve()?.expose().to_owned()));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> Result<Tls, SinkError> {
        if self.section.tls == MailTls::None {
            return Ok(Tls::None);
        }
        let mut builder = TlsParameters::builder(self.section.host.clone());
        if let Some(path) = &self.section.ca_file {
            let pem = fs::read(path).map_err(|source| SinkError::CaFile { path: path.clone(), source })?;
            let authority = Certificate::from_pem(&pem).map_err(|refused| self.failed(refused))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let parameters = builder.build_rustls().map_err(|refused| self.failed(refused))?;
        Ok(if self.section.tls == MailTls::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
    }

    fn send(
        &self,
        transport: &SmtpTransport,
        to: &[Address],
        bytes: &[u8],
    ) -> Result<(), lettre::transport::smtp::Error> {
        // There is at least one recipient, which is all that an envelope asks for.
        let Ok(envelope) = Envelope::new(Some(self.section.from.email.clone()), to.to_vec()) else { return Ok(()) };
        transport.send_raw(&envelope, bytes).map(|_| ())
    }

    /// Delivered where at least one has got it; the others are named.
    fn send_to_each(&self, transport: &SmtpTransport, to: &[Address], bytes: &[u8]) -> Delivered {
        let mut refusals = Vec::new();
        let mut last = None;
        for address in to {
            if let Err(refused) = self.send(transport, std::slice::from_ref(address), bytes) {
                refusals.push(format!("{address}: {}", chain(&refused)));
                last = Some(refused);
            }
        }
        match last {
            Some(refused) if refusals.len() == to.len() => Err(self.failed(refused)),
            _ => Ok((!refusals.is_empty()).then(|| refusals.join("; "))),
        }
    }

    fn failed(&self, source: lettre::transport::smtp::Error) -> SinkError {
        SinkError::Mail { server: format!("{}:{}", self.section.host, self.section.port), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::machine::Kind;
    use crate::alert::message::tests::{event, message};

    fn mail() -> Mail {
        let section: crate::config::AlertSection =
            toml::from_str("[mail]\nhost = 'localhost'\nfrom = 'Ops <a@h.org>'\nto = ['b@h.org', 'c@h.org']").unwrap();
        Mail { section: section.mail.unwrap(), host: "vps1".to_owned() }
    }

    fn letter(message: &Message) -> String {
        String::from_utf8(mail().letter(message).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_says_who_to_whom_what_and_that_no_person_wrote_it() {
        let letter = letter(&message(&[event(Kind::Started, "no space")]));
        for line in [
            "From: Ops <a@h.org>\r\n",
            "To: b@h.org, c@h.org\r\n",
            "Subject: [fleet@vps1] backup failed: no space\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Message-ID: <",
            "Date: ",
        ] {
            assert!(letter.contains(line), "{line:?} in {letter}");
        }
    }

    #[test]
    fn no_text_makes_a_header() {
        let forged =
            Message { subject: "x\r\nBcc: evil@h.org\r\n\r\nbody".to_owned(), ..message(&[event(Kind::Started, "")]) };
        let letter = letter(&forged);
        let (head, _) = letter.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
    }

    #[test]
    fn a_subject_in_any_script_is_encoded() {
        let letter = letter(&message(&[event(Kind::Started, "kein Platz für Größeres")]));
        assert!(letter.is_ascii() && letter.contains("Subject: [fleet@vps1]"), "{letter}");
    }
}
