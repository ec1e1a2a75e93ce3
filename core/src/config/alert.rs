//! `[alert]`: who is told when something is wrong, and how often.
//!
//! What contradicts itself is refused where it is read, so that it is found by the first run and not in the night in which
//! somebody should have been told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::secret::SecretSource;
use crate::units;

/// The gaps between reminders where none are stated: soon once, then rarely. The last one goes on for as long as it takes.
const GAPS: [Duration; 4] = [hours(4), hours(24), hours(3 * 24), hours(7 * 24)];

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// `[alert]`: who is told when something is wrong, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, try_from = "Stated")]
pub struct AlertSection {
    /// After how many bad runs in a row a problem is told. At least 1.
    pub after: u32,
    /// After how many good runs in a row it is over. At least 1.
    pub clear_after: u32,
    /// How long to wait before telling it again, growing; the last one repeats. None: never again.
    pub remind: Vec<Duration>,
    /// By mail.
    pub mail: Option<MailSection>,
    /// By HTTP, to whom people read.
    pub webhook: Vec<WebhookSection>,
    /// By HTTP, to a service that notices when a job does not run.
    pub ping: Vec<PingSection>,
}

impl Default for AlertSection {
    fn default() -> Self {
        Self { after: 1, clear_after: 1, remind: GAPS.to_vec(), mail: None, webhook: Vec::new(), ping: Vec::new() }
    }
}

/// `[alert]` as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stated {
    after: u32,
    clear_after: u32,
    remind: Vec<Gap>,
    mail: Option<MailSection>,
    webhook: Vec<WebhookSection>,
    ping: Vec<PingSection>,
}

impl Default for Stated {
    fn default() -> Self {
        let AlertSection { after, clear_after, remind, mail, webhook, ping } = AlertSection::default();
        Self { after, clear_after, remind: remind.into_iter().map(Gap).collect(), mail, webhook, ping }
    }
}

impl TryFrom<Stated> for AlertSection {
    type Error = String;

    fn try_from(stated: Stated) -> Result<Self, String> {
        let Stated { after, clear_after, remind, mail, mut webhook, ping } = stated;
        if after == 0 || clear_after == 0 {
            return Err("in [alert], `after` and `clear_after` count runs and are at least 1".to_owned());
        }
        let remind = remind.into_iter().map(|Gap(span)| span).collect();
        name_the_nameless(&mut webhook);
        let mut names = BTreeSet::new();
        if let Some(twin) = webhook.iter().find(|webhook| !names.insert(&webhook.name)) {
            return Err(format!("two [[alert.webhook]] are called `{}`: give each a name of its own", twin.name));
        }
        Ok(Self { after, clear_after, remind, mail, webhook, ping })
    }
}

/// A webhook without a name is called after its kind: `slack`, and the second one `slack-2`.
fn name_the_nameless(webhooks: &mut [WebhookSection]) {
    for at in 0..webhooks.len() {
        if webhooks[at].name.is_empty() {
            let kind = webhooks[at].kind;
            let twins = webhooks[..at].iter().filter(|other| other.kind == kind).count();
            webhooks[at].name =
                if twins == 0 { kind.word().to_owned() } else { format!("{}-{}", kind.word(), twins + 1) };
        }
    }
}

impl AlertSection {
    /// Whether anybody at all is told of problems.
    pub fn tells_somebody(&self) -> bool {
        self.mail.is_some() || !self.webhook.is_empty()
    }

    /// Paths in the file are relative to the file's folder.
    pub(super) fn below(&mut self, folder: &Path) {
        let places = self.webhook.iter_mut().map(|webhook| &mut webhook.to);
        for place in places.chain(self.ping.iter_mut().map(|ping| &mut ping.to)) {
            place.below(folder);
        }
        if let Some(mail) = &mut self.mail {
            if let Some(ca_file) = &mut mail.ca_file {
                *ca_file = folder.join(&*ca_file);
            }
            if let Some(Login { password: SecretSource::File(path), .. }) = &mut mail.login {
                *path = folder.join(&*path);
            }
        }
    }
}

/// A span such as `4h`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Gap(Duration);

impl TryFrom<String> for Gap {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        units::span(&text).map(Self)
    }
}

/// `[alert.mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StatedMail")]
pub struct MailSection {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub tls: MailTls,
    /// The authorities to trust, and no others; else those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Who we are to the server.
    pub login: Option<Login>,
    /// The sender.
    pub from: lettre::message::Mailbox,
    /// The recipients. At least one.
    pub to: Vec<lettre::message::Mailbox>,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// How the way to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// By STARTTLS, and not without it (port 587).
    Starttls,
    /// From the first byte (port 465).
    Tls,
    /// Not at all (port 25): everybody on the way reads it, the password too.
    None,
}

impl MailTls {
    fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// `[alert.mail]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedMail {
    host: String,
    port: Option<u16>,
    tls: Option<MailTls>,
    ca_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    from: String,
    to: Vec<String>,
}

impl TryFrom<StatedMail> for MailSection {
    type Error = String;

    fn try_from(stated: StatedMail) -> Result<Self, String> {
        let StatedMail { host, port, tls, ca_file, user, password_file, password_env, from, to } = stated;
        // A way that stays inside the machine needs no protection; any other has it unless its owner says otherwise.
        let tls = tls.unwrap_or(if is_loopback(&host) { MailTls::None } else { MailTls::Starttls });
        let login = login(user, password_file, password_env)?;
        if to.is_empty() {
            return Err("[alert.mail] `to` names nobody".to_owned());
        }
        let to = to.iter().map(|address| mailbox(address)).collect::<Result<_, _>>()?;
        Ok(Self { host, port: port.unwrap_or(tls.usual_port()), tls, ca_file, login, from: mailbox(&from)?, to })
    }
}

fn login(user: Option<String>, file: Option<PathBuf>, env: Option<String>) -> Result<Option<Login>, String> {
    let password = match (file, env) {
        (Some(file), None) => Some(SecretSource::File(file)),
        (None, Some(env)) => Some(SecretSource::Env(env)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("[alert.mail] has both `password_file` and `password_env`".to_owned()),
    };
    match (user, password) {
        (Some(user), Some(password)) => Ok(Some(Login { user, password })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("[alert.mail] has a `user` and neither `password_file` nor `password_env`".to_owned()),
        (None, Some(_)) => Err("[alert.mail] has a password and no `user`".to_owned()),
    }
}

fn mailbox(address: &str) -> Result<lettre::message::Mailbox, String> {
    address.parse().map_err(|_| format!("`{address}` is no mail address"))
}

/// Whether a host is this machine, as far as its name tells.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// `[[alert.webhook]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StatedWebhook")]
pub struct WebhookSection {
    /// What it is called in reports and in the state; else its kind.
    pub name: String,
    /// What it understands.
    pub kind: WebhookKind,
    /// Where it is.
    pub to: Place,
}

/// What a webhook understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// Slack, Mattermost and others that take Slack's form.
    Slack,
    /// Discord.
    Discord,
    /// ntfy: the URL of a topic.
    Ntfy,
    /// Our own form, for programs.
    Json,
}

impl WebhookKind {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Ntfy => "ntfy",
            Self::Json => "json",
        }
    }
}

/// `[[alert.webhook]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedWebhook {
    #[serde(default)]
    name: String,
    kind: WebhookKind,
    url: Option<String>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    tls: Option<WebTls>,
    ca_file: Option<PathBuf>,
}

impl TryFrom<StatedWebhook> for WebhookSection {
    type Error = String;

    fn try_from(stated: StatedWebhook) -> Result<Self, String> {
        let StatedWebhook { name, kind, url, url_file, url_env, tls, ca_file } = stated;
        let to = Place::new("[[alert.webhook]]", (url, url_file, url_env), tls, ca_file)?;
        Ok(Self { name, kind, to })
    }
}

/// `[[alert.ping]]`: a service that waits for word of a job, in the manner of healthchecks.io.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StatedPing")]
pub struct PingSection {
    /// Whose runs it hears of: `backup` unless stated.
    pub job: String,
    /// Where it is; `/start` and `/fail` are put behind it.
    pub to: Place,
}

/// `[[alert.ping]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedPing {
    job: Option<String>,
    url: Option<String>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    tls: Option<WebTls>,
    ca_file: Option<PathBuf>,
}

impl TryFrom<StatedPing> for PingSection {
    type Error = String;

    fn try_from(stated: StatedPing) -> Result<Self, String> {
        let StatedPing { job, url, url_file, url_env, tls, ca_file } = stated;
        let to = Place::new("[[alert.ping]]", (url, url_file, url_env), tls, ca_file)?;
        Ok(Self { job: job.unwrap_or_else(|| "backup".to_owned()), to })
    }
}

/// How the way to a web server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WebTls {
    /// By https.
    Tls,
    /// Not at all: everybody on the way reads the URL, which lets its bearer in.
    None,
}

/// A URL that lets whoever knows it in, and how to go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the URL is written.
    pub url: UrlSource,
    /// Whether it may travel in clear, because the file says so.
    pub may_be_clear: bool,
    /// The authorities to trust, and no others; else those of the machine.
    pub ca_file: Option<PathBuf>,
}

/// Where a URL is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// In the configuration itself.
    Stated(String),
    /// In a secret file or a variable.
    Secret(SecretSource),
}

impl Place {
    fn new(
        section: &str,
        urls: (Option<String>, Option<PathBuf>, Option<String>),
        tls: Option<WebTls>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, String> {
        let url = match urls {
            (Some(url), None, None) => UrlSource::Stated(url),
            (None, Some(file), None) => UrlSource::Secret(SecretSource::File(file)),
            (None, None, Some(env)) => UrlSource::Secret(SecretSource::Env(env)),
            _ => return Err(format!("{section} needs one of `url`, `url_file` and `url_env`")),
        };
        let place = Self { url, may_be_clear: tls == Some(WebTls::None), ca_file };
        if let UrlSource::Stated(url) = &place.url {
            place.refusal(url).map_or(Ok(()), |reason| Err(format!("{section}: {reason}")))?;
        }
        Ok(place)
    }

    /// Why this URL cannot be used; it is not quoted, for it is a secret.
    pub fn refusal(&self, url: &str) -> Option<&'static str> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
        match scheme {
            "https" if !host.is_empty() => None,
            "http" if self.may_be_clear || is_loopback(host) => None,
            "http" => {
                Some("an http:// URL shows its secret to everybody on the way: take https://, or say tls = \"none\"")
            }
            _ => Some("the URL does not begin with https:// and a host"),
        }
    }

    fn below(&mut self, folder: &Path) {
        if let UrlSource::Secret(SecretSource::File(path)) = &mut self.url {
            *path = folder.join(&*path);
        }
        if let Some(ca_file) = &mut self.ca_file {
            *ca_file = folder.join(&*ca_file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AlertSection, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    fn mail(lines: &str) -> Result<MailSection, String> {
        let text = format!("[mail]\nfrom = 'a@example.org'\nto = ['b@example.org']\n{lines}");
        read(&text).map(|section| section.mail.unwrap())
    }

    fn webhook(lines: &str) -> Result<Place, String> {
        read(&format!("[[webhook]]\nkind = 'json'\n{lines}")).map(|mut section| section.webhook.remove(0).to)
    }

    #[test]
    fn nothing_stated_means_told_at_once_and_reminded_ever_more_rarely() {
        let section = read("").unwrap();
        assert_eq!((section.after, section.clear_after, section.tells_somebody()), (1, 1, false));
        assert!(section.remind.is_sorted() && section.remind.len() > 1);
    }

    #[test]
    fn gaps_are_written_as_people_say_them() {
        let section = read("remind = ['30m', '4h', '1d', '2 w']").unwrap();
        let minutes: Vec<u64> = section.remind.iter().map(|gap| gap.as_secs() / 60).collect();
        assert_eq!(minutes, [30, 240, 1440, 20160]);
        assert_eq!(read("remind = []").unwrap().remind, []);
        for wrong in ["", "4", "h", "0h", "-1h", "4 hours", "4ü", "99999999999d"] {
            assert!(read(&format!("remind = ['{wrong}']")).unwrap_err().contains("no span of time"), "{wrong}");
        }
    }

    #[test]
    fn a_way_out_of_this_machine_is_protected_unless_the_owner_says_otherwise() {
        for (lines, tls, port) in [
            ("host = 'mail.example.org'", MailTls::Starttls, 587),
            ("host = 'mail.example.org'\ntls = 'tls'", MailTls::Tls, 465),
            ("host = 'mail.example.org'\ntls = 'none'", MailTls::None, 25),
            ("host = 'localhost'", MailTls::None, 25),
            ("host = '::1'", MailTls::None, 25),
            ("host = '127.0.0.1.example.org'", MailTls::Starttls, 587),
            ("host = '127.0.0.1'\ntls = 'starttls'\nport = 2525", MailTls::Starttls, 2525),
        ] {
            let mail = mail(lines).unwrap();
            assert_eq!((mail.tls, mail.port), (tls, port), "of {lines}");
        }
    }

    #[test]
    fn a_login_is_whole_or_not_there() {
        let host = "host = 'localhost'\n";
        let login = mail(&format!("{host}user = 'u'\npassword_env = 'MAIL'")).unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password), ("u", SecretSource::Env("MAIL".to_owned())));
        for lines in ["user = 'u'", "password_file = 'x'", "user = 'u'\npassword_file = 'x'\npassword_env = 'X'"] {
            assert!(mail(&format!("{host}{lines}")).unwrap_err().starts_with("[alert.mail] has"), "{lines}");
        }
    }

    #[test]
    fn addresses_are_checked_before_they_are_needed() {
        let text = |to: &str| format!("[mail]\nhost = 'localhost'\nfrom = 'Ops <a@example.org>'\nto = [{to}]");
        assert_eq!(read(&text("'b@example.org', 'C <c@example.org>'")).unwrap().mail.unwrap().to.len(), 2);
        assert!(read(&text("")).unwrap_err().contains("nobody"));
        assert!(read(&text("'nobody'")).unwrap_err().contains("`nobody` is no mail address"));
        assert!(read(&text("\"b@example.org\\nBcc: x@example.org\"")).is_err());
    }

    #[test]
    fn a_url_is_written_in_one_place() {
        assert!(webhook("").unwrap_err().contains("needs one of"));
        assert!(webhook("url = 'https://h/'\nurl_env = 'X'").unwrap_err().contains("needs one of"));
        assert_eq!(webhook("url_env = 'X'").unwrap().url, UrlSource::Secret(SecretSource::Env("X".to_owned())));
    }

    #[test]
    fn a_url_that_is_a_secret_does_not_go_out_in_clear_unless_the_owner_says_so() {
        for fine in
            ["https://h/x", "http://localhost:80/x", "http://[::1]/x", "http://127.0.0.1", "http://u:p@127.0.0.1/"]
        {
            assert!(webhook(&format!("url = '{fine}'")).is_ok(), "{fine}");
        }
        for wrong in
            ["http://h/SECRET", "http://localhost@h/SECRET", "http://127.0.0.1.h/SECRET", "ftp://h/SECRET", "SECRET"]
        {
            let refused = webhook(&format!("url = '{wrong}'")).unwrap_err();
            assert!(!refused.contains("SECRET"), "{refused}");
        }
        assert!(webhook("url = 'http://h/x'\ntls = 'none'").is_ok());
    }

    #[test]
    fn webhooks_have_names_that_tell_them_apart() {
        let two =
            "[[webhook]]\nkind = 'slack'\nurl = 'https://h/1'\n[[webhook]]\nkind = 'slack'\nurl = 'https://h/2'\n";
        let section = read(two).unwrap();
        let names: Vec<&str> = section.webhook.iter().map(|webhook| webhook.name.as_str()).collect();
        assert_eq!(names, ["slack", "slack-2"]);
        assert!(read(&two.replace("kind", "name = 'ops'\nkind")).unwrap_err().contains("called `ops`"));
    }

    #[test]
    fn paths_are_those_of_the_file() {
        let text = "[mail]\nhost = 'h'\nfrom = 'a@h'\nto = ['b@h']\nca_file = 'ca'\nuser = 'u'\npassword_file = 'p'\n[[ping]]\nurl_file = 'u'";
        let mut section = read(text).unwrap();
        section.below(Path::new("/etc"));
        let mail = section.mail.unwrap();
        assert_eq!(mail.ca_file, Some("/etc/ca".into()));
        assert_eq!(mail.login.unwrap().password, SecretSource::File("/etc/p".into()));
        assert_eq!(section.ping[0].to.url, UrlSource::Secret(SecretSource::File("/etc/u".into())));
        assert_eq!(section.ping[0].job, "backup");
    }
}
