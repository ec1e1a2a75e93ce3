//! Samples of every rule for tests, made when they run: a scanner of repositories would take them for real.

/// Upper and lower case letters and digits.
pub(super) const BASE62: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BECH32: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
pub(super) const HEX: &str = "0123456789abcdef";
const DIGITS: &str = "123456789";

/// So many characters of an alphabet; the same ones every time.
pub(super) fn some(alphabet: &str, count: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (count as u64) << 17 ^ letters.len() as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % letters.len()
    };
    (0..count).map(|_| letters[next()]).collect()
}

/// A key of this kind in PEM, its lines ended so.
pub(super) fn pem(kind: &str, end: &str) -> String {
    let lines: Vec<String> = (0..5).map(|line| some(BASE64, 64 - line)).collect();
    format!("-----BEGIN {kind}-----{end}{}{end}-----END {kind}-----", lines.join(end))
}

/// A card number of this prefix and length, with the right check digit.
fn card(prefix: &str, length: usize) -> String {
    let body = format!("{prefix}{}", some(DIGITS, length - 1 - prefix.len()));
    let doubled = |(place, digit): (usize, u32)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
    let sum: u32 = body.chars().rev().map(|char| char.to_digit(10).unwrap()).enumerate().map(doubled).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn grouped(number: &str, by: &str) -> String {
    let groups: Vec<&str> = number.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(by)
}

/// A rule, a text that it finds something in, and what.
pub(super) type Sample = (&'static str, String, String);

/// A text with `¶` in the place of the value.
fn with(rule: &'static str, text: &str, value: impl Into<String>) -> Sample {
    let value = value.into();
    (rule, text.replace('¶', &value), value)
}

/// All rules, each with what it has to find.
pub(super) fn positives() -> Vec<Sample> {
    [keys(), clouds(), forges(), services(), addresses(), headers(), commands(), statements(), named(), cards()]
        .concat()
}

fn keys() -> Vec<Sample> {
    let private = |kind: &str, end: &str| pem(&format!("{kind}PRIVATE KEY"), end);
    let account = "{\"type\": \"service_account\", \"private_key\": \"¶\\n\", \"client_id\": \"1\"}";
    vec![
        with("private-key", "key: ¶", private("RSA ", "\n")),
        with("private-key", "key: ¶ next", private("EC ", "\n")),
        with("private-key", "¶", private("ENCRYPTED ", "\r\n")),
        with("private-key", "KEY=\"¶\\n\"", private("", "\\n")),
        with("private-key", "{\"key\":\"¶\"}", private("OPENSSH ", "\\r\\n")),
        with("private-key", "¶", pem("PGP PRIVATE KEY BLOCK", "\n")),
        with("private-key", "¶", private("DSA ", " ")),
        with("private-key", "read ¶", private("", "\n").split("\n-----END").next().unwrap()),
        with("gcp-service-account", account, private("", "\\n")),
        with("age-key", "identity ¶", format!("AGE-SECRET-{}{}", "KEY-1", some(BECH32, 58))),
        with("age-key", "identity ¶", format!("AGE-PLUGIN-YUBIKEY-1{}", some(BECH32, 30))),
    ]
}

fn clouds() -> Vec<Sample> {
    let id = format!("AK{}{}", "IA", some(BASE32, 16));
    let secret = some(BASE64, 40);
    vec![
        with("aws-access-key", "using ¶ in eu-central-1", &id),
        with("aws-access-key", "env\\n¶\\nend", format!("AS{}{}", "IA", some(BASE32, 16))),
        with("aws-secret-key", "aws_secret_access_key = ¶", &secret),
        with("aws-secret-key", "{\"SecretAccessKey\":\"¶\"}", &secret),
        with("aws-secret-key", "AWS_SECRET_ACCESS_KEY=¶", &secret),
        with("aws-secret-key", &format!("{id},¶"), &secret),
        with("google-api-key", "?key=¶&q=x", format!("AI{}{}", "za", some(BASE62, 35))),
        with("google-client-secret", "secret ¶", format!("GOC{}{}", "SPX-", some(BASE62, 28))),
        with("google-access-token", "token ¶", format!("ya{}{}", "29.", some(BASE62, 60))),
        with("azure-storage-key", "AccountName=x;AccountKey=¶;EndpointSuffix=y", format!("{}==", some(BASE64, 86))),
        with(
            "azure-shared-key",
            "Endpoint=sb://x/;SharedAccessKeyName=r;SharedAccessKey=¶",
            format!("{}=", some(BASE64, 43)),
        ),
        with("azure-sas", "GET /x?sv=2024&se=2026&sig=¶ 200", format!("{}%3D", some(BASE62, 43))),
        with("digitalocean-token", "with ¶.", format!("dop_{}{}", "v1_", some(HEX, 64))),
        with("cloudflare-token", "with ¶", format!("cf{}{}", "ut_", some(BASE62, 48))),
        with("cloudflare-token", "with ¶", format!("cf{}{}", "k_", some(BASE62, 48))),
    ]
}

fn forges() -> Vec<Sample> {
    let mut samples: Vec<Sample> = ["ghp", "gho", "ghu", "ghs", "ghr"]
        .into_iter()
        .map(|prefix| with("github-token", "git clone with ¶", format!("{prefix}_{}", some(BASE62, 36))))
        .collect();
    samples.extend(
        ["pat", "dt", "rt", "rtr", "ptt", "cbt", "agent", "oas"]
            .map(|kind| with("gitlab-token", "PRIVATE: ¶", format!("gl{kind}-{}", some(BASE62, 20)))),
    );
    samples.extend([
        with("github-token", "with ¶", format!("github_{}{}_{}", "pat_", some(BASE62, 22), some(BASE62, 59))),
        with("npm-token", "//packages.example.org/:_authToken=¶", format!("npm{}{}", "_", some(BASE62, 36))),
        with("pypi-token", "with ¶", format!("pypi-{}{}", "AgEIcHlwaS5vcmc", some(BASE62, 80))),
        with("docker-hub-token", "login ¶", format!("dckr_{}{}", "pat_", some(BASE62, 27))),
        with("vault-token", "X-Vault ¶", format!("hv{}{}", "s.", some(BASE62, 24))),
    ]);
    samples
}

fn services() -> Vec<Sample> {
    let jwt = |header: &str| {
        use base64::Engine;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode("{\"sub\":\"1\",\"name\":\"x\"}"), some(BASE62, 43))
    };
    vec![
        with("slack-token", "with ¶", format!("xo{}{}-{}", "xb-", some(DIGITS, 12), some(BASE62, 24))),
        with("slack-token", "with ¶", format!("xa{}{}-{}", "pp-1-", some(BASE62, 11), some(HEX, 64))),
        with(
            "slack-webhook",
            "https://hooks.slack.com/services/¶",
            format!("T{0}/B{0}/{1}", some(BASE32, 9), some(BASE62, 24)),
        ),
        with("stripe-key", "with ¶", format!("sk_{}{}", "live_", some(BASE62, 24))),
        with("stripe-key", "with ¶", format!("rk_{}{}", "live_", some(BASE62, 99))),
        with("stripe-test-key", "with ¶", format!("sk_{}{}", "test_", some(BASE62, 24))),
        with("webhook-secret", "with ¶ end", format!("wh{}{}", "sec_", some(BASE62, 32))),
        with("twilio-token", "TWILIO_AUTH_TOKEN=¶", some(HEX, 32)),
        with("twilio-token", "{\"twilioAuthToken\": \"¶\"}", some(HEX, 32)),
        with("sendgrid-key", "key=¶", format!("S{}{}.{}", "G.", some(BASE62, 22), some(BASE62, 43))),
        with("sendgrid-key", "\"¶\"", format!("S{}{}.{}", "G.", some(BASE62, 22), some(BASE62, 43))),
        with("mailgun-key", "api:¶", format!("ke{}{}", "y-", some(HEX, 32))),
        with(
            "telegram-bot-token",
            "https://api.telegram.org/bot¶/getMe",
            format!("{}:{}", some(DIGITS, 10), some(BASE62, 35)),
        ),
        with(
            "telegram-bot-token",
            "TELEGRAM_BOT_TOKEN=¶",
            format!("{}:A{}{}", some(DIGITS, 10), "AH", some(BASE62, 32)),
        ),
        with("telegram-bot-token", "bot ¶ started", format!("{}:A{}{}", some(DIGITS, 10), "AH", some(BASE62, 32))),
        with("discord-webhook", &format!("https://discord.com/api/webhooks/{}/¶", some(DIGITS, 19)), some(BASE62, 68)),
        with("openai-key", "with ¶", format!("sk-{}T3B{}{}", some(BASE62, 20), "lbkFJ", some(BASE62, 20))),
        with("openai-key", "with ¶", format!("sk-proj-{}T3B{}{}", some(BASE62, 70), "lbkFJ", some(BASE62, 70))),
        with("openai-key", "with ¶", format!("sk-{}-{}", "proj", some(BASE62, 120))),
        with("openai-key", "with ¶", format!("sk-{}-{}", "svcacct", some(BASE62, 48))),
        with("huggingface-token", "login with ¶", format!("hf{}{}", "_", some(BASE62, 34))),
        with("huggingface-token", "HF=¶", format!("hf{}{}", "_", some(&BASE62[..52], 34))),
        with("anthropic-key", "with ¶", format!("sk-{}{}", "ant-api03-", some(BASE62, 93))),
        with("openrouter-key", "with ¶", format!("sk-{}{}", "or-v1-", some(HEX, 64))),
        with("shopify-token", "with ¶", format!("shp{}{}", "at_", some(HEX, 32))),
        with("laravel-app-key", "APP_KEY=base64:¶", format!("{}=", some(BASE64, 43))),
        with("laravel-app-key", "'key' => 'base64:¶'", format!("{}=", some(BASE64, 43))),
        with("laravel-app-key", "APP_KEY=¶", some(BASE62, 32)),
        with("jwe", "session ¶ opened", jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", 0, 16, 22)),
        with("jwe", "/ws?t=¶&x=1", jwe("{\"alg\":\"RSA-OAEP\",\"enc\":\"A128CBC-HS256\",\"kid\":\"1\"}", 342, 22, 43)),
        with("jwt", "token ¶ used", jwt("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")),
        with("jwt", "/ws?jwt=¶", jwt("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"1\"}")),
    ]
}

/// An encrypted token with parts of these lengths.
fn jwe(header: &str, key: usize, begin: usize, seal: usize) -> String {
    use base64::Engine;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
    let part = |length| some(BASE62, length);
    format!("{header}.{}.{}.{}.{}", part(key), part(begin), part(90), part(seal))
}

fn addresses() -> Vec<Sample> {
    vec![
        with("url-password", "mysql://app:¶@db:3306/shop", "hunter2"),
        with("url-password", "redis://:¶@cache:6379/0", "hunter2"),
        with("url-password", "amqp://guest:¶@mq//", "guest"),
        with("url-password", "mongodb+srv://app:¶@cluster0.example.net/?retryWrites=true", "p%40ss"),
        with("url-password", "postgres://app:¶@db/x", "p4ss/w0rd"),
        with("url-password", "postgres://app:¶@db/x", "p@ss:w0rd"),
        with("url-password", "{\"url\":\"https:\\/\\/jane:¶@example.net\\/\"}", "hunter2"),
        with("url-password", "dsn app:¶@tcp(10.0.0.5:3306)/shop", "hunter2"),
        with("url-password", "root:¶@unix(/run/mysqld.sock)/", "hunter2"),
        with("query-password", "GET /login?user=jane&password=¶ HTTP/1.1", "hunter2"),
        with("query-password", "GET /login?user%5Bpassword%5D=¶&x=1", "hunter2"),
        with("query-token", "GET /ws?token=¶ HTTP/1.1", some(BASE62, 20)),
        with("query-token", "\"https://x.example/?a=1&access_token=¶&b=2\"", some(HEX, 40)),
        with("query-token", "GET /v1?api_key=¶ HTTP/1.1", some(HEX, 32)),
        with("reset-link", "GET /password/reset/¶?email=a%40b.c", some(HEX, 64)),
        with("reset-link", "GET /reset-password/¶ HTTP/2", some(HEX, 64)),
        with("signed-url", "GET /x?X-Amz-Date=1&X-Amz-Signature=¶ 200", some(HEX, 64)),
        with("signed-url", "GET /verify/1?expires=17&signature=¶ 200", some(HEX, 64)),
    ]
}

fn headers() -> Vec<Sample> {
    let token = some(BASE62, 40);
    vec![
        with("authorization-header", "Authorization: Bearer ¶", &token),
        with("authorization-header", "curl -H 'Authorization: token ¶' https://x.example", &token),
        with("authorization-header", "{\"headers\":{\"authorization\":\"Bearer ¶\"}}", &token),
        with("authorization-header", "{\\\"authorization\\\":\\\"Basic ¶\\\"}", "YXBwOmh1bnRlcg=="),
        with("authorization-header", "'Authorization' => ['Bearer ¶']", &token),
        with("authorization-header", "HTTP_AUTHORIZATION=Basic ¶", "YXBwOmh1bnRlcg=="),
        with("bearer-token", "rejected bearer ¶", &token),
        with("bearer-token", "sent \"Bearer ¶\"", some(HEX, 32)),
        with("api-key-header", "X-Api-Key: ¶", &token),
        with("api-key-header", "{\"x-api-key\":\"¶\"}", some(HEX, 32)),
        with("api-key-header", "curl -H \"X-Auth-Token: ¶\"", &token),
        with("api-key-header", "X-API-KEY: ¶", some(HEX, 37)),
        with("session-cookie", "GET /;x?PHPSESSID=¶ 200", some(HEX, 26)),
        with("session-cookie", "laravel_session=¶;", format!("eyJpdiI6{}", some(BASE62, 200))),
        with("session-cookie", "/a;jsessionid=¶?b", some(HEX, 32)),
        with("cookie-header", "Cookie: theme=dark; sid=¶; _ga=GA1.2.3", some(BASE62, 32)),
        with("cookie-header", "Set-Cookie: id=¶; HttpOnly", some(BASE62, 32)),
        with("cookie-header", "{\"cookie\":\"a=1; auth=¶\",\"host\":\"x\"}", some(BASE62, 32)),
    ]
}

fn commands() -> Vec<Sample> {
    vec![
        with("option-password", "CMD (tool --password ¶ run)", "hunter2"),
        with("option-password", "exec tool --db-password=¶ run", "hunter2"),
        with("option-password", "argv [\"tool\",\"--password\",\"¶\"]", "sup3rS3cret"),
        with("option-password", "argv ['tool', '--password', '¶', 'run']", "sup3rS3cret"),
        with("option-password", r#"{"argv":"[\"tool\",\"--db-password\",\"¶\"]"}"#, "sup3rS3cret"),
        with("option-token", "argv [\"tool\",\"--token\",\"¶\"]", some(BASE62, 20)),
        with("client-password", "argv [\"mysql\",\"-uroot\",\"-p¶\",\"shop\"]", "sup3rS3cret"),
        with("option-token", "exec tool --token ¶ run", some(BASE62, 20)),
        with("option-token", "exec tool --api-key=¶", some(HEX, 32)),
        with("client-password", "CMD (mysqldump -u root -p¶ shop)", "hunter2"),
        with("client-password", "mysql -p'¶' -e 'select 1'", "two words"),
        with("client-password", "mariadb-dump --all-databases -p¶", "hunter2"),
        with("client-password", "sshpass -p ¶ ssh backup@host", "hunter2"),
        with("client-password", "redis-cli -h cache -a ¶ info", "hunter2"),
        with("user-password", "curl -s -u jane:¶ https://x.example", "hunter2"),
        with("user-password", "curl --user 'jane:¶' https://x.example", "hunter2"),
        with("environment-password", "PGPASSWORD=¶ psql -h db", "hunter2"),
        with("environment-password", "env MYSQL_PWD='¶' mysqldump", "hunter2"),
        with("environment-password", "SSHPASS=¶", "changeme"),
    ]
}

fn statements() -> Vec<Sample> {
    vec![
        with("sql-password", "CREATE USER 'app'@'%' IDENTIFIED BY '¶'", "hunter2"),
        with("sql-password", "create user app identified by '¶'", "hunter2"),
        with("sql-password", "ALTER USER app IDENTIFIED WITH mysql_native_password BY '¶'", "hunter2"),
        with("sql-password", "SET PASSWORD FOR 'app'@'localhost' = '¶'", "hunter2"),
        with("sql-password", "SET PASSWORD = PASSWORD('¶')", "hunter2"),
        with("sql-password", "update users set password='¶' where id=1", "hunter2"),
        with("sql-password", "INSERT INTO users (name, password) VALUES ('jane', '¶')", "hunter2"),
        with("sql-password", "(SQL: insert into `users` (`name`, `password`) values (jane, ¶))", "hunter2"),
        with("sql-password", "ALTER ROLE app WITH LOGIN PASSWORD '¶'", "hunter2"),
    ]
}

fn named() -> Vec<Sample> {
    let token = some(BASE62, 32);
    vec![
        with("connection-string", "jdbc:mysql://db/shop?user=app;password=¶", "hunter2"),
        with("connection-string", "Server=db;Database=x;User Id=app;Password=¶;", "hunter2"),
        with("connection-string", "host=db dbname=x user=app password=¶", "hunter2"),
        with("generic-password", "DB_PASSWORD=¶", "hunter2"),
        with("generic-password", "{\"user\":\"jane\",\"password\":\"¶\"}", "correct horse"),
        with("generic-password", "{\\\"password\\\":\\\"¶\\\"}", "hunter2"),
        with("generic-password", "'password' => '¶'", "hunter2"),
        with("generic-password", "[password] => ¶", "hunter2"),
        with("generic-password", "password: ¶", "hunter2"),
        with("generic-password", "password: ¶", "Tr0ub4dor&3xyz"),
        with("generic-password", "{\"user\":\"jane\",\"pwd\":\"¶\"}", "hunter2"),
        with("generic-password", "'pwd' => '¶'", "hunter2"),
        with("generic-password", "login jane pass: ¶", "hunter2"),
        with("generic-password", "Array ( [user] => jane [password] => ¶ )", "hunter2"),
        with("generic-password", "[pwd] => ¶ )", "hunter2"),
        with("generic-password", "[pass] => ¶ )", "hunter2"),
        with("generic-password", "login jane pw=¶ ok", "hunter2"),
        with("generic-password", "body=%7B%22password%22%3A%22¶%22%7D", "hunter2"),
        with("generic-secret", "private_key=¶", &token),
        with("generic-secret", "encryption_key=¶", &token),
        with("generic-secret", "refused api-key ¶", &token),
        with("generic-password", "<Password>¶</Password>", "hunter2"),
        with("generic-password", "SMTP_PASS=¶", "hunter2"),
        with("generic-password", "\"passphrase\": \"¶\"", "hunter2"),
        with("generic-secret", "client_secret=¶", &token),
        with("generic-secret", "{\"accessToken\":\"¶\"}", &token),
        with("generic-secret", "api_key = \"¶\"", some(HEX, 32)),
        with("generic-secret", "apiKey: '¶'", &token),
        with("generic-secret", "SECRET_KEY_BASE=¶", some(HEX, 128)),
        with("generic-secret", "remember_token: ¶", &token),
    ]
}

/// The number of an account in Germany, with the right check digits.
fn account() -> String {
    let body = some(DIGITS, 18);
    let rest = format!("{body}131400").bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{body}", 98 - rest)
}

fn cards() -> Vec<Sample> {
    let visa = card("4", 16);
    vec![
        with("iban", "{\"iban\":\"¶\"}", account()),
        with("iban", "paid to IBAN ¶ on Monday", grouped(&account(), " ")),
        with("payment-card", "{\"card_number\":\"¶\"}", &visa),
        with("payment-card", "charged card ¶", grouped(&visa, " ")),
        with("payment-card", "Card: ¶", grouped(&card("53", 16), "-")),
        with("payment-card", "cardNumber=¶&exp=1", card("37", 15)),
        with("payment-card", "{\"number\":\"¶\",\"type\":\"creditcard\"}", card("6011", 16)),
        with("payment-card", "{\"pan\":\"¶\"}", card("2720", 16)),
    ]
}

/// Texts in which nothing is found.
pub(super) fn negatives() -> Vec<String> {
    let hash = some(HEX, 64);
    let mut texts: Vec<String> = PLAIN.iter().map(ToString::to_string).collect();
    texts.extend([
        // Public keys, hashes, ids.
        pem("PUBLIC KEY", "\n"),
        pem("CERTIFICATE", "\n"),
        format!("ssh-ed25519 {} jane@laptop", some(BASE64, 68)),
        format!("image sha256:{hash} pulled, ETag: \"{}\"", some(HEX, 32)),
        format!("commit {} by jane", some(HEX, 40)),
        format!("password => $2y$10${}", some(BASE62, 53)),
        format!("password=*{}", some(HEX, 40).to_uppercase()),
        format!("csrf_token={}", some(BASE62, 40)),
        format!("X-CSRF-TOKEN: {}", some(BASE62, 40)),
        format!("next_page_token={}", some(BASE62, 40)),
        format!("pk_live_{}", some(BASE62, 24)),
        format!("monkey-{}", some(HEX, 32)),
        format!("AK{}{}", "IA", "X".repeat(16)),
        format!("x{}", format_args!("gh{}{}", "p_", some(BASE62, 36))),
        format!("X-Amz-Credential=AK{}{}/20261101/eu", "IA", some(BASE32, 16)),
        // Tokens that lack something.
        jwe("{\"alg\":\"dir\"}", 0, 16, 22),
        jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", 0, 12, 22),
        jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", 0, 16, 20),
        jwe("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", 0, 16, 44),
        format!("bot {}:AA{}", some(DIGITS, 10), some(BASE62, 32)),
        format!("bot {}:AA{}", some(DIGITS, 10), some(BASE62, 34)),
        format!("bot {}:AA{}", some(DIGITS, 7), some(BASE62, 33)),
        format!("bot {}:AA{}", some(DIGITS, 10), "AB1".repeat(11)),
        format!("bot x{}:AA{}", some(DIGITS, 10), some(BASE62, 33)),
        // Numbers that are no accounts, and those that nothing calls one.
        format!("paid to {}", account()),
        format!("iban {}", account().replacen("DE", "FR", 1)),
        format!("iban {}1", account()),
        format!("iban DE{}", &account()[3..]),
        "iban DE89 3704 0044 0532 0130 00".to_owned(),
        // Numbers that are no cards.
        format!("charged {}", card("4", 16)),
        format!("card_id={}", card("4", 16)),
        format!("card {}9", card("4", 16)),
        format!("card 0.{}", card("4", 16)),
        format!("card {}", card("9", 16)),
        format!("card {}", card("4", 16).replacen('4', "5", 1)),
        "card 4111 1111 1111 1111".to_owned(),
        "card 1795862993297 stored at 20261101000000".to_owned(),
    ]);
    texts
}

const PLAIN: &[&str] = &[
    "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
    "password reset requested for user 5",
    "invalid password: user not found",
    "password: incorrect",
    "{\"errors\":{\"password\":[\"The password field is required.\"]}}",
    "{\"password\":\"[redacted]\",\"token\":\"********\"}",
    "password=[FILTERED]&token=[FILTERED]",
    "DB_PASSWORD=${DB_PASSWORD} TOKEN=$TOKEN",
    "password=%s token={{ token }}",
    "--password=<password> --token=your_token_here",
    "the --password option is insecure",
    "mysql --password -h db",
    "docker run -d -p3306:3306 mysql -p3306:3306",
    "mkdir -p /var/lib/mysql",
    "token_count=12345 max_tokens=4096 tokens: 77",
    "Unexpected token < in JSON at position 0",
    "Unexpected token: punc (})",
    "pass: 12 fail: 0",
    "pass: 120345 fail: 0",
    "tests pass: true",
    "took pass: 123456ms",
    "{\"step\":\"lint\",\"pass\":\"partly\"}",
    "{\"pwd\":\"/home/jane2\",\"cmd\":\"ls\"}",
    "sudo: jane : TTY=pts/0 ; PWD=/home/jane2 ; USER=root ; COMMAND=/bin/ls",
    "pwd: /var/www/html2",
    "ssl_private_key: /etc/ssl/private/web12.acme.net.key",
    "private_key=./keys/2026/web12.pem",
    "{\"tests\":5,\"pass\":true,\"fail\":false}",
    "first pass: compiled in 3.5s, second pass: 12ms",
    "GET /image?pw=120&ph=90 HTTP/1.1",
    "layout pw=1024px pw=120 pw=auto",
    "api-key authentication is not supported",
    "api-key authentication-by-certificate",
    "cache_key=users.index.page2 primary_key: id",
    "PWD: /var/www/html2",
    "private_key=/etc/ssl/private/example.key",
    "call hf_model_to_dict_and_back_again_quickly_2",
    "secret_name=database secretName: \"prod/db\"",
    "monkey=banana keyboard: qwertz12345",
    "token_type: bearer, expires_in: 3600",
    "Bearer authentication required",
    "WWW-Authenticate: Bearer realm=\"example\", error=\"invalid_token\"",
    "Authorization: Bearer [redacted]",
    "Authorization: Digest username=\"jane\", realm=\"x\"",
    "authorization: disabled",
    "Cookie: theme=dark; _ga=GA1.2.1234567890.1234567890; lang=de",
    "cookie consent given",
    "GET /password/reset HTTP/1.1",
    "GET /cookie-policy HTTP/1.1",
    "GET https://example.org:8443/@scope/package",
    "mail to jane@example.org from ops@example.org",
    "git clone git@github.com:owner/repo.git",
    "ssh://git@example.org:22/repo.git",
    "postgres://user:password@localhost/db",
    "mysql://app:****@db/shop",
    "mysql://app:${DB_PASSWORD}@db/shop",
    "Password::broker()->sendResetLink($request->only('email'))",
    "$password = $request->password",
    "identified by its number 5",
    "INSERT INTO users (name, password) VALUES (?, ?), ($1, $2), (:name, :password)",
    "INSERT INTO users (name, password) VALUES ('jane', '$2y$10$abcdefghijklmnopqrstuv'), ('joe', NULL), ('a', DEFAULT)",
    "INSERT INTO users (name, password_hash) VALUES ('jane', 'hunter2')",
    "INSERT INTO password_resets (email, created_at) VALUES ('jane@example.org', '2026-11-01')",
    "AKIAIOSFODNN7EXAMPLE is the id of the manual",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "no key between -----BEGIN RSA PRIVATE KEY----- and its end",
    "APP_KEY=",
    "APP_KEY=SomeRandomString",
    "data:image/png;base64,iVBORw0KGgo",
    "request 123e4567-e89b-12d3-a456-426614174000 token=123e4567-e89b-12d3-a456-426614174000",
    "risk-task-disk sk-ant-example",
    "eyJhbGciOiJIUzI1NiJ9.eyJub.short",
];
