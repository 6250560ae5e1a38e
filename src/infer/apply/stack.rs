//! The pages of one TIFF on their way to a TIFF of as many: each is read, computed and written by itself, so
//! that no more of them are in memory than of images elsewhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::formats::image_file::{Format, ImageFile, ImageProblem, Loss, TiffPages};
use crate::system::atomic::Part;

/// A file of several pages. The file that they become is whole, or not there.
#[derive(Debug)]
pub(super) struct Stack<S> {
    pages: usize,
    /// Of all results' values, at most.
    bytes: u64,
    broken: AtomicBool,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    /// The page that is written next.
    next: usize,
    /// Computed, but not yet their turn; each with what bounds the memory.
    early: BTreeMap<usize, (ImageFile, S)>,
    losses: Vec<Loss>,
    file: Option<Sink>,
}

struct Sink {
    pages: TiffPages<File>,
    part: Part,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.part.fmt(f)
    }
}

impl<S> Stack<S> {
    /// Of so many pages, whose values take at most so many bytes; `losses` are known already.
    pub fn new(pages: usize, bytes: u64, losses: Vec<Loss>) -> Self {
        let state = State { next: 0, early: BTreeMap::new(), losses, file: None };
        Self { pages, bytes, broken: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// How many there are.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Gives it up; whether it was not given up before.
    pub fn give_up(&self) -> bool {
        self.give_up_locked(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_up_locked(&self, state: &mut State<S>) -> bool {
        // What waited for its turn gives back its memory, for which readers may wait.
        state.early.clear();
        state.file = None;
        !self.broken.swap(true, Ordering::SeqCst)
    }

    /// Whether one of its pages has failed.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Takes a page with what it has lost, and writes what is complete from the first page on. Behind the
    /// last one, what the file has not that the images had; `None` before, and of a file that was given up.
    ///
    /// # Errors
    /// The first time that the file cannot be written, which gives it up.
    pub fn take(
        &self,
        page: usize,
        (image, losses): (ImageFile, &[Loss]),
        share: S,
        result: &Path,
    ) -> Result<Option<Vec<Loss>>, ImageProblem> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_broken() {
            return Ok(None);
        }
        state.losses.extend(losses);
        state.early.insert(page, (image, share));
        self.write(&mut state, result).or_else(|problem| {
            if self.give_up_locked(&mut state) { Err(problem) } else { Ok(None) }
        })
    }

    fn write(
        &self,
        state: &mut State<S>,
        result: &Path,
    ) -> Result<Option<Vec<Loss>>, ImageProblem> {
        while let Some((image, _share)) = state.early.remove(&state.next) {
            if state.file.is_none() {
                state.file = Some(Sink::create(result, self.bytes)?);
            }
            state.losses.extend(image.losses(Format::Tiff));
            state.file.as_mut().map_or(Ok(()), |file| file.pages.add(&image))?;
            state.next += 1;
        }
        if state.next < self.pages {
            return Ok(None);
        }
        if let Some(Sink { pages, part }) = state.file.take() {
            drop(pages);
            part.persist().map_err(ImageProblem::Write)?;
        }
        state.losses.sort();
        state.losses.dedup();
        Ok(Some(std::mem::take(&mut state.losses)))
    }
}

impl Sink {
    fn create(result: &Path, bytes: u64) -> Result<Self, ImageProblem> {
        let part = Part::beside(result).map_err(ImageProblem::Write)?;
        let file = part.file().map_err(ImageProblem::Write)?;
        Ok(Self { pages: TiffPages::new(file, bytes)?, part })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::formats::image_file::Samples;

    fn image(value: u8) -> ImageFile {
        ImageFile::new([1, 2, 1], Samples::Eight(vec![value, value + 1])).unwrap()
    }

    #[test]
    fn pages_are_written_in_their_order_whatever_order_they_come_in() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("a.tif");
        let stack = Stack::new(3, 100, vec![Loss::Masks]);
        assert_eq!(stack.take(2, (image(2), &[]), (), &result).unwrap(), None);
        assert_eq!(stack.take(0, (image(0), &[]), (), &result).unwrap(), None);
        assert!(!result.exists(), "it is not whole yet");
        assert_eq!(stack.take(1, (image(1), &[]), (), &result).unwrap(), Some(vec![Loss::Masks]));
        assert_eq!(ImageFile::open_pages(&result).unwrap(), [image(0), image(1), image(2)]);
    }

    #[test]
    fn a_file_that_cannot_be_written_gives_back_what_it_held_and_fails_once() {
        let folder = tempfile::tempdir().unwrap();
        let (there, gone) = (folder.path().join("a.tif"), folder.path().join("gone/a.tif"));
        let (stack, share) = (Stack::new(3, 100, Vec::new()), Arc::new(()));
        assert!(stack.take(1, (image(1), &[]), Arc::clone(&share), &there).unwrap().is_none());
        assert_eq!(Arc::strong_count(&share), 2);
        assert!(stack.take(0, (image(0), &[]), Arc::clone(&share), &gone).is_err());
        assert_eq!(stack.take(2, (image(2), &[]), Arc::clone(&share), &there).unwrap(), None);
        assert_eq!(Arc::strong_count(&share), 1);
        assert!(stack.is_broken() && !stack.give_up());
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }
    #[test]
    fn pages_that_wait_for_their_turn_give_back_what_they_hold_when_another_one_fails() {
        let folder = tempfile::tempdir().unwrap();
        let result = folder.path().join("a.tif");
        let (stack, share) = (Stack::new(3, 100, Vec::new()), Arc::new(()));
        assert!(stack.take(2, (image(2), &[]), Arc::clone(&share), &result).unwrap().is_none());
        assert_eq!(Arc::strong_count(&share), 2);
        assert!(stack.give_up());
        assert_eq!(Arc::strong_count(&share), 1);
    }
}
