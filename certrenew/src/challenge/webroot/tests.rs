use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use chrono::TimeDelta;
use shipshape_core::clock;
use shipshape_core::error::Explain;

use super::*;
use crate::challenge::tests::proof;

const TOKEN: &str = "DGyRejmCefe7v4NfDGDKfAabcdefgh";
const OTHER: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJabcd";

fn tokens(webroot: &Path) -> PathBuf {
    webroot.join(".well-known/acme-challenge")
}

fn shown(webroot: &Path, token: &str) -> Result<Box<dyn Shown>, ChallengeError> {
    show(webroot, &[proof("a.example", token)], clock::now())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// What `act` is refused with.
fn code<T>(refused: Result<T, ChallengeError>) -> &'static str {
    refused.err().map_or("it was done", |error| error.code())
}

#[test]
fn a_file_for_each_token_lies_where_authorities_ask_and_everybody_may_read_it() {
    let webroot = tempfile::tempdir().unwrap();
    let proofs = [proof("a.example", TOKEN), proof("b.example", OTHER)];
    let shown = show(webroot.path(), &proofs, clock::now()).unwrap();
    for proof in &proofs {
        let file = tokens(webroot.path()).join(&proof.token);
        assert_eq!(fs::read_to_string(&file).unwrap(), proof.key_authorization);
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o644, 0o755));
    }
    assert_eq!(fs::read_dir(tokens(webroot.path())).unwrap().count(), 2, "something else was left there");
    shown.end().unwrap();
    assert!(is_empty(webroot.path()), "what was made is gone");
}

/// What the next test runs in a process of its own: the umask is the process's, and other tests run beside it.
fn be_secretive() {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let webroot = tempfile::tempdir().unwrap();
    let shown = shown(webroot.path(), TOKEN).unwrap();
    let tokens = tokens(webroot.path());
    let modes = [mode(tokens.parent().unwrap()), mode(&tokens), mode(&tokens.join(TOKEN))];
    assert_eq!(modes, [0o755, 0o755, 0o644]);
    drop(shown);
    println!("as it should");
}

#[test]
fn the_web_server_may_read_it_whatever_our_umask_is() {
    if std::env::var_os("BE_SECRETIVE").is_some() {
        return be_secretive();
    }
    let test = "challenge::webroot::tests::the_web_server_may_read_it_whatever_our_umask_is";
    let program = std::env::current_exe().unwrap();
    let us = shipshape_core::child::Command::new(program, ["--exact", test, "--nocapture"]);
    let told = us.env("BE_SECRETIVE", "1").run().unwrap().text();
    assert!(told.contains("as it should"), "{told}");
}

#[test]
fn what_is_dropped_is_gone_and_folders_that_were_there_stay() {
    let webroot = tempfile::tempdir().unwrap();
    fs::create_dir(webroot.path().join(".well-known")).unwrap();
    drop(shown(webroot.path(), TOKEN).unwrap());
    assert!(!tokens(webroot.path()).exists());
    assert!(webroot.path().join(".well-known").is_dir());
}

#[test]
fn a_folder_of_ours_in_which_somebody_else_has_put_something_stays() {
    let webroot = tempfile::tempdir().unwrap();
    let shown = shown(webroot.path(), TOKEN).unwrap();
    fs::write(tokens(webroot.path()).join("certbots"), "x").unwrap();
    shown.end().unwrap();
    assert_eq!(fs::read_dir(tokens(webroot.path())).unwrap().count(), 1);
}

#[test]
fn a_token_that_is_a_path_is_refused_and_nothing_is_written() {
    for token in ["../../../etc/cron.d/x", "a/b", "..", "", "a.b", "a\0b", "ä", &"a".repeat(201)] {
        let webroot = tempfile::tempdir().unwrap();
        assert_eq!(code(shown(webroot.path(), token)), "challenge.token", "{token:?}");
        assert!(is_empty(webroot.path()), "{token:?} left something");
    }
}

#[test]
fn a_token_that_is_refused_takes_those_before_it_away() {
    let webroot = tempfile::tempdir().unwrap();
    let proofs = [proof("a.example", TOKEN), proof("b.example", "a/b")];
    assert_eq!(code(show(webroot.path(), &proofs, clock::now())), "challenge.token");
    assert!(is_empty(webroot.path()));
}

#[test]
fn no_link_below_the_webroot_is_followed() {
    for link in [".well-known", ".well-known/acme-challenge"] {
        let (webroot, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let link = webroot.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(elsewhere.path(), &link).unwrap();
        let error = shown(webroot.path(), TOKEN).err().unwrap();
        assert_eq!(error.code(), "challenge.link");
        assert!(error.to_string().contains(&link.display().to_string()), "{error}");
        assert!(is_empty(elsewhere.path()), "it was written to where the link leads");
    }
}

#[test]
fn a_link_that_has_a_tokens_name_is_replaced_and_not_written_through() {
    let (webroot, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(tokens(webroot.path())).unwrap();
    let target = elsewhere.path().join("passwd");
    fs::write(&target, "root").unwrap();
    symlink(&target, tokens(webroot.path()).join(TOKEN)).unwrap();
    let shown = shown(webroot.path(), TOKEN).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "root");
    assert!(tokens(webroot.path()).join(TOKEN).symlink_metadata().unwrap().is_file());
    shown.end().unwrap();
    assert!(target.exists());
}

#[test]
fn the_webroot_itself_may_be_reached_by_a_link() {
    let above = tempfile::tempdir().unwrap();
    fs::create_dir(above.path().join("www")).unwrap();
    let link = above.path().join("current");
    symlink("www", &link).unwrap();
    let shown = shown(&link, TOKEN).unwrap();
    assert!(tokens(&above.path().join("www")).join(TOKEN).is_file());
    shown.end().unwrap();
}

#[test]
fn a_webroot_that_is_not_there_is_told_with_the_way_to_make_it() {
    let above = tempfile::tempdir().unwrap();
    let (missing, file) = (above.path().join("www"), above.path().join("file"));
    fs::write(&file, "x").unwrap();
    for webroot in [&missing, &file] {
        let error = try_showing(webroot).unwrap_err();
        assert_eq!(error.code(), "challenge.webroot");
        assert!(error.hint().contains(&format!("mkdir -p {}", webroot.display())), "{}", error.hint());
    }
    assert!(!missing.exists(), "it was made unasked");
}

#[test]
fn a_file_in_the_place_of_a_folder_is_told_and_left_alone() {
    let webroot = tempfile::tempdir().unwrap();
    fs::write(webroot.path().join(".well-known"), "x").unwrap();
    let error = try_showing(webroot.path()).unwrap_err();
    assert_eq!(error.code(), "challenge.webroot");
    assert!(error.to_string().ends_with(".well-known"), "{error}");
    assert_eq!(fs::read_to_string(webroot.path().join(".well-known")).unwrap(), "x");
}

#[test]
fn a_trial_leaves_nothing_behind() {
    let webroot = tempfile::tempdir().unwrap();
    try_showing(webroot.path()).unwrap();
    assert!(is_empty(webroot.path()));
}

#[test]
fn what_is_gone_already_is_no_failure_and_what_cannot_be_removed_is_one() {
    let webroot = tempfile::tempdir().unwrap();
    let gone = shown(webroot.path(), TOKEN).unwrap();
    let file = tokens(webroot.path()).join(TOKEN);
    fs::remove_file(&file).unwrap();
    gone.end().unwrap();
    // A folder cannot be unlinked as a file can, not even by root.
    let stuck = shown(webroot.path(), TOKEN).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = stuck.end().unwrap_err();
    assert_eq!((error.code(), error.to_string().starts_with("cannot remove ")), ("challenge.webroot", true));
}

/// Puts a file among the tokens as if it had been written at this age.
fn left(webroot: &Path, name: &str, content: &str) {
    fs::create_dir_all(tokens(webroot)).unwrap();
    fs::write(tokens(webroot).join(name), content).unwrap();
}

/// Whether it is still there after a run that comes so much later.
fn survives(webroot: &Path, name: &str, later: TimeDelta) -> bool {
    let now = clock::now() + later;
    show(webroot, &[proof("a.example", TOKEN)], now).unwrap().end().unwrap();
    tokens(webroot).join(name).symlink_metadata().is_ok()
}

#[test]
fn what_a_killed_run_has_left_is_removed_by_one_that_comes_hours_later() {
    let webroot = tempfile::tempdir().unwrap();
    let content = proof("a.example", OTHER).key_authorization;
    for (name, content) in [(OTHER, content.as_str()), (".certrenew-0123", "half"), ("certrenew-trial-0123", "x")] {
        left(webroot.path(), name, content);
        assert!(survives(webroot.path(), name, TimeDelta::minutes(5)), "{name}: another run may be at work");
        assert!(!survives(webroot.path(), name, TimeDelta::hours(2)), "{name} was left");
    }
}

#[test]
fn what_others_have_put_there_stays_for_ever() {
    let foreign = [
        (OTHER, format!("{OTHER}.thumbprint-of-another-accounts-key-0123456789012")),
        (OTHER, "words of somebody else".to_owned()),
        ("short", proof("a.example", "short").key_authorization),
        ("index.html", "<html>".to_owned()),
        (".hidden", "x".to_owned()),
    ];
    for (name, content) in foreign {
        let webroot = tempfile::tempdir().unwrap();
        left(webroot.path(), name, &content);
        assert!(survives(webroot.path(), name, TimeDelta::days(900)), "{name}: {content}");
    }
    let webroot = tempfile::tempdir().unwrap();
    left(webroot.path(), "target", "x");
    symlink("target", tokens(webroot.path()).join(".certrenew-link")).unwrap();
    assert!(survives(webroot.path(), ".certrenew-link", TimeDelta::days(900)));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    if shipshape_core::machine::is_root() {
        // Root may write anywhere; what stops it as well is a file system that is read only, such as /proc's.
        let error = try_showing(Path::new("/proc/self")).unwrap_err();
        assert_eq!(error.code(), "challenge.webroot");
        assert!(error.to_string().starts_with("cannot create the folder /proc/self/.well-known"), "{error}");
        return;
    }
    let webroot = tempfile::tempdir().unwrap();
    fs::set_permissions(webroot.path(), fs::Permissions::from_mode(0o555)).unwrap();
    assert!(try_showing(webroot.path()).unwrap_err().hint().contains("namei -l"));
}
