//! Decodes every image once before the first epoch: then a broken one is known, the number of
//! samples is fixed, and where all of them fit in memory they stay there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::digest;
use super::error::DataError;
use super::files::{Decoded, Item, Reader};
use super::listing::Entry;
use crate::config::data::{ImageFiles, OnError};
use crate::system::ranks;
use crate::system::terminal::{complain, complain_once};

/// What becomes of coloured images, wherever they come from.
pub(crate) const SEES_GREY: &str = "the model is grey, so it sees their grey (a model.input_shape of 3 \
                                    channels sees colour)";

/// Bytes that decoded images may take, those of all sets together.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Of so many bytes, none of them used.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes some; returns whether they were there.
    fn take(&self, bytes: usize) -> bool {
        self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit
    }

    fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }

    /// Back to what it was before a set that did not fit.
    fn reset(&self, used: usize) {
        self.used.store(used, Ordering::Relaxed);
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl ImageFiles {
    /// As many as asked for, or one for each core.
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(ranks::cores)
    }
}

/// The images that can be used, in their order, and the number of those that cannot.
///
/// # Panics
/// With `not enough memory` where no thread can be started.
pub(super) fn scan(
    entries: Vec<Entry>,
    set: &'static str,
    reader: Reader<'_>,
    options: &ImageFiles,
    budget: &Budget,
) -> Result<(Vec<Item>, usize), DataError> {
    let (count, used) = (entries.len(), budget.used());
    let bar = bar(set, count);
    let (alpha, colour) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // A file may hold several images, and is read once for its digest.
    let same_file =
        |index: usize| index > 0 && entries[index].input.path == entries[index - 1].input.path;
    let begins_file: Vec<bool> = (0..count).map(|index| !same_file(index)).collect();
    // The first that cannot be used ends the run; those behind it are of no interest then.
    let first_broken = AtomicUsize::new(usize::MAX);
    let look = |(index, entry): (usize, Entry)| {
        if options.on_error == OnError::Stop && index > first_broken.load(Ordering::Relaxed) {
            return None;
        }
        let read = reader.read(&entry).and_then(|decoded| {
            let digest = if begins_file[index] { digest::of_entry(&entry)? } else { 0 };
            Ok((decoded, digest))
        });
        bar.inc(1);
        match &read {
            Ok((decoded, _)) => {
                alpha.fetch_add(usize::from(decoded.alpha_dropped()), Ordering::Relaxed);
                colour.fetch_add(usize::from(decoded.lost_colour), Ordering::Relaxed);
            }
            Err(_) => {
                first_broken.fetch_min(index, Ordering::Relaxed);
            }
        }
        Some(read.map(|(decoded, digest)| item((index, entry), decoded, digest, budget)))
    };
    let pool = ThreadPoolBuilder::new().num_threads(options.threads().min(count).max(1)).build();
    let pool = pool.expect("not enough memory for threads");
    let looked: Vec<_> =
        pool.install(|| entries.into_par_iter().enumerate().filter_map(look).collect());
    bar.finish_and_clear();

    let (mut items, broken) = sort_out(looked, options.on_error)?;
    digest_files_without_their_first_page(&mut items)?;
    if items.is_empty() {
        let first = broken.into_iter().next().map(Box::new);
        let first = first.expect("a set is not empty, so an image was broken");
        return Err(DataError::NoneUsable { count, set, first });
    }
    for error in &broken {
        complain_once(format_args!("{error} (skipped)"));
    }
    if budget.is_exceeded() {
        for item in &mut items {
            item.kept = None;
        }
        budget.reset(used);
    }
    let alpha = alpha.into_inner();
    if alpha > 0 {
        complain(format_args!("{alpha} of {count} {set} have transparency, which is dropped"));
    }
    let colour = colour.into_inner();
    if colour > 0 {
        complain(format_args!("{colour} of {count} {set} are coloured; {SEES_GREY}"));
    }
    Ok((items, broken.len()))
}

/// Keeps the decoded while there is room.
fn item(
    (place, entry): (usize, Entry),
    mut decoded: Decoded,
    digest: u32,
    budget: &Budget,
) -> Item {
    let (size, values) = (decoded.size(), decoded.values.taken());
    let kept = budget.take(decoded.bytes()).then_some(decoded);
    Item { entry, place, size, digest, values, kept }
}

/// What can be used, and why the rest cannot; or the first of the rest, where that ends the run.
fn sort_out(
    looked: Vec<Result<Item, DataError>>,
    on_error: OnError,
) -> Result<(Vec<Item>, Vec<DataError>), DataError> {
    let (mut items, mut broken) = (Vec::with_capacity(looked.len()), Vec::new());
    for result in looked {
        match result {
            Ok(item) => items.push(item),
            Err(error) if on_error == OnError::Stop => return Err(or_skipped(error)),
            Err(error) => broken.push(error),
        }
    }
    Ok((items, broken))
}

/// The refusal, with what would be done about it by skipping.
fn or_skipped(error: DataError) -> DataError {
    use DataError::{Broken, Image, PairSizes, Small};
    match error {
        Image(_) | Small { .. } | PairSizes { .. } => Broken(Box::new(error)),
        error => error,
    }
}

/// On a terminal, as it takes a while for many.
fn bar(set: &str, count: usize) -> ProgressBar {
    const STYLE: &str = "reading {prefix} {bar:30} {pos}/{len}  {per_sec}  ETA {eta}";
    let bar = ProgressBar::new(count as u64).with_prefix(set.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar.with_style(ProgressStyle::with_template(STYLE).expect("the template is fixed"))
}

/// A file whose first page cannot be used has its digest at the first page that can.
fn digest_files_without_their_first_page(items: &mut [Item]) -> Result<(), DataError> {
    for index in 0..items.len() {
        let path = |index: usize| &items[index].entry.input.path;
        let begins_file = index == 0 || path(index) != path(index - 1);
        if begins_file && items[index].digest == 0 {
            items[index].digest = digest::of_entry(&items[index].entry)?;
        }
    }
    Ok(())
}
