//! Cutting a stream of SQL into statements where the server's own client would cut it, whatever the pieces in which it
//! comes.
//!
//! Only borders are understood: quotes, comments, delimiters, the rows of `COPY`, lines for the client. Nothing is kept
//! but the head of the statement that passes, so memory is bounded whatever the bytes are.

use memchr::{memchr, memchr2};

use super::head::{self, Kind};
use super::quoting::{self, Quoting, Tag};

/// Whose grammar it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB: backticks, backslashes, `#`, `DELIMITER`.
    Mysql,
    /// PostgreSQL: dollar quotes, nested comments, `COPY`, backslash commands.
    Postgres,
}

impl Dialect {
    /// How much of a statement is kept to tell what it is, in bytes. `COPY` is known by its end, behind the names of up to
    /// 1600 columns.
    pub(super) const fn head_limit(self) -> usize {
        match self {
            Self::Mysql => 4 << 10,
            Self::Postgres => 256 << 10,
        }
    }
}

/// The most bytes that a token may need to be told from another: a dollar quote's tag, a delimiter.
pub(super) const LOOK: usize = 128;

/// The most that is kept of a comment or of a line for the client, in bytes.
const LINE_LIMIT: usize = 1 << 10;

/// A statement that has passed.
pub(super) struct Statement<'a> {
    /// What it does.
    pub(super) kind: &'a Kind,
    /// Rows that it brings: tuples of `INSERT`, lines of `COPY`.
    pub(super) rows: u64,
    /// Its length in bytes, without the rows of `COPY`.
    pub(super) length: u64,
    /// Whether it stands under a delimiter of its own, as bodies of routines do.
    pub(super) in_block: bool,
    /// Whether it begins a line.
    pub(super) at_margin: bool,
}

/// Who listens to a [`Lexer`]. Every byte comes once and in order, by [`Visitor::text`]; the other calls stand between.
pub(super) trait Visitor {
    /// The next bytes.
    fn text(&mut self, bytes: &[u8]);
    /// A statement, or a line for the client, starts with the bytes that follow.
    fn begin(&mut self);
    /// The statement that passes is known now. Its bytes so far were told; `head` is its beginning.
    fn known(&mut self, kind: &Kind, head: &[u8]);
    /// The statement has passed, with its delimiter.
    fn end(&mut self, statement: &Statement<'_>);
    /// A line for the client itself has passed: `DELIMITER ;;`, `\connect db`.
    fn command(&mut self, line: &[u8]);
    /// A line of comment between statements has passed.
    fn comment(&mut self, line: &[u8]);
}

/// Where the lexer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Between statements.
    Between,
    /// In a statement.
    Code,
    /// In quotes that end with this byte.
    Quoted { quote: u8, escapes: bool },
    /// In a dollar quote that ends with this tag.
    Dollar(Vec<u8>),
    /// In a comment that ends with its line.
    LineComment { inside: bool },
    /// In a comment between marks, so deep.
    BlockComment { inside: bool, depth: u32 },
    /// In a line for the client.
    Command,
    /// Behind `COPY … FROM stdin;`, before its rows.
    CopyLine,
    /// At the start of a row of `COPY`.
    CopyData,
    /// Further on in such a row.
    CopyRow,
}

/// What a look at the next bytes has brought.
enum Step {
    /// So many bytes pass.
    Go(usize),
    /// A statement begins here.
    Begin,
    /// A line for the client begins here.
    BeginCommand,
    /// So many bytes pass, and with them that line.
    EndCommand(usize),
    /// So many bytes pass, and with them the statement.
    End(usize),
    /// So many bytes pass, and with them a comment between statements.
    EndComment(usize),
    /// It cannot be told without more.
    More,
}

/// Cuts a stream into statements. See the module.
pub(super) struct Lexer {
    dialect: Dialect,
    state: State,
    quoting: Quoting,
    /// Bytes that cannot be told without more.
    carry: Vec<u8>,
    head: Vec<u8>,
    kind: Option<Kind>,
    line: Vec<u8>,
    /// The last two bytes that passed.
    before: [u8; 2],
    at_margin: bool,
    depth: u64,
    groups: u64,
    rows: u64,
    length: u64,
    /// Whether nothing more comes.
    last: bool,
}

impl Lexer {
    /// A lexer at the beginning of a dump.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            state: State::Between,
            quoting: Quoting::new(dialect),
            carry: Vec::new(),
            head: Vec::new(),
            kind: None,
            line: Vec::new(),
            before: [b'\n'; 2],
            at_margin: true,
            depth: 0,
            groups: 0,
            rows: 0,
            length: 0,
            last: false,
        }
    }

    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], visitor: &mut impl Visitor) {
        while !self.carry.is_empty() && !bytes.is_empty() {
            // Joined with what follows, the bytes in doubt become certain; the rest needs no copy.
            let (doubtful, more) = (self.carry.len(), bytes.len().min(2 * LOOK));
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(&bytes[..more]);
            let done = self.run(&joined, visitor);
            if done < doubtful {
                self.carry = joined.split_off(done);
                bytes = &bytes[more..];
            } else {
                bytes = &bytes[done - doubtful..];
            }
        }
        let done = self.run(bytes, visitor);
        self.carry.extend_from_slice(&bytes[done..]);
    }

    /// Reads what is in doubt as the end. True if the stream ends between two statements.
    pub(super) fn finish(&mut self, visitor: &mut impl Visitor) -> bool {
        self.last = true;
        let rest = std::mem::take(&mut self.carry);
        self.run(&rest, visitor);
        match self.state {
            State::LineComment { inside: false } => self.tell(&Step::EndComment(0), visitor),
            State::Command => self.tell(&Step::EndCommand(0), visitor),
            _ => {}
        }
        self.state == State::Between
    }

    /// Reads until no more can be told. Returns how far it came.
    fn run(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> usize {
        let (mut at, mut told) = (0, 0);
        while at < bytes.len() {
            let step = self.step(&bytes[at..]);
            let taken = match step {
                Step::Go(taken) | Step::End(taken) | Step::EndCommand(taken) | Step::EndComment(taken) => taken,
                Step::Begin | Step::BeginCommand => 0,
                Step::More => break,
            };
            self.pass(&bytes[at..at + taken]);
            at += taken;
            if !matches!(step, Step::Go(_)) || self.is_newly_known() {
                visitor.text(&bytes[told..at]);
                told = at;
                self.tell(&step, visitor);
            }
        }
        visitor.text(&bytes[told..at]);
        at
    }

    /// Whether just enough of a statement has passed to tell what it is.
    fn is_newly_known(&self) -> bool {
        self.kind.is_none() && self.head.len() >= self.dialect.head_limit()
    }

    /// Takes note of bytes that pass. The step has set the state to that behind them.
    fn pass(&mut self, bytes: &[u8]) {
        match *bytes {
            [] => return,
            [only] => self.before = [self.before[1], only],
            [.., a, b] => self.before = [a, b],
        }
        match self.state {
            State::Code
            | State::Quoted { .. }
            | State::Dollar(_)
            | State::LineComment { inside: true }
            | State::BlockComment { inside: true, .. } => {
                self.length += bytes.len() as u64;
                add(&mut self.head, bytes, self.dialect.head_limit());
            }
            State::LineComment { inside: false } | State::Command => add(&mut self.line, bytes, LINE_LIMIT),
            State::Between
            | State::BlockComment { inside: false, .. }
            | State::CopyLine
            | State::CopyData
            | State::CopyRow => {}
        }
    }

    /// Tells the visitor what a step has brought, and goes on to the next state.
    fn tell(&mut self, step: &Step, visitor: &mut impl Visitor) {
        if self.is_newly_known() {
            self.know(visitor);
        }
        match step {
            Step::Go(_) | Step::More => {}
            Step::Begin => {
                self.begin();
                visitor.begin();
            }
            Step::BeginCommand => {
                self.line.clear();
                self.state = State::Command;
                visitor.begin();
            }
            Step::EndCommand(_) => self.end_command(visitor),
            Step::End(_) => self.end(visitor),
            Step::EndComment(_) => {
                self.state = State::Between;
                visitor.comment(self.line.trim_ascii_end());
            }
        }
    }

    fn begin(&mut self) {
        self.state = State::Code;
        self.at_margin = self.before[1] == b'\n';
        self.head.clear();
        self.kind = None;
        (self.depth, self.groups, self.rows, self.length) = (0, 0, 0, 0);
    }

    fn know(&mut self, visitor: &mut impl Visitor) {
        let kind = head::kind(&self.head, self.dialect);
        visitor.known(&kind, &self.head);
        self.kind = Some(kind);
    }

    fn end_command(&mut self, visitor: &mut impl Visitor) {
        self.state = State::Between;
        if let Some(word) = head::delimiter(&self.line) {
            self.quoting.delimit(word);
        }
        visitor.command(self.line.trim_ascii_end());
    }

    /// The delimiter has passed, or the end of the rows of `COPY`.
    fn end(&mut self, visitor: &mut impl Visitor) {
        if self.kind.is_none() {
            self.know(visitor);
        }
        let Some(kind) = &self.kind else { return };
        if self.state == State::Code && kind.has_rows_behind(&self.head, self.dialect) {
            self.state = State::CopyLine;
            return;
        }
        let rows = if self.state == State::CopyData { self.rows } else { kind.tuples(self.groups) };
        self.state = State::Between;
        self.quoting.heed(kind, &self.head);
        let in_block = self.quoting.is_in_block();
        visitor.end(&Statement { kind, rows, length: self.length, in_block, at_margin: self.at_margin });
    }

    /// Looks at what comes next.
    fn step(&mut self, rest: &[u8]) -> Step {
        match self.state {
            State::Between => self.between(rest),
            State::Code => self.code(rest),
            State::Quoted { quote, escapes } => self.quoted(rest, quote, escapes),
            State::Dollar(ref tag) => match quoting::find_tag(rest, tag, self.last) {
                Tag::Ends(taken) => self.go_on(State::Code, taken),
                Tag::Beyond(0) => Step::More,
                Tag::Beyond(taken) => Step::Go(taken),
            },
            State::LineComment { inside } => match memchr(b'\n', rest) {
                Some(at) if inside => self.go_on_code(at + 1),
                Some(at) => Step::EndComment(at + 1),
                None => Step::Go(rest.len()),
            },
            State::BlockComment { inside, depth } => self.block_comment(rest, inside, depth),
            State::Command => memchr(b'\n', rest).map_or(Step::Go(rest.len()), |at| Step::EndCommand(at + 1)),
            State::CopyLine | State::CopyRow => match memchr(b'\n', rest) {
                Some(at) => self.go_on(State::CopyData, at + 1),
                None => Step::Go(rest.len()),
            },
            State::CopyData => self.copy(rest),
        }
    }

    fn go_on(&mut self, state: State, taken: usize) -> Step {
        self.state = state;
        Step::Go(taken)
    }

    fn go_on_code(&mut self, taken: usize) -> Step {
        self.go_on(State::Code, taken)
    }

    /// Whether it takes more bytes to be sure.
    fn is_short(&self, rest: &[u8], needed: usize) -> bool {
        !self.last && rest.len() < needed
    }

    /// Between statements: white space, comments, lines for the client, and the first byte of the next statement.
    fn between(&mut self, rest: &[u8]) -> Step {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank > 0 {
            return Step::Go(blank);
        }
        if self.is_short(rest, LOOK) && !quoting::is_sure(rest, self.dialect) {
            return Step::More;
        }
        if quoting::is_line_comment(rest, self.dialect) {
            self.line.clear();
            return self.go_on(State::LineComment { inside: false }, 1);
        }
        if quoting::is_for_the_client(rest, self.dialect) {
            return Step::BeginCommand;
        }
        if quoting::is_block_comment(rest, self.dialect) {
            return self.go_on(State::BlockComment { inside: false, depth: 1 }, 2);
        }
        Step::Begin
    }

    /// In a statement, outside quotes and comments. Most of a dump passes here: strings that end within reach are passed
    /// over at once.
    fn code(&mut self, rest: &[u8]) -> Step {
        let mut at = 0;
        while let Some(next) = self.quoting.find(&rest[at..]) {
            at += next;
            match rest[at] {
                b'(' => self.open(),
                b')' => self.depth = self.depth.saturating_sub(1),
                quote @ (b'\'' | b'"' | b'`') => {
                    let escapes = self.quoting.escapes(quote, self.two_before(rest, at));
                    match quoting::string_end(&rest[at + 1..], quote, escapes) {
                        Some(length) => at += length,
                        None => return self.go_on(State::Quoted { quote, escapes }, at + 1),
                    }
                }
                _ => match self.rare(rest, at) {
                    Step::Go(0) => {}
                    step => return step,
                },
            }
            at += 1;
        }
        Step::Go(rest.len())
    }

    fn open(&mut self) {
        self.groups += u64::from(self.depth == 0);
        self.depth += 1;
    }

    /// The two bytes before a place in what comes next.
    fn two_before(&self, rest: &[u8], at: usize) -> [u8; 2] {
        match at {
            0 => self.before,
            1 => [self.before[1], rest[0]],
            _ => [rest[at - 2], rest[at - 1]],
        }
    }

    /// A byte that means something only together with its neighbours. `Go(0)` if it is a byte like any other.
    fn rare(&mut self, rest: &[u8], at: usize) -> Step {
        let here = &rest[at..];
        let delimiter = self.quoting.delimiter();
        if here.starts_with(delimiter) {
            return Step::End(at + delimiter.len());
        }
        let needed = if here[0] == b'$' { LOOK } else { delimiter.len().max(4) };
        if self.is_short(here, needed) {
            return if at == 0 { Step::More } else { Step::Go(at) };
        }
        if quoting::is_line_comment(here, self.dialect) {
            return self.go_on(State::LineComment { inside: true }, at + 1);
        }
        if quoting::is_block_comment(here, self.dialect) {
            return self.go_on(State::BlockComment { inside: true, depth: 1 }, at + 2);
        }
        match here[0] {
            b'\\' if at == 0 => Step::BeginCommand,
            b'\\' => Step::Go(at),
            b'$' => self.dollar(here, at, self.two_before(rest, at)[1]),
            _ => Step::Go(0),
        }
    }

    /// A dollar begins a quote if a tag follows and it does not go on a name.
    fn dollar(&mut self, here: &[u8], at: usize, before: u8) -> Step {
        match quoting::dollar_tag(here, self.dialect) {
            Some(tag) if !quoting::is_name(before) => self.go_on(State::Dollar(tag.to_vec()), at + tag.len()),
            _ => Step::Go(0),
        }
    }

    /// In quotes. A doubled quote ends them and begins them again, which comes to the same.
    fn quoted(&mut self, rest: &[u8], quote: u8, escapes: bool) -> Step {
        match quoting::string_end(rest, quote, escapes) {
            Some(length) => self.go_on_code(length),
            // A backslash at the end waits for what it escapes.
            None if escapes && !self.last && quoting::ends_in_escape(rest) => match rest.len() {
                1 => Step::More,
                length => Step::Go(length - 1),
            },
            None => Step::Go(rest.len()),
        }
    }

    /// In a comment between marks; only PostgreSQL's are nested.
    fn block_comment(&mut self, rest: &[u8], inside: bool, depth: u32) -> Step {
        let Some(at) = memchr2(b'*', b'/', rest) else { return Step::Go(rest.len()) };
        let Some(pair) = rest.get(at..at + 2) else {
            return if at > 0 || self.last { Step::Go(at.max(1)) } else { Step::More };
        };
        let depth = match pair {
            b"*/" => depth - 1,
            b"/*" if self.dialect == Dialect::Postgres => depth.saturating_add(1),
            _ => return Step::Go(at + 1),
        };
        let state = match depth {
            0 if inside => State::Code,
            0 => State::Between,
            _ => State::BlockComment { inside, depth },
        };
        self.go_on(state, at + 2)
    }

    /// The rows of `COPY`, a line each, up to `\.`
    fn copy(&mut self, rest: &[u8]) -> Step {
        let mut at = 0;
        while at < rest.len() {
            let line = &rest[at..];
            match quoting::copy_end(line, self.last) {
                Some(0) if at == 0 => return Step::More,
                Some(0) => return Step::Go(at),
                Some(length) => return Step::End(at + length),
                None => self.rows += 1,
            }
            match memchr(b'\n', line) {
                Some(end) => at += end + 1,
                None => return self.go_on(State::CopyRow, rest.len()),
            }
        }
        Step::Go(at)
    }
}

/// Adds what there is room for.
fn add(to: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
