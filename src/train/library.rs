//! The library's entry points: to train from a plan, and to denoise images with what was trained.

use std::path::Path;

use anyhow::anyhow;

use crate::data::Dataset;
use crate::engine::choose_device;
use crate::formats::image_file::ImageFile;
use crate::infer::apply::{Engines, Fit, TiledPredictor};
use crate::infer::model_file::{open_model, save_model};
use crate::plan::Plan;
use crate::train::{History, NoCheckpoints, Trainer, TrainingState, fit};

/// A model that was trained in this process.
#[derive(Debug)]
pub struct TrainingResult {
    plan: Plan,
    trainer: Trainer,
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
/// When the device or the data are refused, an image cannot be read, or training diverges.
pub fn train(plan: &Plan) -> anyhow::Result<TrainingResult> {
    plan.loss()?;
    let plan = &plan.clone().for_data()?;
    let target = plan.objective()?.target;
    let device = choose_device(&plan.config.train.device)?;
    let data = Dataset::open(&plan.config.data, target)?;
    let plan = &plan.clone().with_scale_of(&data)?;
    plan.check_batches(&data.train)?;
    plan.check_batches(&data.test)?;
    let mut trainer = Trainer::new(plan, device)?;
    trainer.start(plan)?;
    let mut history = History::new(plan, &trainer);
    history.skipped_files = data.train.skipped() + data.test.skipped();
    let mut state = TrainingState::new(history);
    fit(plan, &data, &mut trainer, &mut state, &mut [], &mut NoCheckpoints)?;
    Ok(TrainingResult { plan: plan.clone(), trainer, history: state.history })
}

impl TrainingResult {
    /// Writes weights, config and history to a file that ends in `.pt` or `.safetensors`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> anyhow::Result<()> {
        save_model(path.as_ref(), &self.plan, &self.trainer.predictor, &self.history)
    }
}

/// A trained model for images of any size that its layers allow; large ones are cut into tiles that
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
/// # let values = convae::formats::image_file::Samples::Eight((0..50 * 41).map(|i| i as u8).collect());
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
    predictor: TiledPredictor<'static>,
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
        let engines = Engines::new(path, &plan, &checkpoint, device)?;
        Ok(Self { predictor: TiledPredictor::new(&plan, fit, engines, true)? })
    }

    /// What the model makes of an image, in the same depth; in the same size, but for a model that gives
    /// larger or smaller images. A grey model takes the channels of a coloured image one by one, a model of
    /// RGB takes a grey image as a coloured one.
    ///
    /// # Errors
    /// When the model cannot take images of that size.
    pub fn denoise(&mut self, image: ImageFile) -> anyhow::Result<ImageFile> {
        let mut outputs = self.predictor.outputs(vec![image]);
        let output = outputs.pop().unwrap_or_else(|| Err("it gave nothing".to_owned()));
        output.map(|(_, result)| result).map_err(|sentence| anyhow!("the image: {sentence}"))
    }
}
