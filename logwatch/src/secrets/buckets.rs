//! Which literals the fast search looks for, and how they are arranged for it.
//!
//! Teddy puts literals into sixteen buckets and compares a text with the union of each bucket's first three bytes, nibble by
//! nibble. Each place that matches a union is compared with the literals of that bucket, which takes as long as going through
//! some 300 bytes that match none. So anchors are short, because one serves many telltales; each is the part of its telltales
//! whose first three bytes are rarest in logs; and those share a bucket whose union matches least. This was found by simulated
//! annealing over access logs, Laravel logs, JSON logs and changelogs: of logs, about one place in 800 matches any bucket.

/// How many buckets Teddy has when it looks for more than 32 literals. Where the processor lacks 256-bit vectors it has
/// eight, and finds the same.
pub(super) const OF_A_SEARCH: usize = 16;

/// One of these is part of each telltale of more than a byte. Teddy deals literals to its buckets in turn, but for those that
/// differ from an earlier one in high nibbles only, as upper from lower case: they follow it, wherever they stand here. A new
/// anchor takes the place of one that is given up; all places are taken, since a part of a row would shift all that follow.
pub(super) const ANCHORS: [[&str; 6]; OF_A_SEARCH] = [
    ["cfut_", "ghp_", "ghu_", "ghs_", "shpat_", "hvs."],
    ["KEY", "AIza", "OCSPX-", "SG.", "PASS", "hooks/"],
    ["ey-", "xox", "eyJ", "horization", "OOKIE", "HORIZATION"],
    ["ecret", "AKIA", "ASIA", "bkFJ", "hf_", "ESSI"],
    ["oken", "ikey", "hooks.slack", "okie", "_key", "iKey"],
    ["tKey=", "_live_", "_session=", "t.sid=", "glsoat-", "ECRET"],
    ["Token", "cfk_", "cfat_", "IFIED ", "iban", "TOKEN"],
    ["\"-p", "'-p", " -u ", "--user ", " -p", " -a"],
    ["pwd", "k_test_", "pypi-", "hvb.", "PWD", "Pwd"],
    ["i-key", "sig=", "glft-", "se64:", "i-Key", "whsec_"],
    ["ghr_", "glpat-", "glrt", "glcbt-", "npm_", "glptt-"],
    ["gho_", "gldt-", "gloas-", "glagent-", "glimt-", "nid="],
    ["ya29.", "_v1_", "_pat_", "pw=", "pan\"", "shpss_"],
    ["/bot", "earer ", "card", "Card", "CARD", "shppa_"],
    ["pass", "AGE-", "xapp-", ":AA", "_AUTH=", "Pass"],
    ["sKey", "sk-", "ure=", "ified ", "IBAN", "shpca_"],
];
