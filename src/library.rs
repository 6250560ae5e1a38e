//! The library's entry points: to train from a plan, and to denoise pictures with what was trained.

use std::path::Path;

use anyhow::anyhow;

use crate::apply::{Applier, Fit, Models};
use crate::data::Dataset;
use crate::image_file::ImageFile;
use crate::plan::Plan;
use crate::saved_model::{open_model, save_model};
use crate::train::{History, KeepNothing, Learner, TrainingState, choose_device, fit};

/// A model that was trained in this process.
#[derive(Debug)]
pub struct Trained {
    plan: Plan,
    learner: Learner,
    /// Loss and validation loss of each epoch, and more.
    pub history: History,
}

/// Trains the model of a plan on the plan's data, and says nothing while it does.
///
/// ```
/// use convae::{Plan, Source};
///
/// let few = ["data.dir=tests/digits", "data.train_samples=64", "data.test_samples=32"];
/// let few: Vec<String> = few.map(str::to_owned).into();
/// let plan = Plan::new(Source::open("denoise.toml".as_ref(), &few)?)?;
/// let trained = convae::train(&plan)?;
/// assert!(trained.history.epochs[0].val_loss.is_finite());
///
/// let folder = tempfile::tempdir()?;
/// trained.save(folder.path().join("noise.pt"))?; // what `convae apply` and `Denoiser` open
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// When the device or the data are refused, a picture cannot be read, or training diverges.
pub fn train(plan: &Plan) -> anyhow::Result<Trained> {
    let device = choose_device(&plan.config.train.device)?;
    let data = Dataset::open(&plan.config.data, plan.input_shape)?;
    let mut learner = Learner::new(plan, device)?;
    let mut history = History::new(plan, &learner);
    history.skipped_files = data.train.skipped() + data.test.skipped();
    let mut state = TrainingState::new(history);
    fit(plan, &data, &mut learner, &mut state, &mut [], &mut KeepNothing)?;
    Ok(Trained { plan: plan.clone(), learner, history: state.history })
}

impl Trained {
    /// Writes weights, config and history to a file that ends in `.pt` or `.safetensors`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> anyhow::Result<()> {
        save_model(path.as_ref(), &self.plan, &self.learner, &self.history)
    }
}

/// A trained model for pictures of any size that its layers allow; large ones are cut into tiles that
/// leave no seam.
///
/// ```
/// use convae::{Denoiser, ImageFile};
/// # let folder = tempfile::tempdir()?;
/// # let (model, noisy) = (folder.path().join("noise.pt"), folder.path().join("noisy.png"));
/// # let cleaned = folder.path().join("cleaned.png");
/// # let few = ["data.dir=tests/digits", "data.train_samples=32", "data.test_samples=32"];
/// # let few: Vec<String> = few.map(str::to_owned).into();
/// # let config = convae::Source::open("denoise.toml".as_ref(), &few)?;
/// # convae::train(&convae::Plan::new(config)?)?.save(&model)?;
/// # let values = convae::image_file::Samples::Eight((0..50 * 41).map(|i| i as u8).collect());
/// # ImageFile::new([50, 41, 1], values)?.save(&noisy)?;
///
/// let mut denoiser = Denoiser::open(&model)?;
/// let result = denoiser.denoise(ImageFile::open(&noisy)?)?;
/// assert_eq!(result.shape, [50, 41, 1]);
/// result.save(&cleaned)?;
/// # anyhow::Ok(())
/// ```
#[derive(Debug)]
pub struct Denoiser {
    applier: Applier<'static>,
}

impl Denoiser {
    /// Opens a checkpoint that says what model it holds, as all of convae's do. It computes on the
    /// device of its config.
    ///
    /// # Errors
    /// When it is no such checkpoint.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref();
        let (plan, checkpoint) = open_model(path, None, &[])?;
        let device = choose_device(&plan.config.train.device)?;
        let fit = Fit::new(&plan, None)?.into_owned();
        let models = Models::new(path, &plan, &checkpoint, device)?;
        let channels = plan.input_shape[2];
        Ok(Self { applier: Applier { fit, models, channels, per_channel: true } })
    }

    /// What the model makes of a picture, in the same size and depth. A grey model takes the channels
    /// of a coloured picture one by one, a model of RGB takes a grey picture as a coloured one.
    ///
    /// # Errors
    /// When the model cannot take pictures of that size.
    pub fn denoise(&mut self, picture: ImageFile) -> anyhow::Result<ImageFile> {
        let mut outputs = self.applier.outputs(vec![picture]);
        let output = outputs.pop().unwrap_or_else(|| Err("it gave nothing".to_owned()));
        output.map(|(_, result)| result).map_err(|sentence| anyhow!("the picture: {sentence}"))
    }
}
