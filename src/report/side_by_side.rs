//! What a model made of an image: input, output and their difference side by side.

use super::canvas::Canvas;
use super::text::{self, Anchor, Run};
use super::{Problem, Raster};

/// Smaller images are enlarged up to this side.
const GOOD_SIDE: usize = 112;
/// Width that the longest label needs.
const LEAST_WIDTH: usize = 120;
/// White space around the images.
const GAP: usize = 8;
/// Line height of the labels.
const LABEL_SIZE: f32 = 18.0;
/// Room for a label above its image.
const LABEL_ROOM: usize = 24;
/// The difference is not amplified beyond this; what is left is below one step of 8 bits.
const MOST_AMPLIFIED: u8 = 64;

/// A PNG of the two images and, where they have one shape, of the absolute difference: amplified by a
/// power of two as far as it stays within white, which its label says. Of two sizes each keeps its own.
///
/// # Errors
/// When the page would be larger than 16,384 pixels in a side.
pub fn side_by_side(input: &Raster, output: &Raster) -> Result<Vec<u8>, Problem> {
    let shape = |raster: &Raster| [raster.height(), raster.width(), raster.channels()];
    let compared = (shape(input) == shape(output)).then(|| difference(input, output));
    let mut panels = vec![("input", input), ("output", output)];
    panels.extend(compared.as_ref().map(|(raster, label)| (label.as_str(), raster)));
    let most = |side: fn(&Raster) -> usize| side(input).max(side(output));
    let (width, height) = (most(Raster::width), most(Raster::height));
    let factor = (GOOD_SIDE / width.max(height)).max(1);
    let (width, height) = (width * factor, height * factor);
    let column = width.max(LEAST_WIDTH) + GAP;
    let mut page = Canvas::white(panels.len() * column + GAP, LABEL_ROOM + height + GAP)?;
    for (i, (label, raster)) in panels.into_iter().enumerate() {
        let middle = GAP + i * column + (column - GAP) / 2;
        let spot = (middle as f32, LABEL_ROOM as f32 / 2.0);
        text::write(&mut page, label, spot, LABEL_SIZE, Anchor::Middle, Run::Across);
        draw(&mut page, raster, factor, middle - raster.width() * factor / 2);
    }
    page.to_png()
}

fn draw(page: &mut Canvas, raster: &Raster, factor: usize, left: usize) {
    for row in 0..raster.height() {
        for column in 0..raster.width() {
            let (left, top) = (left + column * factor, LABEL_ROOM + row * factor);
            page.fill(left, top, factor, factor, raster.rgb(row, column));
        }
    }
}

/// The amplified difference, and how it is to be called.
fn difference(input: &Raster, output: &Raster) -> (Raster, String) {
    let pairs = input.pixels().iter().zip(output.pixels());
    let mut differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    let largest = differences.iter().copied().fold(0.0, f32::max);
    let mut factor = 1;
    while factor < MOST_AMPLIFIED && f32::from(factor * 2) * largest <= 1.0 {
        factor *= 2;
    }
    for value in &mut differences {
        *value *= f32::from(factor);
    }
    let label = match factor {
        _ if largest == 0.0 => "no difference".to_owned(),
        1 => "difference".to_owned(),
        factor => format!("difference × {factor}"),
    };
    let raster = Raster::new(input.height(), input.width(), input.channels(), differences);
    (raster.expect("it has the input's shape"), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(values: [f32; 4]) -> Raster {
        Raster::new(2, 2, 1, values.to_vec()).unwrap()
    }

    #[test]
    fn the_difference_is_amplified_as_far_as_it_stays_within_white_and_says_so() {
        let (raster, label) = difference(&grey([0.5; 4]), &grey([0.5, 0.25, 0.625, 0.5]));
        assert_eq!(label, "difference × 4");
        assert_eq!(raster.pixels(), [0.0, 1.0, 0.5, 0.0]);
        let (raster, label) = difference(&grey([0.0; 4]), &grey([1.0, 0.0, 0.0, 0.0]));
        assert_eq!((raster.pixels()[0], label.as_str()), (1.0, "difference"));
        assert_eq!(difference(&grey([0.3; 4]), &grey([0.3; 4])).1, "no difference");
    }

    #[test]
    fn the_three_images_stand_side_by_side_under_their_labels() {
        let (input, output) = (grey([0.0, 1.0, 0.0, 1.0]), grey([1.0, 0.0, 1.0, 0.0]));
        let png = side_by_side(&input, &output).unwrap();
        let page = image::load_from_memory(&png).unwrap().into_rgb8();
        let column = LEAST_WIDTH + GAP;
        assert_eq!(page.width() as usize, 3 * column + GAP);
        let at = |panel: usize, x: usize| {
            let left = GAP + panel * column + (LEAST_WIDTH - GOOD_SIDE) / 2;
            page.get_pixel((left + x) as u32, (LABEL_ROOM + 20) as u32).0[0]
        };
        let (first, second) = (10, GOOD_SIDE / 2 + 10);
        let seen = [0, 1, 2].map(|panel| [at(panel, first), at(panel, second)]);
        assert_eq!(seen, [[0, 255], [255, 0], [255, 255]]);
        let inked = |panel: usize| {
            let columns = panel * column..(panel + 1) * column;
            columns
                .flat_map(|x| (0..LABEL_ROOM).map(move |y| (x, y)))
                .any(|(x, y)| page.get_pixel(x as u32, y as u32).0[0] < 100)
        };
        assert!((0..3).all(inked));
    }

    #[test]
    fn of_two_shapes_there_is_no_difference_and_each_keeps_its_size() {
        let (input, output) = (grey([0.0; 4]), Raster::new(4, 4, 3, vec![0.0; 48]).unwrap());
        let png = side_by_side(&input, &output).unwrap();
        let page = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!(page.width() as usize, 2 * (LEAST_WIDTH + GAP) + GAP);
        let black = |columns: std::ops::Range<usize>| {
            let line = LABEL_ROOM as u32 + 10;
            columns.filter(|&x| page.get_pixel(x as u32, line).0[0] == 0).count()
        };
        let middle = LEAST_WIDTH + GAP + GAP / 2;
        let (left, right) = (black(0..middle), black(middle..page.width() as usize));
        assert_eq!((left, right), (GOOD_SIDE / 2, GOOD_SIDE));
    }

    #[test]
    fn a_page_too_large_for_any_viewer_is_refused() {
        let wide = Raster::new(1, 6000, 1, vec![0.0; 6000]).unwrap();
        assert!(matches!(side_by_side(&wide, &wide), Err(Problem::PageTooLarge { .. })));
    }
}
