//! One half of a trained model: pictures to codes, or codes to pictures.

use tch::Device;

use crate::data::SEES_GREY;
use crate::engine::{self, Engine, Model, kind_of};
use crate::exit::Misuse;
use crate::gallery::Gallery;
use crate::nn::Parameters;
use crate::output::complain;
use crate::plan::{Part, Plan};

/// Values that go through a model at once, so that large pictures go in smaller batches.
const VALUES_AT_ONCE: usize = 1 << 20;
/// More pictures at once gain nothing.
const MOST_AT_ONCE: usize = 256;

/// An encoder or a decoder with the engine that runs it.
#[derive(Debug)]
pub struct Coder {
    model: Model,
    engine: Box<dyn Engine>,
    /// Values of what goes in and what comes out.
    values: (usize, usize),
}

impl Coder {
    /// A part of a model, whose weights are still to be filled in.
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run it.
    pub fn new(plan: &Plan, part: Part, device: Device) -> Result<Self, Misuse> {
        let (engine, _) = engine::choose(plan, part, device)?;
        let model = Model::new(plan, device, kind_of(plan.config.train.dtype));
        let section = plan.section(part);
        let values = (section.input.values(), section.output.values());
        Ok(Self { model, engine, values })
    }

    /// All weights of the whole model by name.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.model.layers.parameters
    }

    /// What the part makes of some pictures or codes, one after the other, channels last.
    #[must_use]
    pub fn run(&mut self, input: &[f32]) -> Vec<f32> {
        self.engine.predict(&self.model, input)
    }

    /// How many pictures or codes [`Coder::run`] should get at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        let most = self.values.0.max(self.values.1);
        (VALUES_AT_ONCE / most.max(1)).clamp(1, MOST_AT_ONCE)
    }

    /// The code of each picture, in order, with the picture's index; one that cannot be read is
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
            let codes = self.run(&input);
            for (&index, code) in indices.iter().zip(codes.chunks_exact(self.values.1)) {
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
