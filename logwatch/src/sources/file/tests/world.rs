//! A writer of numbered lines, whatever rotates its log, and runs that are killed.

use super::*;

/// A writer and a logrotate, in all their ways, and what was written.
struct World {
    log: Log,
    writer: File,
    ways: Ways,
    /// Everything that was written, in order.
    written: Vec<u8>,
    number: usize,
    /// What is missing of the line that is being written.
    unwritten: Vec<u8>,
    rotations: usize,
    /// What was read by runs that were committed.
    read: Vec<u8>,
    gaps: Vec<Gap>,
    /// Whether a gap was told since the last number came.
    is_told: bool,
}

/// What does not change while a log lives.
#[derive(Clone, Copy, Debug)]
struct Ways {
    is_dated: bool,
    /// Whether the writer says with each write that it goes to the end.
    appends: bool,
    /// Whether each generation begins with the same long line.
    has_banner: bool,
    /// How many generations are kept.
    kept: usize,
}

/// More generations than any test makes.
const ALL: usize = 60;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many lines, the last one only in part if the second number is not 0.
    Write(usize, usize),
    Rotate {
        how: How,
        packs: Packs,
        run: Option<usize>,
    },
    /// The writer opens the file that has the log's name, as it is asked to behind a rotation.
    Reopen,
    Run,
    /// A run that dies before it has committed.
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Rename,
    /// Renamed, and the writer makes the new file when it is asked to.
    RenameWithoutFile,
    /// Renamed, and the writer goes on in the old file until it is asked to reopen.
    RenameSlowly,
    Copy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packs {
    Nothing,
    Older,
    All,
}

impl World {
    fn new(ways: Ways) -> Self {
        let log = Log::with("");
        let writer = open_writer(&log.path, ways);
        let (written, unwritten, read) = Default::default();
        let (number, rotations, gaps) = (0, 0, Vec::new());
        Self { log, writer, ways, written, number, unwritten, rotations, read, gaps, is_told: false }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(lines, part) => self.write(lines, part),
            Step::Rotate { how, packs, run } => self.rotate(how, packs, run),
            Step::Reopen => self.writer = open_writer(&self.log.path, self.ways),
            Step::Run => self.run(),
            Step::Crash => drop(self.look()),
        }
    }

    fn write(&mut self, lines: usize, part: usize) {
        // That somebody wrote into a generation which was read to its end, and then deleted, nobody can know.
        if self.ways.kept < ALL {
            self.take(Step::Reopen);
        }
        let mut text = std::mem::take(&mut self.unwritten);
        let is_new = self.writer.metadata().unwrap().len() == 0;
        // With nothing but it, two generations could not be told apart by anybody.
        if is_new && self.ways.has_banner && text.is_empty() && lines > 0 {
            text.extend(b"the same first line ".repeat(60));
            text.push(b'\n');
        }
        for _ in 0..lines {
            self.number += 1;
            let number = format!("{:05}", self.number);
            text.extend(format!("<{number}:{}>\n", number.repeat(6 + self.number * 7 % 80)).bytes());
        }
        let part = text.len() - part.min(text.len().saturating_sub(1));
        self.unwritten = text.split_off(part);
        // Of a few bytes nobody can say whether they are those that were there before.
        if text.len() < 16 {
            text.append(&mut self.unwritten);
            self.unwritten = text;
            return;
        }
        self.writer.write_all(&text).unwrap();
        self.written.extend(text);
    }

    /// In the steps of logrotate; before the one that is given, there is a run.
    fn rotate(&mut self, how: How, packs: Packs, run: Option<usize>) {
        // Nobody rotates again before the writer has left the last generation.
        self.take(Step::Reopen);
        self.rotations += 1;
        let name = if self.ways.is_dated { format!("-{}", 20_260_000 + self.rotations) } else { ".1".to_owned() };
        let run_before = |world: &mut Self, step| {
            if run == Some(step) {
                world.run();
            }
        };
        self.shift();
        run_before(self, 0);
        if packs != Packs::Nothing {
            self.generations()
                .into_iter()
                .filter(|name| !siblings::is_packed(Path::new(name)))
                .for_each(|name| self.pack(&name, run == Some(1)));
        }
        run_before(self, 2);
        if how == How::Copy {
            fs::copy(&self.log.path, self.log.name(&name)).unwrap();
            run_before(self, 3);
            self.writer.set_len(0).unwrap();
        } else {
            self.log.rename("", &name);
            run_before(self, 3);
        }
        run_before(self, 4);
        match how {
            How::Rename => self.take(Step::Reopen),
            How::RenameSlowly => drop(open_writer(&self.log.path, self.ways)),
            How::RenameWithoutFile if packs == Packs::All => self.take(Step::Reopen),
            How::RenameWithoutFile | How::Copy => {}
        }
        run_before(self, 5);
        if packs == Packs::All && how != How::RenameSlowly {
            self.pack(&name, run == Some(6));
        }
        let generations = self.generations();
        for old in &generations[..generations.len().saturating_sub(self.ways.kept)] {
            self.log.remove(old);
        }
    }

    /// All generations one further, where they are counted.
    fn shift(&mut self) {
        for name in self.generations() {
            if let Some((number, packed)) =
                name[1..].split_once(".gz").map(|(n, _)| (n, ".gz")).or(Some((&name[1..], "")))
                && !self.ways.is_dated
            {
                let number: usize = number.parse().unwrap();
                self.log.rename(&name, &format!(".{}{packed}", number + 1));
            }
        }
    }

    fn pack(&mut self, name: &str, with_runs: bool) {
        let packed = gz(&fs::read(self.log.name(name)).unwrap());
        if with_runs {
            fs::write(self.log.name(&format!("{name}.gz")), &packed[..packed.len() / 2]).unwrap();
            self.run();
        }
        self.log.pack(name);
        if with_runs {
            self.run();
        }
    }

    /// The suffixes of older generations, oldest first.
    fn generations(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.log.dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut suffixes: Vec<String> =
            names.filter_map(|name| Some(name.strip_prefix("app.log")?.to_owned())).collect();
        suffixes.retain(|suffix| !suffix.is_empty());
        let number = |suffix: &String| suffix.trim_end_matches(".gz")[1..].parse::<i64>().unwrap();
        suffixes.sort_by_key(|suffix| if self.ways.is_dated { number(suffix) } else { -number(suffix) });
        suffixes
    }

    fn look(&mut self) -> Option<(Seen, Cursor)> {
        let looked = self.log.look();
        if !self.log.path.exists() && matches!(looked, Err(SourceError::File(FileError::Missing { .. }))) {
            return None;
        }
        let (mut seen, cursor) = looked.unwrap();
        // A writer that does not append leaves holes when its file is truncated.
        seen.bytes.retain(|byte| *byte != 0);
        Some((seen, cursor))
    }

    fn run(&mut self) {
        let Some((seen, cursor)) = self.look() else { return };
        self.log.cursor = Some(cursor);
        if self.ways.kept < ALL {
            self.check_jump(&seen);
        }
        self.gaps.extend(seen.gaps.clone());
        self.is_told = !seen.gaps.is_empty() || (self.is_told && numbers(&seen.bytes).is_empty());
        self.read.extend(seen.bytes);
    }

    /// Numbers only grow, and where some are missing, that is told by the run that has seen it.
    fn check_jump(&self, seen: &Seen) {
        let mut last = numbers(&self.read).pop().unwrap_or(0);
        for number in numbers(&seen.bytes) {
            assert!(number > last, "{number} came behind {last}");
            let is_told = self.is_told || !seen.gaps.is_empty();
            assert!(number == last + 1 || is_told, "{number} came behind {last}, and no gap was told");
            last = number;
        }
    }

    /// Everything is written, and the log is read to its end.
    fn finish(&mut self) {
        self.take(Step::Reopen);
        self.write(1, 0);
        self.run();
        self.run();
    }
}

fn open_writer(path: &Path, ways: Ways) -> File {
    let mut file = OpenOptions::new().create(true).append(ways.appends).write(true).open(path).unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    file
}

/// The numbers of whole lines.
fn numbers(bytes: &[u8]) -> Vec<usize> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let whole = lines.filter_map(|line| line.strip_prefix(b"<")?.strip_suffix(b">"));
    whole.filter_map(|line| str::from_utf8(line.get(..5)?).ok()?.parse().ok()).collect()
}

fn ways(kept: impl Strategy<Value = usize>) -> impl Strategy<Value = Ways> {
    (any::<bool>(), any::<bool>(), any::<bool>(), kept).prop_map(|(is_dated, appends, has_banner, kept)| Ways {
        is_dated,
        appends,
        has_banner,
        kept,
    })
}

fn step(part: impl Strategy<Value = usize>) -> impl Strategy<Value = Step> {
    let how = prop::sample::select(&[How::Rename, How::RenameWithoutFile, How::RenameSlowly, How::Copy, How::Copy][..]);
    let packs = prop::sample::select(&[Packs::Nothing, Packs::Older, Packs::All][..]);
    let run = prop::option::weighted(0.4, 0..7_usize);
    let part = prop_oneof![Just(0), part];
    prop_oneof![
        5 => (0..6_usize, part).prop_map(|(lines, part)| Step::Write(lines, part)),
        3 => (how, packs, run).prop_map(|(how, packs, run)| Step::Rotate { how, packs, run }),
        1 => Just(Step::Reopen),
        3 => Just(Step::Run),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_read_exactly_once_whatever_is_rotated_and_whoever_dies(
        ways in ways(Just(ALL)), steps in prop::collection::vec(step(0..30_usize), 1..30), lines in 0..3_usize,
    ) {
        let mut world = World::new(ways);
        world.write(lines, 0);
        world.run();
        for step in steps {
            world.take(step);
        }
        world.finish();
        // Of a log that was empty at first nobody can say whether there was something before what is there.
        world.gaps.retain(|gap| lines > 0 || !gap.why.contains("perhaps more than once"));
        prop_assert!(world.gaps.is_empty(), "{:?}", world.gaps);
        prop_assert!(world.read == world.written, "read {} bytes of {}, lines {:?}", world.read.len(), world.written.len(), numbers(&world.read));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_deleted_before_it_was_read_is_a_gap_and_nothing_is_read_twice(
        ways in ways(1..4_usize), steps in prop::collection::vec(step(Just(0)), 1..30), copies: bool,
    ) {
        let mut world = World::new(ways);
        world.write(2, 0);
        world.run();
        for step in steps {
            world.take(match step {
                // Nobody changes between these two ways, and deletes besides what came of them.
                Step::Rotate { packs, run, .. } if copies => Step::Rotate { how: How::Copy, packs, run },
                Step::Rotate { how: How::Copy, packs, run } => Step::Rotate { how: How::Rename, packs, run },
                other => other,
            });
        }
        world.finish();
        let last = numbers(&world.read).pop();
        prop_assert!(last == Some(world.number), "the last line is {:?}, and not {}", last, world.number);
    }
}
