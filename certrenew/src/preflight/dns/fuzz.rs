//! Fuzz target of answers of name servers.

use shipshape_fuzzing::fuzz;
use simple_dns::TYPE;

use super::message::{Caa, Fit, Question, Size};
use super::servers;

#[test]
fn an_answer_is_understood_or_refused() {
    let question = || Question::new("www.a.test", TYPE::CAA).unwrap();
    let asked = question().bytes(7, Size::Extended).unwrap();
    // The header and question of our own, turned into an answer with one record behind it.
    let mut answer = question().bytes(7, Size::Plain).unwrap();
    answer[2] |= 0x80;
    answer[7] = 1;
    let caa = [&answer[..], b"\xc0\x0c\x01\x01\0\x01\0\0\0\x3c\0\x16\x80\x05issueletsencrypt.org"].concat();
    let alias = [&answer[..], b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0c"].concat();
    fuzz(&[&asked, &answer, &caa, &alias], |bytes| {
        let question = question();
        let fit = question.fit(7, bytes);
        assert!(fit == Fit::Foreign || bytes.starts_with(&[0, 7]), "the answer to another question");
        if fit == Fit::Whole {
            let _ = question.reply(bytes, ([127, 0, 0, 1], 53).into(), Caa::of);
        }
        assert!(servers(&String::from_utf8_lossy(bytes)).len() <= bytes.len());
    });
}
