//! Tokens that are known by their own form: each vendor documents a prefix, an alphabet and a length.
//!
//! Tokens whose form is documented nowhere (Hetzner's, Heroku's, Twilio's) are known by their names only. Lengths are lower
//! bounds where the vendor keeps the right to change them, as GitHub does.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::bytes::{Regex, RegexBuilder};

use super::plain;
use super::rule::{Candidate, Rule, is_token, telltales};

const AWS: &str = "deactivate this access key in IAM, look in CloudTrail for what was done with it, and make a new one";
const GITHUB: &str = "revoke this token on GitHub, and look in the security log for what was done with it";
const GOOGLE: &str = "delete this key in Google Cloud, and restrict the new one to the hosts and APIs that need it";
const AZURE: &str = "regenerate the account's keys in Azure, which also ends the signatures made with them";
const SLACK: &str = "revoke this in Slack's settings of the app, and make a new one";
const STRIPE: &str = "roll this key in Stripe's dashboard";

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 39] = [
    // Base32 after the prefix: AKIA for users, ASIA for sessions.
    Rule::token("aws-access-key", telltales!(Token: "AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z2-7]{16}")
        .only(|candidate| is_token(candidate) && !is_of_a_signature(candidate))
        .advice(AWS),
    // A secret key has no prefix: 30 random bytes in base64, known by their name or by the access key beside them.
    Rule::before(
        "aws-secret-key",
        telltales!(Assigned: "ecret", "ECRET"),
        r#"(?i)secret[_-]?(?:access[_-]?)?key["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}"#,
    )
    .only(is_aws_secret)
    .advice(AWS),
    Rule::by("aws-secret-key", telltales!(Token: "AKIA", "ASIA"), beside_an_access_key).advice(AWS),
    // 39 characters in all; such a key is not bound to a user, so it works from anywhere unless it is restricted.
    Rule::token("google-api-key", telltales!(Token: "AIza"), r"AIza[0-9A-Za-z_-]{35}").advice(GOOGLE),
    // OAuth: the secret of a client, and an access token.
    Rule::token("google-client-secret", telltales!(Token: "GOCSPX-"), r"GOCSPX-[0-9A-Za-z_-]{28}").advice(GOOGLE),
    Rule::token("google-access-token", telltales!(Token: "ya29."), r"ya29\.[0-9A-Za-z_-]{30,}")
        .weak()
        .advice("revoke this token, and keep it out of the log: it ends by itself after an hour"),
    // 512 bits of a storage account, 256 bits of Service Bus and IoT Hub, and a signature made with either (HMAC-SHA256).
    Rule::group("azure-storage-key", telltales!(Token: "tKey="), r"AccountKey=(?<value>[A-Za-z0-9+/]{86}==)")
        .only(is_token)
        .advice(AZURE),
    Rule::group(
        "azure-shared-key",
        telltales!(Token: "sKey="),
        r"AccessKey=(?<value>[A-Za-z0-9+/]{43,86}={1,2})",
    )
    .only(is_token)
    .advice(AZURE),
    Rule::group(
        "azure-sas",
        telltales!(Token: "sig="),
        r"[?&;](?:amp;)?sig=(?<value>[A-Za-z0-9%+/]{40,}(?:=|%3[dD])?)",
    )
    .only(is_token)
    .advice(AZURE),
    // dop: personal, doo: OAuth, dor: refresh.
    Rule::token("digitalocean-token", telltales!(Token: "_v1_"), r"do[opr]_v1_[0-9a-f]{64}")
        .advice("revoke this token in DigitalOcean's control panel, and make a new one"),
    // 40 characters and a checksum.
    Rule::token("cloudflare-token", telltales!(Token: "cfk_", "cfut_", "cfat_"), r"cf(?:k|ut|at)_[0-9A-Za-z_-]{40,64}")
        .advice("roll this token in Cloudflare's dashboard"),
    // Base62; the last six characters are a CRC32. Of users, OAuth, user-to-server, server-to-server, refresh. Newer tokens of
    // servers carry a JWT.
    Rule::token(
        "github-token",
        telltales!(Token: "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        r"gh[pousr]_[0-9A-Za-z_]{36,}(?:\.[0-9A-Za-z_-]{10,}){0,2}",
    )
    .advice(GITHUB),
    Rule::token("github-token", telltales!(Token: "github_pat_"), r"github_pat_[0-9A-Za-z_]{60,}").advice(GITHUB),
    // GitLab's documentation of tokens has the list of prefixes. Routable tokens have two parts more after the random one.
    Rule::token(
        "gitlab-token",
        telltales!(Token: "glpat-", "gldt-", "glrt", "glptt-", "glcbt-", "gloas-", "glagent-", "glft-", "glimt-", "glsoat-"),
        r"gl(?:pat|dt|rt|rtr|ptt|cbt|ft|imt|agent|oas|soat|ffct|wt)-[0-9A-Za-z_-]{20,}(?:\.[0-9a-z.]{2,20})?",
    )
    .advice("revoke this token in GitLab, and look in the audit events for what was done with it"),
    // xoxb: bot, xoxp: user, xoxe: configuration, xapp: app level; xoxa, xoxr and xoxs are of workspaces of old.
    Rule::token(
        "slack-token",
        telltales!(Token: "xox", "xapp-"),
        r"(?:xoxe\.)?(?:xox[abeprs]|xapp|xwfp)-[0-9A-Za-z-]{20,}",
    )
    .advice(SLACK),
    // The path is the secret: whoever knows it can post.
    Rule::group(
        "slack-webhook",
        telltales!(Anything: "hooks.slack"),
        r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/(?<value>[0-9A-Za-z_/-]{20,})",
    )
    .only(is_token)
    .advice(SLACK),
    // Secret and restricted keys. `pk_` is published with every page.
    Rule::token("stripe-key", telltales!(Token: "k_live_"), r"[sr]k_live_[0-9A-Za-z]{16,}").advice(STRIPE),
    Rule::token("stripe-test-key", telltales!(Token: "k_test_"), r"[sr]k_test_[0-9A-Za-z]{16,}").weak().advice(STRIPE),
    // Stripe's, and those of all who follow Standard Webhooks.
    Rule::group("webhook-secret", telltales!(Token: "whsec_"), r"\b(?<value>whsec_[0-9A-Za-z+/]{24,}={0,2})")
        .only(is_token)
        .advice("roll the signing secret of this webhook: whoever has it can forge events"),
    // No prefix: 32 hexadecimal digits. The account's `AC…` beside it is no secret.
    Rule::group(
        "twilio-token",
        telltales!(Assigned: "token", "Token", "TOKEN"),
        r#"(?i)twilio[a-z0-9_.-]{0,40}token["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}["'\\]{0,2}(?<value>[0-9a-f]{32})\b"#,
    )
    .only(is_token)
    .advice("make a secondary auth token in Twilio's console, and promote it"),
    // An id of 16 bytes and a secret of 32, in base64url.
    Rule::token(
        "sendgrid-key",
        telltales!(Token: " SG.", "=SG.", "\"SG."),
        r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}",
    )
    .advice("delete this API key in SendGrid, and make a new one with fewer rights"),
    Rule::token("mailgun-key", telltales!(Token: "key-"), r"key-[0-9a-f]{32}")
        .only(|candidate| is_token(candidate) && !candidate.before(1).ends_with(b"-"))
        .advice("delete this API key in Mailgun, and make a new one"),
    // 30 random characters, and a CRC32 as GitHub has it.
    Rule::token("npm-token", telltales!(Token: "npm_"), r"npm_[0-9A-Za-z]{36}")
        .advice("revoke this token on npm, and see that no version was published with it"),
    // A macaroon (version 2) in base64: its first bytes are the same in all.
    Rule::token("pypi-token", telltales!(Token: "pypi-"), r"pypi-AgE[0-9A-Za-z_-]{50,}")
        .advice("remove this token on PyPI, and see that no release was uploaded with it"),
    // The bot's number and 35 characters.
    Rule::group(
        "telegram-bot-token",
        telltales!(Token: "m.org/bot"; Assigned: "token", "Token", "TOKEN"),
        r"(?:/bot|\b)(?<value>[0-9]{8,12}:[0-9A-Za-z_-]{35})\b",
    )
    .only(is_token)
    .advice("revoke this token with /revoke at BotFather"),
    // The same without anything around it: those that are given out today begin with `AA`.
    Rule::token("telegram-bot-token", telltales!(Token: ":AA"), r"[0-9]{8,10}:AA[0-9A-Za-z_-]{33}")
        .only(|candidate| is_token(candidate) && plain::entropy(candidate.value()) >= 4.0)
        .advice("revoke this token with /revoke at BotFather"),
    Rule::group(
        "discord-webhook",
        telltales!(Anything: "d.com/api/webhooks/", "p.com/api/webhooks/"),
        r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{17,20}/(?<value>[0-9A-Za-z_-]{60,})",
    )
    .only(is_token)
    .advice("delete this webhook in the channel's settings, and make a new one"),
    // The middle of keys of all kinds is `OpenAI` in base64.
    Rule::token(
        "openai-key",
        telltales!(Token: "T3BlbkFJ"),
        r"sk-[0-9A-Za-z_-]{16,}T3BlbkFJ[0-9A-Za-z_-]{16,}",
    )
    .advice("revoke this key on OpenAI's platform, and look at the usage"),
    // Keys of projects and of service accounts without the mark: their prefix and their length are enough.
    Rule::token(
        "openai-key",
        telltales!(Token: "sk-proj-", "sk-svcacct-"),
        r"sk-(?:proj|svcacct)-[0-9A-Za-z_-]{32,}",
    )
    .only(|candidate| is_token(candidate) && plain::is_random(candidate.value()))
    .advice("revoke this key on OpenAI's platform, and look at the usage"),
    Rule::token("huggingface-token", telltales!(Token: " hf_", "=hf_", "\"hf_", "'hf_"), r"hf_[0-9A-Za-z]{34,}")
        .only(|candidate| is_token(candidate) && is_of_both_cases(&candidate.value()[3..]))
        .advice("revoke this token in the settings of Hugging Face, and make a new one with fewer rights"),
    // `api03` for keys, `admin01` for administrators, `oat01` for what a login got.
    Rule::token("anthropic-key", telltales!(Token: "sk-ant-"), r"sk-ant-[a-z0-9]{3,10}-[0-9A-Za-z_-]{40,}")
        .advice("delete this key in Anthropic's console, and look at the usage"),
    Rule::token("openrouter-key", telltales!(Token: "sk-or-v1-"), r"sk-or-v1-[0-9a-f]{64}")
        .advice("delete this key at OpenRouter, and look at the usage"),
    Rule::token("docker-hub-token", telltales!(Token: "dckr_pat_"), r"dckr_pat_[0-9A-Za-z_-]{20,}")
        .advice("delete this token at Docker Hub, and see that no image was pushed with it"),
    // Since Vault 1.10: hvs: service, hvb: batch, hvr: recovery.
    Rule::token("vault-token", telltales!(Token: "hvs.", "hvb."), r"hv[sbr]\.[0-9A-Za-z_-]{24,}")
        .advice("revoke this token: vault token revoke"),
    // 32 bytes for AES-256, 16 for AES-128, in base64 or, long ago, as they are. With it whoever reads the log can forge
    // cookies, and often run code, because Laravel unserializes what it decrypts.
    Rule::group(
        "laravel-app-key",
        telltales!(Token: "se64:"),
        r"\bbase64:(?<value>[0-9A-Za-z+/]{43}=|[0-9A-Za-z+/]{22}==)",
    )
    .only(is_token)
    .advice("make a new APP_KEY with php artisan key:generate, and keep the old one in APP_PREVIOUS_KEYS until nothing needs it"),
    Rule::before("laravel-app-key", telltales!(Assigned: "_KEY"), r#"\bAPP_KEY["'\\]{0,3}\]?[ \t]{0,2}(?:=>|[=:])[ \t]{0,2}"#)
        .only(|candidate| candidate.value().len() >= 16 && plain::is_random(candidate.value()) && is_token(candidate))
        .advice("make a new APP_KEY with php artisan key:generate, and keep the old one in APP_PREVIOUS_KEYS until nothing needs it"),
    // Signed tokens: header and claims are JSON objects, so both begin with `{"` in base64. Without a signature it lets nobody in.
    Rule::token(
        "jwt",
        telltales!(Token: ".eyJ"),
        r"eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{4,}\.[0-9A-Za-z_-]{16,}",
    )
    .only(|candidate| is_jwt(candidate.value()))
    .advice("end this token: take it off the list of valid ones, or change the key that signs them"),
    // Encrypted tokens have five parts, of which only the header can be read (RFC 7516, section 3.1): a key, none where both
    // sides share one; 96 or 128 bits to begin with; what is hidden; and a seal of 128 to 256 bits. Many sessions are such.
    Rule::token(
        "jwe",
        telltales!(Token: "eyJ"),
        r"eyJ[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]*\.[0-9A-Za-z_-]{16,22}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]{22,43}",
    )
    .only(|candidate| is_jwe(candidate.value()))
    .advice("end this token or session, or change the key that encrypts them"),
    // Of an app, of a custom app, of a private app, and the secret that an app shares with Shopify.
    Rule::token(
        "shopify-token",
        telltales!(Token: "shpat_", "shpca_", "shppa_", "shpss_"),
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    )
        .advice("revoke this token in the shop's settings of the app, and make a new one"),
];

/// The longest header of a JWT that is decoded, in bytes.
const LONGEST_HEADER: usize = 8 << 10;

/// Whether the first part is a header that names an algorithm (RFC 7515, section 4).
fn is_jwt(token: &[u8]) -> bool {
    header(token).is_some_and(|header| header["alg"].is_string())
}

/// Whether the header also names how the content is encrypted (RFC 7516, section 4).
fn is_jwe(token: &[u8]) -> bool {
    header(token).is_some_and(|header| header["alg"].is_string() && header["enc"].is_string())
}

/// The first part of a token, which says how to read the others.
fn header(token: &[u8]) -> Option<serde_json::Value> {
    let header = token.split(|byte| *byte == b'.').next().filter(|header| header.len() <= LONGEST_HEADER)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Whether it only names who signed: `X-Amz-Credential=AKIA…/20261101/…` is in every signed address, and no secret.
fn is_of_a_signature(candidate: &Candidate<'_>) -> bool {
    candidate.before(11).ends_with(b"Credential=")
}

/// 40 characters of base64, as mixed as random ones are. Git's hashes are as long, and hexadecimal.
fn is_aws_secret(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    value.len() == 40 && is_mixed(value) && !plain::is_placeholder(value)
}

fn is_mixed(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
        && value.iter().any(u8::is_ascii_uppercase)
        && value.iter().any(u8::is_ascii_lowercase)
        && value.iter().any(u8::is_ascii_digit)
        && plain::entropy(value) >= 4.0
}

/// Names of functions and fields are of one case.
fn is_of_both_cases(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase) && plain::entropy(value) >= 3.5
}

/// How far from an access key its secret is looked for, in bytes.
const BESIDE: usize = 240;

/// An access key, and a run of what secrets are made of.
static ACCESS_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new(r"(?:AKIA|ASIA)[A-Z2-7]{16}").unicode(false).build().ok());

/// Secrets that stand after their access key without a name, as in CSV and in tuples.
fn beside_an_access_key(record: &[u8], found: &mut Vec<Range<usize>>) {
    let Some(regex) = ACCESS_KEY.as_ref() else { return };
    let mut seen = 0;
    for key in regex.find_iter(record) {
        let mut at = key.end().max(seen);
        seen = record.len().min(key.end() + BESIDE);
        for run in record[at.min(seen)..seen].split(|byte| !is_of_a_secret(*byte)) {
            if run.len() == 40 && is_mixed(run) {
                found.push(at..at + 40);
            }
            at += run.len() + 1;
        }
    }
}

fn is_of_a_secret(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=')
}
