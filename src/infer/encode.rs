//! Images to codes, many of them, with an encoder.

use super::Predictor;
use super::gallery::Gallery;
use crate::data::SEES_GREY;
use crate::system::terminal::complain;

impl Predictor {
    /// The code of each image, in order, with the image's index; one that cannot be read is
    /// named and left out. Returns how many were.
    pub fn encode_each(&mut self, gallery: &Gallery, mut take: impl FnMut(usize, &[f32])) -> usize {
        let mut failures = 0;
        let step = self.at_once();
        for start in (0..gallery.len()).step_by(step) {
            let end = (start + step).min(gallery.len());
            let (mut indices, mut input) = (Vec::new(), Vec::new());
            for (index, read) in (start..end).zip(gallery.read(start..end)) {
                match read {
                    Ok(values) => {
                        indices.push(index);
                        input.extend(values);
                    }
                    Err(problem) => {
                        complain(format_args!("{problem}"));
                        failures += 1;
                    }
                }
            }
            if indices.is_empty() {
                continue;
            }
            let codes = self.predict(&input);
            for (&index, code) in indices.iter().zip(codes.chunks_exact(self.output_values())) {
                take(index, code);
            }
        }
        match gallery.transparent() {
            0 => {}
            some => complain(format_args!(
                "{some} of {} images have transparency, which is dropped",
                gallery.len()
            )),
        }
        match gallery.coloured() {
            0 => {}
            some => complain(format_args!(
                "{some} of {} images are coloured; {SEES_GREY}",
                gallery.len()
            )),
        }
        failures
    }
}
