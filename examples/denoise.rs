//! Cleans one image with a trained model:
//!
//! ```text
//! cargo run --example denoise -- runs/noise/noise.pt noisy.png cleaned.png
//! ```

use anyhow::Context;
use convae::Denoiser;
use convae::ImageFile;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().context("give three files: MODEL NOISY CLEANED");
    let (model, noisy, cleaned) = (next()?, next()?, next()?);

    let mut denoiser = Denoiser::open(&model)?;
    let image = ImageFile::open(&noisy)?;
    denoiser.denoise(image)?.save(&cleaned)?;
    println!("{} -> {}", noisy.display(), cleaned.display());
    Ok(())
}
