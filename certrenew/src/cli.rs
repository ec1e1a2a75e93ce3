//! The command line of `certrenew`, and what each form of it does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Parser, Subcommand};
use shipshape_core::alert::Job;
use shipshape_core::cli::{AlertArgs, CommonArgs, parse};
use shipshape_core::config::{App, CertificateSection, ChallengeKind, Config, ConfigError};
use shipshape_core::error::Failure;
use shipshape_core::run::{Outcome, Run};

use crate::adopt::{self, AdoptArgs};
use crate::check::{self, CheckArgs};
use crate::renew;
use crate::revoke::{self, RevokeArgs};
use crate::self_signed::{self, SelfSignedArgs};
use crate::status;

pub(crate) const TOOL: &str = "certrenew";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Under what the state is kept where there is no application.
pub(crate) const NAMELESS: &str = "certificates";

/// What runs without somebody who waits for it, as alerts know it.
const JOB: Job = Job { name: TOOL, fleeting: &[] };

const EXAMPLES: &str = "\
Examples:
  certrenew check example.com
      before the first order: do the DNS and port 80 of this name lead here?
  certrenew self-signed example.com
      a placeholder, so that nginx can start before the first order
  certrenew
      from cron, twice a day: obtain what is missing, renew what is due, reload, verify
  certrenew --domain example.com --domain www.example.com --webroot /var/www/acme
      the same without a configuration, in the folder of the compose file: the nginx that mounts the certificates is found
  certrenew status
      every certificate: days left, next attempt and why, where it is served
  certrenew --dry-run
      a rehearsal with the authority's staging: nothing is installed
  certrenew adopt /etc/letsencrypt
      take over what certbot has renewed until now

Exit status: 0 all is well, 1 look at it, 2 a renewal or a deploy failed, 3 could not run, 128+N on signal N.";

/// Obtains and renews certificates through the running web server, and checks that the new one is served
#[derive(Parser, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    alert: AlertArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which certificate, and what is to be known of it where no configuration says it.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct OneArgs {
    /// Only this certificate of the configuration; with --domain, what it is to be called
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A name on the certificate, instead of those of the configuration; may be repeated
    #[arg(short, long, value_name = "DOMAIN")]
    pub(crate) domain: Vec<String>,
    /// The folder from which the running web server serves /.well-known/acme-challenge/
    #[arg(long, value_name = "DIR", conflicts_with = "standalone")]
    pub(crate) webroot: Option<PathBuf>,
    /// Answer on port 80 ourselves, where nothing listens there yet
    #[arg(long)]
    pub(crate) standalone: bool,
    /// letsencrypt, letsencrypt-staging, zerossl, google, or the URL of a directory [default: letsencrypt]
    #[arg(long, value_name = "CA")]
    pub(crate) ca: Option<String>,
    /// The authorities by which --ca is trusted, in PEM form [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The folder that holds live/ and archive/ [default: /etc/letsencrypt]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The service of the stack that serves the certificate [default: found by its mounts]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Where the certificate must be served after a reload; may be repeated [default: where the service publishes port 443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) verify: Vec<String>,
    /// Folder of the application, or the name under which its state is kept
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) app: Option<String>,
}

/// What a run does.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// Renew though it is not due, and try though a pause after a failure is not over
    #[arg(long)]
    pub(crate) force: bool,
    /// Rehearse with the authority's staging; install nothing, remember nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Obtain what is missing, renew what is due, deploy, verify (as without a command)
    #[command(visible_alias = "renew")]
    Run(RunArgs),
    /// Every certificate: names, issuer, days left, next attempt and why, last deploy, served where; without a
    /// configuration those that lie in the folder
    #[command(visible_alias = "certificates")]
    Status(OneArgs),
    /// Before the first order: the DNS and port 80 of these names, and the clock
    Check(CheckArgs),
    /// A placeholder so that a web server can start before the first order
    SelfSigned(SelfSignedArgs),
    /// Take over the certificates of certbot, and renew them from now on
    Adopt(AdoptArgs),
    /// Tell the authority that a certificate must no longer be trusted
    Revoke(RevokeArgs),
}

/// Where and for whom a command works.
pub(crate) struct Context<'a> {
    /// What the file says.
    pub(crate) config: &'a Config,
    /// The application; one without a folder where there is none.
    pub(crate) app: &'a App,
    /// The run, for warnings, problems and the time.
    pub(crate) run: &'a Run,
}

/// The whole tool: reads the command line, runs, reports.
pub(crate) fn main() -> ExitCode {
    let args: Args = match parse(TOOL, VERSION, |args: &Args| &args.common) {
        Ok(args) => completed(args),
        Err(exit) => return exit,
    };
    let run = Run::start(TOOL, VERSION, &args.common);
    let result = execute(&args, &run);
    run.finish(result)
}

/// Flags may stand before the command and after it: those before it are for it too, where it says nothing itself.
fn completed(mut args: Args) -> Args {
    let outer = args.run.clone();
    match &mut args.command {
        None => {}
        Some(Command::Run(inner)) => {
            inner.one.complete(outer.one);
            inner.force |= outer.force;
            inner.dry_run |= outer.dry_run;
        }
        Some(Command::Status(one)) => one.complete(outer.one),
        Some(Command::Check(inner)) => inner.one.complete(outer.one),
        Some(Command::SelfSigned(inner)) => inner.one.complete(outer.one),
        Some(Command::Adopt(inner)) => inner.app = inner.app.take().or(outer.one.app),
        Some(Command::Revoke(inner)) => inner.one.complete(outer.one),
    }
    args
}

impl OneArgs {
    fn complete(&mut self, outer: Self) {
        let Self { name, domain, webroot, standalone, ca, ca_file, folder, service, verify, app } = outer;
        self.name = self.name.take().or(name);
        self.domain.extend(domain);
        self.webroot = self.webroot.take().or(webroot);
        self.standalone |= standalone;
        self.ca = self.ca.take().or(ca);
        self.ca_file = self.ca_file.take().or(ca_file);
        self.folder = self.folder.take().or(folder);
        self.service = self.service.take().or(service);
        self.verify.extend(verify);
        self.app = self.app.take().or(app);
    }

    /// What the flags say beats what the configuration says. Their paths are relative to where the caller stands.
    pub(crate) fn over(&self, stated: CertificateSection) -> CertificateSection {
        let absolute =
            |path: &Option<PathBuf>| path.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()));
        let challenge = if self.standalone {
            Some(ChallengeKind::Standalone)
        } else {
            self.webroot.as_ref().map(|_| ChallengeKind::Http01)
        };
        CertificateSection {
            name: self.name.clone().filter(|_| !self.domain.is_empty()).or(stated.name),
            webroot: absolute(&self.webroot).or(stated.webroot),
            challenge: challenge.or(stated.challenge),
            ca: self.ca.clone().or(stated.ca),
            ca_file: absolute(&self.ca_file).or(stated.ca_file),
            folder: absolute(&self.folder).or(stated.folder),
            service: self.service.clone().or(stated.service),
            verify: if self.verify.is_empty() { stated.verify } else { Some(self.verify.clone()) },
            ..stated
        }
    }
}

fn execute(args: &Args, run: &Run) -> Result<Outcome, Failure> {
    let stated = args.app();
    if args.alert.test_alert {
        return run.test_alert(stated);
    }
    let renewing = match &args.command {
        None => Some(&args.run),
        Some(Command::Run(inner)) => Some(inner),
        Some(_) => None,
    };
    match renewing {
        Some(inner) if !inner.dry_run => run.job(JOB),
        Some(_) | None => run.only_looks(),
    }
    let config = run.config(stated)?;
    let app = match config.app(stated) {
        Ok(app) => app,
        // Certificates belong to a machine; it need not have an application.
        Err(ConfigError::AppUnknown) => App { name: NAMELESS.to_owned(), dir: None },
        Err(error) => return Err(error.into()),
    };
    run.app(&app.name);
    let context = Context { config: &config, app: &app, run };
    match &args.command {
        None => renew::renew(&args.run, &context),
        Some(Command::Run(inner)) => renew::renew(inner, &context),
        Some(Command::Status(one)) => status::status(one, &context),
        Some(Command::Check(inner)) => check::check(inner, &context),
        Some(Command::SelfSigned(inner)) => self_signed::self_signed(inner, &context),
        Some(Command::Adopt(inner)) => adopt::adopt(inner, &context),
        Some(Command::Revoke(inner)) => revoke::revoke(inner, &context),
    }
}

impl Args {
    /// The application that was named.
    fn app(&self) -> Option<&str> {
        let stated = match &self.command {
            None => &self.run.one.app,
            Some(Command::Run(inner)) => &inner.one.app,
            Some(Command::Status(one)) => &one.app,
            Some(Command::Check(inner)) => &inner.one.app,
            Some(Command::SelfSigned(inner)) => &inner.one.app,
            Some(Command::Adopt(inner)) => &inner.app,
            Some(Command::Revoke(inner)) => &inner.one.app,
        };
        stated.as_deref()
    }
}
