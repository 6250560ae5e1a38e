//! From files to files: readers decode ahead of the model, writers encode behind it. Images reach the
//! model in their order; a budget of pixels bounds what is under way.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use super::budget::{Budget, CloseAtEnd, CloseAtPanic, Share};
use super::compute::TiledPredictor;
use super::jobs::{Job, Task};
use super::report::{Outcome, Report};
use super::stack::Stack;
use crate::data::join;
use crate::formats::image_file::{
    Album, Format, ImageFile, ImagePlace, ImageProblem, Loss, MOST_PIXELS, Opened,
};
use crate::system::atomic;
use crate::system::interrupt;
use crate::system::output_folder;
use crate::system::ranks::cores;

/// Pixels that are under way at most: in the queues, at the model, and with the writers.
const BUDGET: usize = 1 << 25;
/// What an image counts for beside its pixels.
const EACH: usize = 1 << 16;
/// Images that are computed together, at most.
const WINDOW: usize = 64;
/// Threads that read, and as many that write, at most.
const MOST_THREADS: usize = 4;

/// Makes a file's bytes of an image as the model saw it and the model's output, and says what they lack.
pub type Rendering = fn(&ImageFile, ImageFile, Format) -> Result<(Vec<u8>, Vec<Loss>), String>;

/// Of which file an image is.
#[derive(Clone)]
struct Origin<'a> {
    /// Among the jobs.
    index: usize,
    /// The pages of a file that has several, and which of them it is.
    page: Option<(Arc<Stack<Option<Share<'a>>>>, usize)>,
    /// What the file holds beside, which is left out.
    losses: Vec<Loss>,
}

/// An image on its way to the model.
struct Loaded<'a> {
    origin: Origin<'a>,
    image: Result<ImageFile, String>,
    share: Option<Share<'a>>,
}

/// An output on its way to its file.
struct Computed<'a> {
    origin: Origin<'a>,
    image: ImageFile,
    output: ImageFile,
    result: PathBuf,
    format: Format,
    share: Option<Share<'a>>,
}

/// Works the jobs off and tells of each; an interruption leaves the rest.
/// Results go to `out` and to folders below it, which are made.
pub fn run(
    jobs: &[Job],
    out: &Path,
    predictor: &mut TiledPredictor<'_>,
    render: Rendering,
    report: &mut Report,
) {
    let budget = Budget::new(BUDGET);
    let threads = cores().min(MOST_THREADS);
    let turn = Mutex::new(Turn::of(jobs, predictor.growth()));
    let (to_write, computed) = channel::<Computed<'_>>();
    let computed = Mutex::new(computed);
    for (index, job) in jobs.iter().enumerate() {
        if let Some(outcome) = settled(&job.task) {
            report.add(index, &job.image, outcome);
        }
    }
    thread::scope(|scope| {
        let (sender, loaded) = channel();
        let (finished, outcomes) = channel();
        let mut at_work = Vec::new();
        for _ in 0..threads {
            let (sender, finished) = (sender.clone(), finished.clone());
            at_work.push(start(scope, "reader", || {
                let _closing = CloseAtPanic(&budget);
                read_all(&turn, &budget, sender);
            }));
            at_work.push(start(scope, "writer", || {
                let _closing = CloseAtPanic(&budget);
                write_all(&computed, out, render, finished);
            }));
        }
        drop((sender, finished));
        let closing = CloseAtEnd(&budget);
        let mut queue = Queue { loaded, early: BTreeMap::new(), next: 0 };
        compute_all(jobs, predictor, &mut queue, to_write, &outcomes, report);
        drop(closing);
        for (index, outcome) in outcomes {
            report.add(index, &jobs[index].image, outcome);
        }
        join(at_work);
    });
}

fn start<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> ScopedJoinHandle<'scope, ()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn_scoped(scope, work).expect("not enough memory for a thread")
}

/// What needs no work.
fn settled(task: &Task) -> Option<Outcome> {
    match task {
        Task::Write(..) => None,
        Task::Keep(result) => Some(Outcome::Kept(result.clone())),
        Task::Refuse(sentence) => Some(Outcome::Failed(sentence.clone())),
    }
}

/// The images that have to be read, in their order.
struct Turn<'a, 'j> {
    jobs: std::iter::Enumerate<std::slice::Iter<'j, Job>>,
    /// Of the file that is being read, where it has several.
    pages: VecDeque<(Origin<'a>, ImagePlace, usize)>,
    /// Images that were taken.
    taken: usize,
    /// How many times as many values results have as their images, at most.
    growth: u64,
}

/// An image that is to be read, and how many pixels it has.
struct ToRead<'a> {
    place: usize,
    origin: Origin<'a>,
    source: Result<(Source, usize), String>,
}

enum Source {
    /// The only image of a file.
    Album(Box<Album<Opened>>),
    Page(ImagePlace),
}

impl<'a, 'j> Turn<'a, 'j> {
    fn of(jobs: &'j [Job], growth: u64) -> Self {
        Self { jobs: jobs.iter().enumerate(), pages: VecDeque::new(), taken: 0, growth }
    }

    /// The next image. A page of a file that was given up is none.
    fn next(&mut self) -> Option<ToRead<'a>> {
        let broken = |(origin, ..): &(Origin<'_>, ImagePlace, usize)| {
            origin.page.as_ref().is_some_and(|(stack, _)| stack.is_broken())
        };
        while self.pages.front().is_some_and(broken) {
            self.pages.pop_front();
        }
        if let Some((origin, place, pixels)) = self.pages.pop_front() {
            return Some(self.take(origin, Ok((Source::Page(place), pixels))));
        }
        let (index, path, format) =
            self.jobs.by_ref().find_map(|(index, job)| match &job.task {
                Task::Write(_, format) => Some((index, job.image.as_path(), *format)),
                _ => None,
            })?;
        match self.open(index, path, format) {
            Ok(Some((origin, album, pixels))) => {
                Some(self.take(origin, Ok((Source::Album(album), pixels))))
            }
            Ok(None) => self.next(),
            Err(sentence) => {
                Some(self.take(Origin { index, page: None, losses: Vec::new() }, Err(sentence)))
            }
        }
    }

    fn take(&mut self, origin: Origin<'a>, source: Result<(Source, usize), String>) -> ToRead<'a> {
        self.taken += 1;
        ToRead { place: self.taken - 1, origin, source }
    }

    /// Looks into a file: its only image, or `None` where its pages are now in the queue.
    #[expect(clippy::type_complexity, reason = "it is read at one place")]
    fn open(
        &mut self,
        index: usize,
        path: &Path,
        format: Format,
    ) -> Result<Option<(Origin<'a>, Box<Album<Opened>>, usize)>, String> {
        let words = |problem: ImageProblem| problem.to_string();
        let mut album = Album::open(path).map_err(words)?;
        let left_out = album.left_out().into_iter().filter(|(_, count)| *count > 0);
        let losses: Vec<Loss> = left_out.map(|(loss, _)| loss).collect();
        let pages = album.pages();
        if pages.is_empty() {
            let (height, width) = album.measure(0, MOST_PIXELS).map_err(words)?;
            return Ok(Some((
                Origin { index, page: None, losses },
                Box::new(album),
                height * width,
            )));
        }
        if !path.is_file() {
            return Err(format!(
                "it comes through a pipe and has {} pages, which are not read at once; save it as a file",
                pages.len()
            ));
        }
        if format == Format::Png {
            return Err(format!(
                "it has {} pages and its result is a PNG, which holds one image; name it .tif, and \
                 leave --compare out",
                pages.len()
            ));
        }
        let stack = Arc::new(Stack::new(
            pages.len(),
            album.most_bytes().saturating_mul(self.growth),
            losses,
        ));
        self.pages.extend(pages.into_iter().map(|page| {
            let page_of = Some((Arc::clone(&stack), page.number));
            let origin = Origin { index, page: page_of, losses: Vec::new() };
            let place = ImagePlace { path: path.to_owned(), page: Some(page) };
            (origin, place, page.pixels())
        }));
        Ok(None)
    }
}

/// Takes images in turn; a share of the budget is waited for before the next reader's turn, so that
/// the images that hold shares are always those that the model waits for.
fn read_all<'a>(
    turn: &Mutex<Turn<'a, '_>>,
    budget: &'a Budget,
    sender: Sender<(usize, Loaded<'a>)>,
) {
    loop {
        let mut images = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ToRead { place, origin, source }) = images.next() else { return };
        let pixels = source.as_ref().map_or(0, |(_, pixels)| *pixels);
        let Some(share) = budget.take(pixels.saturating_add(EACH)) else { return };
        drop(images);
        let image = source.and_then(|(source, _)| read(source));
        if sender.send((place, Loaded { origin, image, share: Some(share) })).is_err() {
            return;
        }
    }
}

fn read(source: Source) -> Result<ImageFile, String> {
    match source {
        Source::Album(mut album) => album.decode(0, MOST_PIXELS).map_err(|p| p.to_string()),
        Source::Page(place) => place.decode(MOST_PIXELS).map_err(|e| e.problem.to_string()),
    }
}

/// Images in the order in which they were taken.
struct Queue<'a> {
    loaded: Receiver<(usize, Loaded<'a>)>,
    /// Read before their turn.
    early: BTreeMap<usize, Loaded<'a>>,
    next: usize,
}

impl<'a> Queue<'a> {
    /// The next images, as many as are there and one at least; none at the end.
    fn window(&mut self) -> Vec<Loaded<'a>> {
        let mut window = Vec::new();
        while window.len() < WINDOW {
            self.early.extend(self.loaded.try_iter());
            while window.is_empty() && !self.early.contains_key(&self.next) {
                // The readers end with their list, or when they are told to.
                let Ok((place, loaded)) = self.loaded.recv() else { return window };
                self.early.insert(place, loaded);
            }
            let Some(loaded) = self.early.remove(&self.next) else { return window };
            self.next += 1;
            window.push(loaded);
        }
        window
    }
}

fn compute_all<'a>(
    jobs: &[Job],
    predictor: &mut TiledPredictor<'_>,
    queue: &mut Queue<'a>,
    to_write: Sender<Computed<'a>>,
    outcomes: &Receiver<(usize, Outcome)>,
    report: &mut Report,
) {
    loop {
        let window = queue.window();
        if window.is_empty() || interrupt::requested() {
            return;
        }
        let (mut places, mut images) = (Vec::new(), Vec::new());
        for Loaded { mut origin, image, share } in window {
            match image {
                Ok(image) => {
                    if predictor.loses_colour(&image) {
                        origin.losses.push(Loss::Colour);
                    }
                    places.push((origin, share));
                    images.push(image);
                }
                Err(sentence) => fail(jobs, &origin, sentence, report),
            }
        }
        for ((origin, share), output) in places.into_iter().zip(predictor.outputs(images)) {
            let Job { task: Task::Write(result, format), .. } = &jobs[origin.index] else {
                continue;
            };
            match output {
                Ok((image, output)) => {
                    let (result, format) = (result.clone(), *format);
                    let done = Computed { origin, image, output, result, format, share };
                    // The writers last as long as this sender.
                    let _ = to_write.send(done);
                }
                Err(sentence) => fail(jobs, &origin, sentence, report),
            }
        }
        for (index, outcome) in outcomes.try_iter() {
            report.add(index, &jobs[index].image, outcome);
        }
    }
}

/// The first page that fails stands for its file.
fn fail(jobs: &[Job], origin: &Origin<'_>, sentence: String, report: &mut Report) {
    let image = &jobs[origin.index].image;
    let failed = Outcome::Failed(sentence);
    match &origin.page {
        None => report.add(origin.index, image, failed),
        Some((stack, page)) if stack.give_up() => {
            let page = format!("{}[{page}]", image.display());
            report.add(origin.index, Path::new(&page), failed);
        }
        Some(_) => {}
    }
}

fn write_all(
    computed: &Mutex<Receiver<Computed<'_>>>,
    out: &Path,
    render: Rendering,
    finished: Sender<(usize, Outcome)>,
) {
    loop {
        let next = computed.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(computed) = next else { return };
        let index = computed.origin.index;
        let Some(outcome) = write(computed, out, render) else { continue };
        if finished.send((index, outcome)).is_err() {
            return;
        }
    }
}

/// What became of the file, once that is known: behind the last of several pages, or with the first that
/// fails.
fn write(computed: Computed<'_>, out: &Path, render: Rendering) -> Option<Outcome> {
    let Computed { origin, image, output, result, format, share } = computed;
    let Some((stack, page)) = origin.page else {
        let written = render(&image, output, format).and_then(|(bytes, losses)| {
            let written =
                make_room(out, &result).and_then(|()| atomic::write_one_of_many(&result, &bytes));
            written.map_err(|error| unwritten(&result, &error.to_string())).map(|()| losses)
        });
        return Some(match written {
            Ok(mut losses) => {
                losses.extend(origin.losses);
                Outcome::Written { result, pages: 1, losses }
            }
            Err(sentence) => Outcome::Failed(sentence),
        });
    };
    let taken = match make_room(out, &result) {
        Ok(()) => stack.take(page, (output, &origin.losses), share, &result),
        Err(error) if stack.give_up() => Err(ImageProblem::Write(error)),
        Err(_) => Ok(None),
    };
    match taken {
        Ok(losses) => {
            losses.map(|losses| Outcome::Written { result, pages: stack.pages(), losses })
        }
        Err(problem) => Some(Outcome::Failed(match problem {
            ImageProblem::Write(error) => unwritten(&result, &error.to_string()),
            problem => problem.to_string(),
        })),
    }
}

fn make_room(out: &Path, result: &Path) -> io::Result<()> {
    output_folder::make_inside(out, result.parent().unwrap_or(Path::new(".")))
}

fn unwritten(result: &Path, error: &str) -> String {
    format!(
        "its result {} cannot be written ({error}); free some space, or name another folder with --out",
        result.display()
    )
}
