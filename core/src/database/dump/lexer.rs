//! Cutting a stream of SQL into statements exactly where the server's own client would cut it, whatever the pieces are
//! in which it comes.
//!
//! Only the borders are understood: quotes, comments, delimiters, data of `COPY`, lines for the client. Nothing is kept
//! but the head of the statement that is passing, so memory is bounded whatever the bytes are.

use memchr::{memchr, memchr2};

use super::head::{self, Kind, Verb};
use super::quoting::{self, Quoting};

/// Whose grammar it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB: backticks, backslashes, `#`, `DELIMITER`.
    Mysql,
    /// PostgreSQL: dollar quotes, nested comments, `COPY`, backslash commands.
    Postgres,
}

impl Dialect {
    /// How much of a statement is kept for telling what it is, in bytes. `COPY` is known by its end, behind the list of
    /// up to 1600 columns.
    const fn head_limit(self) -> usize {
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
}

/// Who listens to a [`Lexer`]. Every byte comes exactly once, by [`Visitor::text`]; the other calls stand between them.
pub(super) trait Visitor {
    /// The next bytes, in order.
    fn text(&mut self, bytes: &[u8]);
    /// A statement starts with the bytes that follow.
    fn begin(&mut self);
    /// The statement that is passing is now known; some of its bytes have been told.
    fn known(&mut self, kind: &Kind, head: &[u8]);
    /// The statement has passed, with its delimiter.
    fn end(&mut self, statement: &Statement<'_>);
    /// A line for the client itself has passed: `DELIMITER ;;`, `\connect db`. Told after its bytes, which began with
    /// [`Visitor::begin_command`].
    fn command(&mut self, line: &[u8]);
    /// A line for the client starts with the bytes that follow.
    fn begin_command(&mut self);
    /// A comment between statements has passed: a line of it, without its end.
    fn comment(&mut self, line: &[u8]);
}

/// Where the lexer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Between statements.
    Between,
    /// In a statement.
    Code,
    /// In quotes, which end with this byte.
    Quoted { quote: u8, escapes: bool },
    /// In a dollar quote, which ends with this tag.
    Dollar(Vec<u8>),
    /// In a comment to the end of the line.
    LineComment { inside: bool },
    /// In a comment between marks, so deep.
    BlockComment { inside: bool, depth: u32 },
    /// In a line for the client. Within a statement, it goes on after it.
    Command { inside: bool },
    /// Behind `COPY … FROM stdin;`, up to the end of the line.
    CopyLine,
    /// At the start of a line of `COPY` data.
    CopyData,
    /// Further on in such a line.
    CopyRow,
}

/// What a look at the next bytes has brought.
enum Step {
    /// So many bytes belong to what there is.
    Go(usize),
    /// A statement begins here.
    Begin,
    /// A line for the client begins here.
    BeginCommand,
    /// So many bytes end the line for the client.
    EndCommand(usize),
    /// So many bytes end the statement.
    End(usize),
    /// So many bytes end a comment between statements.
    EndComment(usize),
    /// It cannot be told without more.
    More,
}

/// Cuts a stream into statements. See the module.
pub(super) struct Lexer {
    dialect: Dialect,
    state: State,
    quoting: Quoting,
    /// Bytes that could not be told without more.
    carry: Vec<u8>,
    head: Vec<u8>,
    kind: Option<Kind>,
    line: Vec<u8>,
    /// The last two bytes that passed.
    before: [u8; 2],
    depth: u64,
    groups: u64,
    rows: u64,
    length: u64,
    /// Whether the input is over.
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
            depth: 0,
            groups: 0,
            rows: 0,
            length: 0,
            last: false,
        }
    }

    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], visitor: &mut impl Visitor) {
        if !self.carry.is_empty() {
            // Joined with what follows, the bytes that were in doubt are certain; the rest needs no copy.
            let (doubtful, more) = (self.carry.len(), bytes.len().min(2 * LOOK));
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(&bytes[..more]);
            let done = self.run(&joined, visitor);
            if done < doubtful {
                joined.drain(..done);
                self.carry = joined;
                return self.feed_on(&bytes[more..], visitor);
            }
            bytes = &bytes[done - doubtful..];
        }
        let done = self.run(bytes, visitor);
        self.carry = bytes[done..].to_vec();
    }

    /// What is left after a piece that brought no certainty: nothing, unless the piece was longer than any token.
    fn feed_on(&mut self, bytes: &[u8], visitor: &mut impl Visitor) {
        if !bytes.is_empty() {
            self.feed(bytes, visitor);
        }
    }

    /// Reads what is still in doubt as the end. True if the stream ends between two statements.
    pub(super) fn finish(&mut self, visitor: &mut impl Visitor) -> bool {
        self.last = true;
        let rest = std::mem::take(&mut self.carry);
        self.run(&rest, visitor);
        match self.state {
            State::LineComment { inside: false } => {
                visitor.comment(&self.line);
                true
            }
            State::Command { inside: false } => {
                self.end_command(visitor);
                true
            }
            _ => self.state == State::Between,
        }
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
            if self.must_tell(&step) {
                visitor.text(&bytes[told..at]);
                told = at;
            }
            self.tell(&step, visitor);
        }
        visitor.text(&bytes[told..at]);
        at
    }

    /// Whether the visitor must have had all bytes so far before it hears of what comes.
    fn must_tell(&self, step: &Step) -> bool {
        !matches!(step, Step::Go(_)) || self.is_newly_known()
    }

    /// Whether enough of a statement has passed to tell what it is.
    fn is_newly_known(&self) -> bool {
        self.kind.is_none() && self.head.len() >= self.dialect.head_limit()
    }

    /// Takes note of bytes that pass.
    fn pass(&mut self, bytes: &[u8]) {
        match *bytes {
            [] => return,
            [only] => self.before = [self.before[1], only],
            [.., a, b] => self.before = [a, b],
        }
        if self.is_in_statement() {
            self.length += bytes.len() as u64;
            let room = self.dialect.head_limit().saturating_sub(self.head.len());
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if matches!(self.state, State::LineComment { .. } | State::Command { .. }) {
            let room = LINE_LIMIT.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Whether the bytes belong to a statement.
    fn is_in_statement(&self) -> bool {
        match self.state {
            State::Code | State::Quoted { .. } | State::Dollar(_) => true,
            State::LineComment { inside } | State::BlockComment { inside, .. } => inside,
            State::Between | State::Command { .. } | State::CopyLine | State::CopyData | State::CopyRow => false,
        }
    }

    /// Tells the visitor what a step has brought, and goes to the next state.
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
                self.state = State::Command { inside: self.state == State::Code };
                visitor.begin_command();
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
        let Some(word) = head::delimiter(&self.line) else {
            self.state = if self.state == (State::Command { inside: true }) { State::Code } else { State::Between };
            return visitor.command(self.line.trim_ascii_end());
        };
        self.quoting.delimit(word);
        self.state = State::Between;
        visitor.command(self.line.trim_ascii_end());
    }

    /// The delimiter has passed: the statement is over, unless the rows of a `COPY` follow it.
    fn end(&mut self, visitor: &mut impl Visitor) {
        if self.kind.is_none() {
            self.know(visitor);
        }
        let Some(kind) = &self.kind else { return };
        if self.state == State::Code && kind.reads_rows(&self.head) {
            self.state = State::CopyLine;
            return;
        }
        let copied = self.state != State::Code;
        let rows = if copied { self.rows } else { kind.rows(self.groups) };
        self.state = State::Between;
        if kind.verb == Verb::Set {
            self.quoting.heed(&self.head);
        }
        visitor.end(&Statement { kind, rows, length: self.length });
    }

    /// Looks at what comes next.
    fn step(&mut self, rest: &[u8]) -> Step {
        match &self.state {
            State::Between => self.between(rest),
            State::Code => self.code(rest),
            &State::Quoted { quote, escapes } => self.quoted(rest, quote, escapes),
            State::Dollar(_) => self.dollar(rest),
            State::LineComment { inside } => match (memchr(b'\n', rest), inside) {
                (Some(at), true) => self.go_on(State::Code, at),
                (Some(at), false) => Step::EndComment(at + 1),
                (None, _) => Step::Go(rest.len()),
            },
            &State::BlockComment { inside, depth } => self.block_comment(rest, inside, depth),
            State::Command { .. } => match memchr(b'\n', rest) {
                Some(at) => Step::EndCommand(at + 1),
                None => Step::Go(rest.len()),
            },
            State::CopyLine => match memchr(b'\n', rest) {
                Some(at) => self.go_on(State::CopyData, at + 1),
                None => Step::Go(rest.len()),
            },
            State::CopyData => self.copy_data(rest),
            State::CopyRow => match memchr(b'\n', rest) {
                Some(at) => self.go_on(State::CopyData, at + 1),
                None => Step::Go(rest.len()),
            },
        }
    }

    /// So many bytes still belong to the old state's end or the new one's start: none of them needs another look.
    fn go_on(&mut self, state: State, taken: usize) -> Step {
        self.state = state;
        Step::Go(taken)
    }

    /// Whether too few bytes are left to tell a token of that length.
    fn is_short(&self, rest: &[u8], needed: usize) -> bool {
        !self.last && rest.len() < needed
    }

    /// Between statements: white space, comments, lines for the client, and the first byte of the next statement.
    fn between(&mut self, rest: &[u8]) -> Step {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank > 0 {
            return Step::Go(blank);
        }
        if self.is_short(rest, LOOK) && !self.is_plain_word(rest) {
            return Step::More;
        }
        if let Some(length) = quoting::line_comment(rest, self.dialect) {
            self.line.clear();
            self.line.extend_from_slice(&rest[..length]);
            return self.go_on_commenting(State::LineComment { inside: false }, length);
        }
        if quoting::is_client_line(rest, self.dialect) {
            return Step::BeginCommand;
        }
        match quoting::opens_comment(rest, self.dialect) {
            true => self.go_on(State::BlockComment { inside: false, depth: 1 }, 2),
            false => Step::Begin,
        }
    }

    /// The mark of a comment is in its line already: it must not be noted again as it passes.
    fn go_on_commenting(&mut self, state: State, length: usize) -> Step {
        self.line.clear();
        self.go_on(state, length)
    }

    /// Whether a few bytes are enough to see that they begin a statement.
    fn is_plain_word(&self, rest: &[u8]) -> bool {
        rest[0].is_ascii_alphabetic() && !quoting::may_be_delimiter(rest, self.dialect) || rest[0] == b'('
    }

    /// In a statement, outside quotes and comments.
    fn code(&mut self, rest: &[u8]) -> Step {
        let Some(at) = self.quoting.find(rest) else { return Step::Go(rest.len()) };
        // The bytes before are plain; the special one is looked at with its neighbours next time.
        if at > 0 {
            self.note_before(&rest[..at]);
        }
        match self.special(&rest[at..]) {
            Step::More if at > 0 => Step::Go(at),
            Step::More => Step::More,
            Step::Go(taken) => Step::Go(at + taken),
            Step::End(taken) => Step::End(at + taken),
            Step::BeginCommand if at > 0 => Step::Go(at),
            other => other,
        }
    }

    fn note_before(&mut self, plain: &[u8]) {
        match *plain {
            [] => {}
            [only] => self.before = [self.before[1], only],
            [.., a, b] => self.before = [a, b],
        }
    }

    /// A byte that may change the state.
    fn special(&mut self, rest: &[u8]) -> Step {
        match rest[0] {
            b'(' => self.open(),
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                Step::Go(1)
            }
            b'\'' => {
                let escapes = self.quoting.escapes(self.before);
                self.go_on(State::Quoted { quote: b'\'', escapes }, 1)
            }
            quote @ (b'"' | b'`') => {
                let escapes = quote == b'"' && self.dialect == Dialect::Mysql && self.quoting.escapes(self.before);
                self.go_on(State::Quoted { quote, escapes }, 1)
            }
            _ => self.rarely_special(rest),
        }
    }

    fn open(&mut self) -> Step {
        self.groups += u64::from(self.depth == 0);
        self.depth += 1;
        Step::Go(1)
    }

    /// Bytes that need a look at their neighbours.
    fn rarely_special(&mut self, rest: &[u8]) -> Step {
        let delimiter = self.quoting.delimiter();
        if rest.starts_with(delimiter) {
            return Step::End(delimiter.len());
        }
        let needed = if rest[0] == b'$' || rest[0] == b'\n' { LOOK } else { delimiter.len().max(4) };
        if self.is_short(rest, needed) {
            return Step::More;
        }
        if let Some(length) = quoting::line_comment(rest, self.dialect) {
            return self.go_on(State::LineComment { inside: true }, length);
        }
        if quoting::opens_comment(rest, self.dialect) {
            return self.go_on(State::BlockComment { inside: true, depth: 1 }, 2);
        }
        self.rarest(rest)
    }

    fn rarest(&mut self, rest: &[u8]) -> Step {
        match rest[0] {
            b'$' if self.dialect == Dialect::Postgres && !quoting::is_name(self.before[1]) => {
                match quoting::dollar_tag(rest) {
                    Some(tag) => self.go_on(State::Dollar(tag.to_vec()), tag.len()),
                    None => Step::Go(1),
                }
            }
            b'\\' => Step::BeginCommand,
            b'\n' if quoting::is_client_line(&rest[1..], self.dialect) => Step::Go(1),
            _ => Step::Go(1),
        }
    }

    /// In quotes. A doubled quote ends them and begins them again, which comes to the same.
    fn quoted(&mut self, rest: &[u8], quote: u8, escapes: bool) -> Step {
        let found = if escapes { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
        match found {
            None => Step::Go(rest.len()),
            Some(at) if rest[at] == quote => self.go_on_behind(at + 1),
            Some(at) if at + 1 < rest.len() => Step::Go(at + 2),
            Some(0) if self.last => Step::Go(1),
            Some(0) => Step::More,
            Some(at) => Step::Go(at),
        }
    }

    fn go_on_behind(&mut self, taken: usize) -> Step {
        self.state = State::Code;
        Step::Go(taken)
    }
}
