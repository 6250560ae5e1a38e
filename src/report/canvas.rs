//! An RGB page in memory: filled, drawn upon with soft edges, and encoded as PNG.
//! What goes where on a page is decided by the grid and the chart.

use std::f32::consts::FRAC_1_SQRT_2;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::Problem;

/// Longest side of a page; browsers and GitHub refuse much larger images.
pub const MOST_SIDE: usize = 16_384;

/// Bytes of one RGB pixel.
const CHANNELS: usize = 3;
pub(super) const WHITE: Rgb = [0xff; CHANNELS];

/// An sRGB colour.
pub(super) type Rgb = [u8; CHANNELS];
/// A place on a page in pixels: x to the right, y down, whole numbers at the pixels' corners.
pub(super) type Spot = (f32, f32);

/// An RGB page, `(height, width, 3)`.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A white page.
    pub(super) fn white(width: usize, height: usize) -> Result<Self, Problem> {
        if width.max(height) > MOST_SIDE {
            return Err(Problem::PageTooLarge { width, height });
        }
        Ok(Self { width, height, pixels: WHITE.repeat(width * height) })
    }

    /// Fills a rectangle of whole pixels; what hangs over the edge is left out.
    pub(super) fn fill(&mut self, left: usize, top: usize, w: usize, h: usize, colour: Rgb) {
        for row in top..(top + h).min(self.height) {
            for column in left..(left + w).min(self.width) {
                self.pixels[(row * self.width + column) * CHANNELS..][..CHANNELS]
                    .copy_from_slice(&colour);
            }
        }
    }

    /// Lays `colour` over the pixel at `(x, y)`: 0.0 leaves it, 1.0 covers it. Pixels off the page
    /// are left out, so that nothing drawn has to know where the page ends.
    pub(super) fn blend(&mut self, x: i32, y: i32, colour: Rgb, cover: f32) {
        if let (Ok(column), Ok(row)) = (usize::try_from(x), usize::try_from(y))
            && column < self.width
            && row < self.height
        {
            self.mix(row * self.width + column, colour, cover);
        }
    }

    /// A line through `spots` with round joints and ends; a dot, if there is but one.
    pub(super) fn stroke(&mut self, spots: &[Spot], width: f32, colour: Rgb) {
        if let [only] = spots {
            return self.disc(*only, width / 2.0, colour);
        }
        // The best cover of each pixel by any segment: laying segment over segment instead would
        // darken the soft edges at every joint.
        let mut best = vec![0.0_f32; self.width * self.height];
        for ends in spots.windows(2) {
            for (index, middle) in self.pixels_near(ends, width / 2.0) {
                let outside = distance_to_segment(middle, ends[0], ends[1]) - width / 2.0;
                best[index] = best[index].max(cover(outside));
            }
        }
        for (index, &cover) in best.iter().enumerate().filter(|(_, cover)| **cover > 0.0) {
            self.mix(index, colour, cover);
        }
    }

    /// A disc.
    pub(super) fn disc(&mut self, centre: Spot, radius: f32, colour: Rgb) {
        for (index, (x, y)) in self.pixels_near(&[centre], radius) {
            let outside = (x - centre.0).hypot(y - centre.1) - radius;
            self.mix(index, colour, cover(outside));
        }
    }

    /// A square standing on its corner, reaching `radius` from its centre.
    pub(super) fn diamond(&mut self, centre: Spot, radius: f32, colour: Rgb) {
        for (index, (x, y)) in self.pixels_near(&[centre], radius) {
            let across = (x - centre.0).abs() + (y - centre.1).abs() - radius;
            self.mix(index, colour, cover(across * FRAC_1_SQRT_2));
        }
    }

    /// A square, reaching `radius` to each side of its centre.
    pub(super) fn square(&mut self, centre: Spot, radius: f32, colour: Rgb) {
        for (index, (x, y)) in self.pixels_near(&[centre], radius) {
            let outside = (x - centre.0).abs().max((y - centre.1).abs()) - radius;
            self.mix(index, colour, cover(outside));
        }
    }

    /// Index and middle of the page's pixels within `reach` of the box around `spots`.
    fn pixels_near(
        &self,
        spots: &[Spot],
        reach: f32,
    ) -> impl Iterator<Item = (usize, Spot)> + use<> {
        let reach = reach + 1.0; // one pixel for the soft edge
        let columns = span(spots.iter().map(|spot| spot.0), reach, self.width);
        let rows = span(spots.iter().map(|spot| spot.1), reach, self.height);
        let width = self.width;
        let middle = |column, row| (column as f32 + 0.5, row as f32 + 0.5);
        rows.flat_map(move |row| {
            columns.clone().map(move |column| (row * width + column, middle(column, row)))
        })
    }

    /// Lays `colour` over one pixel of the page.
    fn mix(&mut self, index: usize, colour: Rgb, cover: f32) {
        let cover = cover.clamp(0.0, 1.0);
        for (below, above) in self.pixels[index * CHANNELS..].iter_mut().zip(colour) {
            let mixed = f32::from(*below) * (1.0 - cover) + f32::from(above) * cover;
            *below = mixed.round() as u8; // between two bytes, so a byte
        }
    }

    /// The page as PNG bytes.
    pub(super) fn to_png(&self) -> Result<Vec<u8>, Problem> {
        encode_png(&self.pixels, (self.width, self.height), ExtendedColorType::Rgb8)
    }
}

/// PNG bytes of 8-bit pixels.
pub(super) fn encode_png(
    pixels: &[u8],
    (width, height): (usize, usize),
    colour: ExtendedColorType,
) -> Result<Vec<u8>, Problem> {
    let (Ok(w), Ok(h)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Problem::PageTooLarge { width, height });
    };
    let mut png = Vec::new();
    // Compressed well rather than fast: these files end up in repositories.
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
        .write_image(pixels, w, h, colour)?;
    Ok(png)
}

/// Cover of a pixel whose middle is `distance` outside an edge: half at the edge itself, fading
/// over one pixel.
fn cover(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

fn distance_to_segment(spot: Spot, from: Spot, to: Spot) -> f32 {
    let along = (to.0 - from.0, to.1 - from.1);
    let away = (spot.0 - from.0, spot.1 - from.1);
    let length = along.0 * along.0 + along.1 * along.1;
    let share = (away.0 * along.0 + away.1 * along.1) / length;
    // A segment of no length is its first end; its share would be NaN.
    let share = if length > 0.0 { share.clamp(0.0, 1.0) } else { 0.0 };
    (away.0 - share * along.0).hypot(away.1 - share * along.1)
}

/// Whole pixels within `reach` of the coordinates, on a side of `most` pixels.
fn span(
    coordinates: impl Iterator<Item = f32> + Clone,
    reach: f32,
    most: usize,
) -> std::ops::Range<usize> {
    let low = coordinates.clone().fold(f32::INFINITY, f32::min) - reach;
    let high = coordinates.fold(f32::NEG_INFINITY, f32::max) + reach;
    // `as` sends what is negative to 0, and the page is small enough for `f32`.
    (low.floor() as usize).min(most)..(high.ceil() as usize).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Rgb = [0; 3];

    /// How dark each pixel of the first channel is, 0 for white, row by row.
    fn darkness(canvas: &Canvas) -> Vec<u8> {
        canvas.pixels.chunks(CHANNELS).map(|pixel| 255 - pixel[0]).collect()
    }

    #[test]
    fn a_level_line_on_whole_pixels_has_sharp_sides() {
        let mut canvas = Canvas::white(5, 4).unwrap();
        canvas.stroke(&[(-9.0, 2.0), (9.0, 2.0)], 2.0, BLACK);
        let rows = [[0; 5], [255; 5], [255; 5], [0; 5]].concat();
        assert_eq!(darkness(&canvas), rows);
    }

    #[test]
    fn a_line_between_pixels_covers_both_by_half() {
        let mut canvas = Canvas::white(1, 3).unwrap();
        canvas.stroke(&[(-9.0, 1.0), (9.0, 1.0)], 1.0, BLACK);
        assert_eq!(darkness(&canvas), [127, 127, 0]);
    }

    #[test]
    fn a_joint_is_no_darker_than_the_line() {
        let mut once = Canvas::white(9, 5).unwrap();
        once.stroke(&[(1.0, 2.2), (8.0, 2.2)], 1.5, BLACK);
        let mut jointed = Canvas::white(9, 5).unwrap();
        jointed.stroke(&[(1.0, 2.2), (4.0, 2.2), (4.0, 2.2), (8.0, 2.2)], 1.5, BLACK);
        assert_eq!(once.pixels, jointed.pixels);
    }

    #[test]
    fn a_line_of_one_spot_is_a_dot() {
        let mut canvas = Canvas::white(3, 3).unwrap();
        canvas.stroke(&[(1.5, 1.5)], 1.0, BLACK);
        assert_eq!(darkness(&canvas)[4], 255);
    }

    #[test]
    fn disc_diamond_and_square_cover_their_area() {
        let area = |draw: fn(&mut Canvas, Spot, f32, Rgb)| {
            let mut canvas = Canvas::white(30, 30).unwrap();
            draw(&mut canvas, (15.3, 14.6), 9.0, BLACK);
            darkness(&canvas).into_iter().map(f32::from).sum::<f32>() / 255.0
        };
        let (disc, diamond) = (area(Canvas::disc), area(Canvas::diamond));
        let square = area(Canvas::square);
        assert!((disc - std::f32::consts::PI * 81.0).abs() < 1.0, "{disc}");
        assert!((diamond - 2.0 * 81.0).abs() < 1.0, "{diamond}");
        assert!((square - 4.0 * 81.0).abs() < 1.0, "{square}");
    }

    #[test]
    fn what_lies_off_the_page_is_left_out() {
        let mut canvas = Canvas::white(3, 2).unwrap();
        canvas.stroke(&[(-50.0, -70.0), (-40.0, 1e9)], 3.0, BLACK);
        canvas.disc((99.0, -99.0), 5.0, BLACK);
        canvas.fill(3, 2, 10, 10, BLACK);
        canvas.blend(-1, 0, BLACK, 1.0);
        canvas.blend(0, 2, BLACK, 1.0);
        assert_eq!(darkness(&canvas), [0; 6]);
        canvas.fill(2, 1, 10, 10, BLACK);
        assert_eq!(darkness(&canvas), [0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn a_page_beyond_the_longest_side_is_refused() {
        let refused = Canvas::white(MOST_SIDE + 1, 1);
        assert!(matches!(refused, Err(Problem::PageTooLarge { .. })));
    }
}
