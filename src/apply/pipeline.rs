//! From files to files: readers decode ahead of the model, writers encode behind it. Images reach the
//! model in their order; a budget of pixels bounds what is under way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use super::budget::{Budget, CloseAtEnd, CloseAtPanic, Share};
use super::compute::Applier;
use super::jobs::{Job, Task};
use super::report::{Outcome, Report};
use crate::atomic;
use crate::data::join;
use crate::image_file::{Format, ImageFile, ImageProblem, MOST_PIXELS, decode_bytes, measure};
use crate::interrupt;
use crate::output_folder;

/// Pixels that are under way at most: in the queues, at the model, and with the writers.
const BUDGET: usize = 1 << 25;
/// What an image counts for beside its pixels.
const EACH: usize = 1 << 16;
/// Images that are computed together, at most.
const WINDOW: usize = 64;
/// Threads that read, and as many that write, at most.
const MOST_THREADS: usize = 4;

/// Makes a file's bytes of an image as the model saw it and the model's output.
pub type Rendering = fn(&ImageFile, ImageFile, Format) -> Result<Vec<u8>, String>;

/// An image on its way to the model.
struct Loaded<'a> {
    image: Result<ImageFile, String>,
    share: Option<Share<'a>>,
}

/// An output on its way to its file.
struct Computed<'a> {
    index: usize,
    image: ImageFile,
    output: ImageFile,
    colour_lost: bool,
    result: PathBuf,
    format: Format,
    _share: Option<Share<'a>>,
}

/// Works the jobs off and tells of each; an interruption leaves the rest.
/// Results go to `out` and to folders below it, which are made.
pub fn run(
    jobs: &[Job],
    out: &Path,
    applier: &mut Applier<'_>,
    render: Rendering,
    report: &mut Report,
) {
    let budget = Budget::new(BUDGET);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let turn = Mutex::new(to_read(jobs));
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
        let mut queue = Queue { loaded, early: BTreeMap::new(), order: to_read(jobs) };
        compute_all(jobs, applier, &mut queue, to_write, &outcomes, report);
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

/// The images that have to be read, by their place among the jobs.
fn to_read(jobs: &[Job]) -> std::vec::IntoIter<(usize, &Path)> {
    let wanted =
        |(index, job): (usize, &'_ Job)| matches!(job.task, Task::Write(..)).then_some(index);
    let indices: Vec<usize> = jobs.iter().enumerate().filter_map(wanted).collect();
    let paths: Vec<_> = indices.into_iter().map(|i| (i, jobs[i].image.as_path())).collect();
    paths.into_iter()
}

/// What needs no work.
fn settled(task: &Task) -> Option<Outcome> {
    match task {
        Task::Write(..) => None,
        Task::Keep(result) => Some(Outcome::Kept(result.clone())),
        Task::Refuse(sentence) => Some(Outcome::Failed(sentence.clone())),
    }
}

/// Takes images in turn; a share of the budget is waited for before the next reader's turn, so that
/// the images that hold shares are always those that the model waits for.
fn read_all<'a, 'j>(
    turn: &Mutex<impl Iterator<Item = (usize, &'j Path)>>,
    budget: &'a Budget,
    sender: Sender<(usize, Loaded<'a>)>,
) {
    loop {
        let mut images = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((index, path)) = images.next() else { return };
        let opened = open(path);
        let pixels = opened.as_ref().map_or(0, |(_, pixels)| *pixels);
        let Some(share) = budget.take(pixels.saturating_add(EACH)) else { return };
        drop(images);
        let image = opened
            .and_then(|(bytes, _)| decode_bytes(&bytes, MOST_PIXELS))
            .map_err(|problem| problem.to_string());
        if sender.send((index, Loaded { image, share: Some(share) })).is_err() {
            return;
        }
    }
}

/// The file's bytes, and how many pixels they hold; too many are refused here.
fn open(path: &Path) -> Result<(Vec<u8>, usize), ImageProblem> {
    let bytes = fs::read(path).map_err(ImageProblem::Read)?;
    let (height, width) = measure(&bytes, MOST_PIXELS)?;
    Ok((bytes, height * width))
}

/// Images in the order of the jobs.
struct Queue<'a, 'j> {
    loaded: Receiver<(usize, Loaded<'a>)>,
    /// Read before their turn.
    early: BTreeMap<usize, Loaded<'a>>,
    order: std::vec::IntoIter<(usize, &'j Path)>,
}

impl<'a> Queue<'a, '_> {
    /// The next images, as many as are there and one at least; none at the end.
    fn window(&mut self) -> Vec<(usize, Loaded<'a>)> {
        let mut window = Vec::new();
        while window.len() < WINDOW
            && let Some(&(next, _)) = self.order.as_slice().first()
        {
            self.early.extend(self.loaded.try_iter());
            while window.is_empty() && !self.early.contains_key(&next) {
                // The readers end before their list does only when they are told to.
                let Ok((index, loaded)) = self.loaded.recv() else { return window };
                self.early.insert(index, loaded);
            }
            let Some(loaded) = self.early.remove(&next) else { return window };
            self.order.next();
            window.push((next, loaded));
        }
        window
    }
}

fn compute_all<'a>(
    jobs: &[Job],
    applier: &mut Applier<'_>,
    queue: &mut Queue<'a, '_>,
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
        for (index, Loaded { image, share }) in window {
            match image {
                Ok(image) => {
                    places.push((index, share, applier.loses_colour(&image)));
                    images.push(image);
                }
                Err(sentence) => report.add(index, &jobs[index].image, Outcome::Failed(sentence)),
            }
        }
        let outputs = applier.outputs(images);
        for ((index, share, colour_lost), output) in places.into_iter().zip(outputs) {
            let Job { image: path, task: Task::Write(result, format) } = &jobs[index] else {
                continue;
            };
            match output {
                Ok((image, output)) => {
                    let (result, format) = (result.clone(), *format);
                    let done = Computed {
                        index,
                        image,
                        output,
                        colour_lost,
                        result,
                        format,
                        _share: share,
                    };
                    // The writers last as long as this sender.
                    let _ = to_write.send(done);
                }
                Err(sentence) => report.add(index, path, Outcome::Failed(sentence)),
            }
        }
        for (index, outcome) in outcomes.try_iter() {
            report.add(index, &jobs[index].image, outcome);
        }
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
        let Ok(Computed { index, image, output, colour_lost, result, format, _share }) = next
        else {
            return;
        };
        let alpha_dropped = output.alpha_dropped;
        let outcome = match write(&image, output, [out, &result], format, render) {
            Ok(()) => Outcome::Written { result, alpha_dropped, colour_lost },
            Err(sentence) => Outcome::Failed(sentence),
        };
        if finished.send((index, outcome)).is_err() {
            return;
        }
    }
}

fn write(
    image: &ImageFile,
    output: ImageFile,
    [out, result]: [&Path; 2],
    format: Format,
    render: Rendering,
) -> Result<(), String> {
    let bytes = render(image, output, format)?;
    let folder = result.parent().unwrap_or(Path::new("."));
    let written = output_folder::make_inside(out, folder)
        .and_then(|()| atomic::write_one_of_many(result, &bytes));
    written.map_err(|error| {
        format!(
            "its result {} cannot be written ({error}); free some space, or name another folder \
             with --out",
            result.display()
        )
    })
}
