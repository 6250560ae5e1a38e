//! `apply` for graphs, for models of open size, and for models whose output has another shape than their input.

use convae::formats::image_file::{ImageFile, Samples};
use convae::infer::Predictor;
use convae::infer::apply::{Engines, Fit, TiledPredictor};
use convae::infer::model_file::{open_model, save_model};
use convae::{Plan, Source};
use tch::Device;
use tempfile::TempDir;

/// Three levels, each half of the one above, that are put beside what comes back up.
const UNET: &str = r#"
  { layer = "Conv2D", name = "a", filters = 3, kernel_size = 3, padding = "same", activation = "tanh" },
  { layer = "MaxPooling2D" },
  { layer = "Conv2D", name = "b", filters = 4, kernel_size = 3, padding = "same", activation = "tanh" },
  { layer = "MaxPooling2D" },
  { layer = "Conv2D", name = "c", filters = 4, kernel_size = 3, padding = "same", activation = "tanh" },
  { layer = "MaxPooling2D" },
  { layer = "Conv2D", filters = 4, kernel_size = 3, padding = "same" },
  { layer = "UpSampling2D", name = "up_c" },
  { layer = "Concatenate", inputs = ["up_c", "c"] },
  { layer = "Conv2DTranspose", name = "up_b", filters = 4, kernel_size = 3, strides = 2, padding = "same" },
  { layer = "Concatenate", inputs = ["up_b", "b"] },
  { layer = "UpSampling2D", name = "up_a" },
  { layer = "Concatenate", inputs = ["a", "up_a"] },"#;

/// Two residual blocks, the second of the same weights.
const RESIDUAL: &str = r#"
  { layer = "Conv2D", name = "first", filters = 3, kernel_size = 5, padding = "same" },
  { layer = "Conv2D", name = "block", filters = 3, kernel_size = 3, padding = "same", activation = "tanh" },
  { layer = "Add", name = "sum", inputs = ["first", "block"] },
  { layer = "Shared", of = "block", name = "again", inputs = ["sum"] },
  { layer = "Subtract", inputs = ["sum", "again"] },"#;

/// A U-Net as in its paper: without padding, the upper level cropped.
const VALID: &str = r#"
  { layer = "Conv2D", name = "a", filters = 3, kernel_size = 3, activation = "tanh" },
  { layer = "MaxPooling2D" },
  { layer = "Conv2D", filters = 3, kernel_size = 3 },
  { layer = "UpSampling2D", name = "up" },
  { layer = "Cropping2D", name = "middle", cropping = 2, inputs = ["a"] },
  { layer = "Concatenate", inputs = ["up", "middle"] },"#;

/// Twice as large, beside the enlarged input.
const LARGER: &str = r#"
  { layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same" },
  { layer = "Conv2DTranspose", name = "learned", filters = 3, kernel_size = 4, strides = 2, padding = "same" },
  { layer = "UpSampling2D", name = "plain", inputs = ["input"] },
  { layer = "Concatenate", inputs = ["learned", "plain"] },"#;

/// Half as large.
const SMALLER: &str = r#"
  { layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same" },
  { layer = "AveragePooling2D" },
  { layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same" },"#;

fn plan(layers: &str, [seen, given]: [usize; 2]) -> Plan {
    let text = format!(
        r#"name = "shapes"
[model]
input_shape = [-1, -1, {seen}]
layers = [{layers}
  {{ layer = "Conv2D", filters = {given}, kernel_size = 1, activation = "sigmoid" }},
]
[train]
device = "cpu"
"#
    );
    Plan::new(Source::parse(&text, "shapes.toml", &[]).unwrap()).unwrap()
}

/// A model with drawn weights, that cuts images into tiles of that side.
fn predictor(plan: &Plan, tile: Option<usize>) -> TiledPredictor<'static> {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("drawn.pt");
    let drawn = Predictor::drawn(plan, Device::Cpu).unwrap();
    save_model(&file, plan, &drawn, &()).unwrap();
    let (plan, checkpoint) = open_model(&file, None, &[]).unwrap();
    let fit = Fit::new(&plan, tile).unwrap().into_owned();
    let engines = Engines::new(&file, &plan, &checkpoint, Device::Cpu).unwrap();
    TiledPredictor::new(&plan, fit, engines, false).unwrap()
}

fn picture(shape: [usize; 3]) -> ImageFile {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16
    };
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    ImageFile::new(shape, Samples::Sixteen(values)).unwrap()
}

fn output(predictor: &mut TiledPredictor<'_>, image: ImageFile) -> ImageFile {
    predictor.outputs(vec![image]).pop().unwrap().unwrap().1
}

/// Sizes that follow from a number, and are random otherwise.
fn sizes(count: u32, least: u32, most: u32) -> impl Iterator<Item = [usize; 2]> {
    let mut state = 11_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (least + (state >> 10) % (most - least + 1)) as usize
    };
    (0..count).map(move |_| [next(), next()])
}

/// How far images cut into tiles are from whole ones, at most, where no side exceeds `most`; in values of 0..1.
fn seams(count: u32, most: u32) -> f32 {
    let mut worst = 0.0_f32;
    for (layers, channels, tile) in [
        (UNET, [1, 1], 72),
        (RESIDUAL, [3, 3], 40),
        (VALID, [1, 1], 40),
        (LARGER, [1, 3], 24),
        (SMALLER, [3, 1], 32),
    ] {
        let plan = plan(layers, channels);
        let cut = Fit::new(&plan, Some(tile)).unwrap().sides([100, 100]).unwrap();
        assert!(cut.iter().all(|side| side.parts.len() > 1), "{cut:?}");
        let mut tiles = predictor(&plan, Some(tile));
        let mut whole = predictor(&plan, Some(400));
        for [height, width] in sizes(count, 20, most) {
            let image = picture([height, width, channels[0]]);
            let (tiles, whole) = (output(&mut tiles, image.clone()), output(&mut whole, image));
            assert_eq!(tiles.shape, whole.shape);
            assert_eq!(tiles.shape[2], channels[1]);
            let values = whole.scaled();
            assert!(values.iter().any(|value| (value - values[0]).abs() > 0.01));
            let differences =
                tiles.scaled().into_iter().zip(whole.scaled()).map(|(a, b)| (a - b).abs());
            worst = differences.fold(worst, f32::max);
        }
    }
    worst
}

#[test]
fn tiles_of_graphs_are_the_whole_image() {
    let worst = seams(3, 200);
    assert!(worst < 1e-4, "{worst}");
}

/// `cargo test --test apply_shapes -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn tiles_of_graphs_are_the_whole_image_at_200_sizes() {
    let worst = seams(200, 160);
    println!("largest difference {worst:e} ({} of 1/255)", worst * 255.0);
    assert!(worst < 1.0 / 255.0, "{worst}");
}

#[test]
fn a_result_has_the_size_that_belongs_to_its_image() {
    for (layers, channels, image, result) in [
        (UNET, [1, 1], [65, 65, 1], [65, 65, 1]),
        (UNET, [1, 1], [1, 9, 1], [1, 9, 1]),
        (VALID, [1, 1], [65, 64, 1], [59, 58, 1]),
        (LARGER, [1, 3], [33, 7, 3], [66, 14, 3]),
        (SMALLER, [3, 1], [33, 7, 3], [17, 4, 1]),
    ] {
        let mut predictor = predictor(&plan(layers, channels), None);
        assert_eq!(output(&mut predictor, picture(image)).shape, result);
    }
}

#[test]
fn an_image_of_which_nothing_is_left_is_refused() {
    let mut predictor = predictor(&plan(VALID, [1, 1]), None);
    let refused = predictor.outputs(vec![picture([6, 60, 1])]).pop().unwrap().unwrap_err();
    assert!(refused.contains("60x6 pixels") && refused.contains("less than 7x7"), "{refused}");
}

#[test]
fn channels_that_are_no_image_are_refused_with_the_way_out() {
    for (channels, words) in
        [([2, 1], "takes images of 2 channels"), ([1, 16], "gives images of 16")]
    {
        let plan = plan(RESIDUAL, channels);
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("drawn.pt");
        save_model(&file, &plan, &Predictor::drawn(&plan, Device::Cpu).unwrap(), &()).unwrap();
        let refused = convae::Denoiser::open(&file).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("convae export"), "{refused}");
    }
}
