//! Which literals the fast search looks for together.
//!
//! Teddy puts literals into eight buckets and compares a text with the union of each bucket's first four bytes, nibble by
//! nibble. A union that matches ordinary text costs time, since each match has to be compared with the literals. So these
//! buckets are arranged: of access logs, Laravel logs, JSON logs and changelogs, fewer than one place in a thousand matches
//! any of them, and nearly all of those are the literals themselves. In the alphabet's order it was one in a hundred.

/// How many buckets Teddy has.
pub(super) const OF_A_SEARCH: usize = 8;

/// All literals of more than one byte. The first eight buckets are of the first search, and so on. A new one takes the place
/// of one that is given up, or begins a bucket of the fourth search, which is not full.
pub(super) const BUCKETS: [[&str; 4]; 28] = [
    ["ghp_", "T3BlbkFJ", "PWD=", "glagent-"],
    ["GOCSPX-", "sig=", "ya29.", "sec_"],
    ["PRIVATE KEY", "pi-Key", "PI-KEY", "ure="],
    ["s-cli", "ECRET", "ssKey", "\"SG."],
    ["xapp-", "ASSW", "pat_", "_v1_"],
    ["t-password/", "gloas-", "glptt-", "gldt-"],
    ["ghs_", "glcbt-", "PASS=", "=SG."],
    ["CARD", "nid=", "se64:", "PIKEY"],
    ["ecret", "earer ", "glrt", "d/reset/"],
    ["--user ", "SESSI", "assw", "AGE-"],
    ["_session=", "m.org/bot", "oxp-", "p.com/api/webhooks/"],
    ["pass\"", "glpat-", "pass=", "NTIFIED "],
    ["_key", "card", "Card", "cfk_"],
    ["fut_", "piKey", "k_test_", " pw="],
    ["fat_", "npm_", "ghr_", " SG."],
    ["ypi-", "ookie", "token", "TOKEN"],
    ["pwd=", "oxe-", "gho_", "iadb"],
    ["sk-ant-", " -u ", "sk-or-v1-", "ghu_"],
    ["Token", ".eyJ", "\"pan\"", "_KEY"],
    ["pi-key", "pikey", "uthorization", "UTHORIZATION"],
    ["assp", "ysql", "ASIA", "AIza"],
    ["oxb-", "hvs.", "ks.slack", "d.com/api/webhooks/"],
    ["dentified ", "AKIA", "Key=", "key-"],
    ["OOKIE", "k_live_", "sshpass", "ASSP"],
    ["sk-proj-", "sk-svcacct-", " hf_", "=hf_"],
    ["pass:", "pass'", "pass]", "\"hf_"],
    ["pwd:", "pwd'", "pwd\"", "'hf_"],
    ["pwd]", "&pw=", "?pw=", ";pw="],
];
