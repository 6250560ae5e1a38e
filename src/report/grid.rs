//! Images side by side: labelled rows, each image enlarged so that a person sees its pixels.
//! Which images are worth showing is the caller's choice.

use std::path::Path;

use super::canvas::{Canvas, Rgb};
use super::text::{self, Anchor, Run};
use super::{Problem, Raster, ReportError, deliver};

/// Columns on a page, whatever the number of images.
const MOST_COLUMNS: usize = 10;
/// Side that an image is enlarged to, or just below: ten of them fill the width of a README.
const GOOD_SIDE: usize = 112;
/// Side below which an image is enlarged once more, at the cost of columns.
const LEAST_SIDE: usize = 80;
/// Width that the images of a row may take together.
const ROW_WIDTH: usize = MOST_COLUMNS * (GOOD_SIDE + GAP);
/// White space between images.
pub(super) const GAP: usize = 6;
/// White space around the page and beside the labels.
pub(super) const MARGIN: usize = 16;
/// Line height of the labels.
const LABEL_SIZE: f32 = 28.0;
/// Longest label in pixels; a file name given as a label must not push the images away.
const MOST_LABEL: f32 = 240.0;
/// A hairline around each image, without which a white image has no edge.
const FRAME: Rgb = [0xc8, 0xc8, 0xc8];

/// One labelled row of a grid.
#[derive(Debug, Clone, Copy)]
pub struct GridRow<'a> {
    /// Short name at the left, such as "input"; cut where it is too long.
    pub label: &'a str,
    /// The images, of which the first ten at most are shown.
    pub rasters: &'a [Raster],
}

/// Sizes on a page, in pixels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many times each image is enlarged.
    pub(super) factor: usize,
    pub(super) columns: usize,
    /// Room for the largest image after enlarging, `(width, height)`.
    pub(super) cell: (usize, usize),
    /// Width of the widest label.
    pub(super) labels: usize,
}

/// Writes rows of images as one page, about 1300 pixels wide at ten columns.
///
/// All images are enlarged by one integer factor with nearest neighbour, so that pixels stay
/// crisp: 28x28 becomes 112x112. Images too large for ten columns are shown in fewer. Rows may
/// differ in length and images in size; smaller ones are centred.
///
/// # Errors
/// [`ReportError`] naming the file: no image at all, a page beyond 16,384 pixels in a side, or a
/// file that cannot be written.
pub fn write_grid(path: &Path, rows: &[GridRow<'_>]) -> Result<(), ReportError> {
    deliver(path, || {
        let layout = Layout::of(rows)?;
        let mut page = Canvas::white(layout.page_width(), layout.top(rows.len()) - GAP + MARGIN)?;
        for (index, row) in rows.iter().enumerate() {
            draw_label(&mut page, row.label, &layout, index);
            for (column, raster) in row.rasters.iter().take(layout.columns).enumerate() {
                draw_raster(&mut page, raster, &layout, layout.left(column), layout.top(index));
            }
        }
        page.to_png()
    })
}

impl Layout {
    fn of(rows: &[GridRow<'_>]) -> Result<Self, Problem> {
        let shown = || rows.iter().flat_map(|row| row.rasters.iter().take(MOST_COLUMNS));
        let width = shown().map(Raster::width).max().ok_or(Problem::NoImages)?;
        let height = shown().map(Raster::height).max().ok_or(Problem::NoImages)?;
        let longest = rows.iter().map(|row| row.rasters.len()).max().unwrap_or(0);

        let factor = factor(width.max(height));
        let cell = (width * factor, height * factor);
        let fitting = (ROW_WIDTH / (cell.0 + GAP)).max(1);
        let columns = longest.min(MOST_COLUMNS).min(fitting);
        Ok(Self { factor, columns, cell, labels: labels_width(rows) })
    }

    /// Left edge of a column.
    fn left(&self, column: usize) -> usize {
        let labels = if self.labels == 0 { 0 } else { self.labels + MARGIN };
        (self.cell.0.saturating_add(GAP)).saturating_mul(column).saturating_add(MARGIN + labels)
    }

    /// Upper edge of a row.
    fn top(&self, row: usize) -> usize {
        (self.cell.1.saturating_add(GAP)).saturating_mul(row).saturating_add(MARGIN)
    }

    fn page_width(&self) -> usize {
        self.left(self.columns) - GAP + MARGIN
    }
}

/// How many times an image is enlarged: up to `GOOD_SIDE`, and in any case to `LEAST_SIDE`.
pub(super) fn factor(side: usize) -> usize {
    (GOOD_SIDE / side).max(LEAST_SIDE.div_ceil(side))
}

/// Width of the widest label as shown.
fn labels_width(rows: &[GridRow<'_>]) -> usize {
    let widths = rows.iter().map(|row| text::width(&cut(row.label), LABEL_SIZE));
    widths.fold(0.0, f32::max).ceil() as usize
}

/// The label as shown.
fn cut(label: &str) -> String {
    text::fitted(label, LABEL_SIZE, MOST_LABEL)
}

/// Writes a label beside its images, half way down the row.
fn draw_label(page: &mut Canvas, label: &str, layout: &Layout, row: usize) {
    let right = (MARGIN + layout.labels) as f32;
    let middle = layout.top(row) as f32 + layout.cell.1 as f32 / 2.0;
    text::write(page, &cut(label), (right, middle), LABEL_SIZE, Anchor::End, Run::Across);
}

/// Draws an image, enlarged and framed, in the middle of its cell.
pub(super) fn draw_raster(
    page: &mut Canvas,
    raster: &Raster,
    layout: &Layout,
    left: usize,
    top: usize,
) {
    let factor = layout.factor;
    let (width, height) = (raster.width() * factor, raster.height() * factor);
    let left = left + (layout.cell.0 - width) / 2;
    let top = top + (layout.cell.1 - height) / 2;
    page.fill(left - 1, top - 1, width + 2, height + 2, FRAME);
    for row in 0..raster.height() {
        for column in 0..raster.width() {
            let colour = raster.rgb(row, column);
            page.fill(left + column * factor, top + row * factor, factor, factor, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(height: usize, width: usize, value: f32) -> Raster {
        Raster::new(height, width, 1, vec![value; height * width]).unwrap()
    }

    fn layout(side: usize, count: usize) -> Layout {
        let rasters = vec![grey(side, side, 0.5); count];
        Layout::of(&[GridRow { label: "", rasters: &rasters }]).unwrap()
    }

    fn written(rows: &[GridRow<'_>]) -> image::RgbImage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        write_grid(&path, rows).unwrap();
        image::open(&path).unwrap().into_rgb8()
    }

    fn refusal(rows: &[GridRow<'_>]) -> Problem {
        write_grid(Path::new("never-written.png"), rows).unwrap_err().problem
    }

    #[test]
    fn digits_are_enlarged_four_times_in_ten_columns() {
        let layout = layout(28, 25);
        assert_eq!((layout.factor, layout.columns, layout.cell), (4, 10, (112, 112)));
    }

    #[test]
    fn images_that_would_stay_small_are_enlarged_once_more_in_fewer_columns() {
        let layout = layout(64, 25);
        assert_eq!((layout.factor, layout.columns), (2, 8));
    }

    #[test]
    fn large_images_keep_their_size_and_lose_columns() {
        assert_eq!((layout(256, 25).factor, layout(256, 25).columns), (1, 4));
        assert_eq!(layout(3000, 25).columns, 1);
    }

    #[test]
    fn fewer_images_make_a_narrower_page() {
        assert_eq!(layout(28, 3).columns, 3);
        assert_eq!(layout(28, 3).page_width(), 3 * 112 + 2 * GAP + 2 * MARGIN);
    }

    #[test]
    fn each_image_is_enlarged_with_crisp_pixels_at_its_place() {
        let rasters = [Raster::new(1, 2, 3, vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0]).unwrap()];
        let page = written(&[GridRow { label: "", rasters: &rasters }]);
        let (left, top) = (MARGIN as u32, MARGIN as u32);
        let half = 56; // 112 / 2
        assert_eq!(page.dimensions(), (2 * left + 2 * half, 2 * top + half));
        for (x, y, pixel) in page.enumerate_pixels() {
            let inside = (top..top + half).contains(&y);
            if inside && (left..left + half).contains(&x) {
                assert_eq!(pixel.0, [255, 0, 0]);
            } else if inside && (left + half..left + 2 * half).contains(&x) {
                assert_eq!(pixel.0, [0, 0, 255]);
            } else {
                assert!(pixel.0 == [255; 3] || pixel.0 == FRAME, "{x} {y} {pixel:?}");
            }
        }
    }

    #[test]
    fn labels_leave_ink_left_of_the_images() {
        let rasters = [grey(28, 28, 1.0)];
        let page = written(&[GridRow { label: "input", rasters: &rasters }]);
        let bare = written(&[GridRow { label: "", rasters: &rasters }]);
        assert!(page.width() > bare.width());
        let dark = page.pixels().filter(|pixel| pixel.0[0] < 128).count();
        assert!(dark > 30, "{dark} dark pixels");
    }

    #[test]
    fn an_endless_label_is_cut() {
        assert!(cut(&"x".repeat(1000)).chars().count() < 40);
        assert_eq!(cut("output"), "output");
    }

    #[test]
    fn rows_of_different_lengths_and_sizes_share_a_page() {
        let (few, many) = ([grey(28, 28, 0.2)], [grey(5, 9, 0.4), grey(28, 20, 0.6)]);
        let rows = [("a", &few[..]), ("b", &many[..]), ("c", &[])];
        let rows = rows.map(|(label, rasters)| GridRow { label, rasters });
        let page = written(&rows);
        assert_eq!(page.height() as usize, 3 * 112 + 2 * GAP + 2 * MARGIN);
    }

    #[test]
    fn a_grid_without_images_is_refused() {
        assert!(matches!(refusal(&[]), Problem::NoImages));
        assert!(matches!(refusal(&[GridRow { label: "a", rasters: &[] }]), Problem::NoImages));
    }

    #[test]
    fn a_page_too_large_for_any_viewer_is_refused() {
        let rasters = [grey(1, 20_000, 0.0)];
        let refused = refusal(&[GridRow { label: "", rasters: &rasters }]);
        assert!(matches!(refused, Problem::PageTooLarge { width: 20_032, .. }), "{refused}");
    }
}
