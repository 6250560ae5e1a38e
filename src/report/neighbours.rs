//! Images beside those that resemble them: a row for each query, captions under each image.
//! What resembles what is the caller's finding.

use std::path::Path;

use super::canvas::{Canvas, MOST_SIDE};
use super::grid::{GAP, Layout, MARGIN, draw_raster, factor};
use super::text::{self, Anchor, Run};
use super::{Problem, Raster, ReportError, deliver};

/// Line height of the captions, which are many.
const CAPTION_SIZE: f32 = 18.0;
/// Line height of the headings.
const HEADING_SIZE: f32 = 24.0;
/// Height of the line of headings.
const HEADING: usize = 36;
/// White space between a query and its neighbours.
const APART: usize = 40;
/// Room for a caption under a narrow image.
const LEAST_WIDTH: usize = 112;

/// An image with what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Captioned {
    /// Any size.
    pub raster: Raster,
    /// Under it, from the top; each is cut where it is too long.
    pub lines: Vec<String>,
}

/// A query and its neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighbourRow {
    /// At the left.
    pub query: Captioned,
    /// Beside it, the nearest first.
    pub nearest: Vec<Captioned>,
}

/// How many rows fit on a page of [`MOST_SIDE`], of images of one size with captions of so many
/// lines; none where a single row is too wide.
#[must_use]
pub fn most_rows([height, width]: [usize; 2], nearest: usize, lines: usize) -> usize {
    let layout = layout_of([height, width], 1 + nearest);
    if width_of(&layout) > MOST_SIDE {
        return 0;
    }
    (MOST_SIDE - MARGIN - HEADING) / step(&layout, lines)
}

/// Writes the rows as one page; `heading` stands over the neighbours.
///
/// Images are enlarged as in a grid, all by one factor.
///
/// # Errors
/// [`ReportError`] naming the file: no row, a page beyond 16,384 pixels in a side, or a file that
/// cannot be written.
pub fn write_neighbours(
    path: &Path,
    heading: &str,
    rows: &[NeighbourRow],
) -> Result<(), ReportError> {
    deliver(path, || {
        let layout = layout(rows)?;
        let step = step(&layout, lines(rows));
        let (width, height) = size(&layout, heading, rows.len(), step);
        let mut page = Canvas::white(width, height)?;
        let middle = (MARGIN + HEADING / 2 - GAP) as f32;
        for (place, words) in [(left(&layout, 0), "Query"), (left(&layout, 1), heading)] {
            let spot = (place as f32, middle);
            text::write(&mut page, words, spot, HEADING_SIZE, Anchor::Start, Run::Across);
        }
        for (index, row) in rows.iter().enumerate() {
            let top = MARGIN + HEADING + index * step;
            for (column, raster) in std::iter::once(&row.query).chain(&row.nearest).enumerate() {
                draw(&mut page, raster, &layout, left(&layout, column), top);
            }
        }
        page.to_png()
    })
}

fn layout(rows: &[NeighbourRow]) -> Result<Layout, Problem> {
    let all = || rows.iter().flat_map(|row| std::iter::once(&row.query).chain(&row.nearest));
    let width = all().map(|one| one.raster.width()).max().ok_or(Problem::NoImages)?;
    let height = all().map(|one| one.raster.height()).max().ok_or(Problem::NoImages)?;
    let columns = rows.iter().map(|row| 1 + row.nearest.len()).max().unwrap_or(1);
    Ok(layout_of([height, width], columns))
}

/// Of images whose largest sides are these.
fn layout_of([height, width]: [usize; 2], columns: usize) -> Layout {
    let factor = factor(width.max(height));
    let cell = ((width * factor).max(LEAST_WIDTH), height * factor);
    Layout { factor, columns, cell, labels: 0 }
}

/// Left edge of a column, of which the first is the query's.
fn left(layout: &Layout, column: usize) -> usize {
    MARGIN + column * (layout.cell.0 + GAP) + if column == 0 { 0 } else { APART }
}

/// Of the longest caption.
fn lines(rows: &[NeighbourRow]) -> usize {
    let all = rows.iter().flat_map(|row| std::iter::once(&row.query).chain(&row.nearest));
    all.map(|one| one.lines.len()).max().unwrap_or(0)
}

/// From one row to the next, with captions of so many lines.
fn step(layout: &Layout, lines: usize) -> usize {
    layout.cell.1 + lines * CAPTION_SIZE as usize + 2 * GAP
}

/// Width of a page without a heading.
fn width_of(layout: &Layout) -> usize {
    left(layout, layout.columns) - GAP + MARGIN
}

/// Width and height of the page.
fn size(layout: &Layout, heading: &str, rows: usize, step: usize) -> (usize, usize) {
    let headed = left(layout, 1) + text::width(heading, HEADING_SIZE).ceil() as usize;
    let width = width_of(layout).max(headed + MARGIN);
    (width, MARGIN + HEADING + rows.saturating_mul(step))
}

/// An image and its captions, in the middle under it.
fn draw(page: &mut Canvas, one: &Captioned, layout: &Layout, left: usize, top: usize) {
    draw_raster(page, &one.raster, layout, left, top);
    let (width, height) = layout.cell;
    let (middle, mut line) = ((left + width / 2) as f32, (top + height + GAP) as f32);
    for words in &one.lines {
        let words = text::fitted(words, CAPTION_SIZE, width as f32);
        let spot = (middle, line + CAPTION_SIZE / 2.0);
        text::write(page, &words, spot, CAPTION_SIZE, Anchor::Middle, Run::Across);
        line += CAPTION_SIZE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(height: usize, width: usize, value: f32, lines: &[&str]) -> Captioned {
        let raster = Raster::new(height, width, 1, vec![value; height * width]).unwrap();
        Captioned { raster, lines: lines.iter().map(ToString::to_string).collect() }
    }

    fn written(rows: &[NeighbourRow]) -> image::GrayImage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.png");
        write_neighbours(&path, "Nearest", rows).unwrap();
        image::open(&path).unwrap().into_luma8()
    }

    #[test]
    fn each_image_stands_at_its_place_with_ink_under_it() {
        let nearest = vec![one(28, 28, 0.2, &["0001", "1.5"]), one(28, 28, 0.4, &["0002", "2"])];
        let rows = [NeighbourRow { query: one(28, 28, 0.6, &["query"]), nearest }];
        let page = written(&rows);
        let layout = layout(&rows).unwrap();
        let top = MARGIN + HEADING;
        for (column, value) in [0.6_f32, 0.2, 0.4].into_iter().enumerate() {
            let (x, bottom) = (left(&layout, column), top + layout.cell.1);
            let middle = page.get_pixel((x + 56) as u32, (top + 56) as u32).0[0];
            assert_eq!(middle, (value * 255.0).round() as u8);
            let captions = (x..x + layout.cell.0)
                .flat_map(|x| (bottom + GAP..bottom + 4 * GAP).map(move |y| (x, y)));
            let ink = captions.filter(|&(x, y)| page.get_pixel(x as u32, y as u32).0[0] < 128);
            assert!(ink.count() > 20, "column {column}");
        }
    }

    #[test]
    fn rows_of_other_lengths_and_long_names_share_a_page() {
        let long = "x".repeat(500);
        let rows = [
            NeighbourRow { query: one(5, 9, 0.0, &[&long]), nearest: vec![] },
            NeighbourRow { query: one(28, 2, 0.0, &[]), nearest: vec![one(28, 2, 0.0, &[&long])] },
        ];
        let page = written(&rows);
        assert!(page.width() < 500, "{}", page.width());
    }

    #[test]
    fn the_most_rows_fit_and_one_more_does_not() {
        for [height, width] in [[28, 28], [700, 30], [3, 200]] {
            let most = most_rows([height, width], 1, 2);
            let nearest = vec![one(height, width, 0.0, &["a", "b"])];
            let row = NeighbourRow { query: one(height, width, 0.0, &["a"]), nearest };
            written(&vec![row.clone(); most]);
            let refused =
                write_neighbours(Path::new("never-written.png"), "", &vec![row; most + 1]);
            assert!(matches!(refused.unwrap_err().problem, Problem::PageTooLarge { .. }));
        }
    }

    #[test]
    fn no_row_fits_where_one_is_too_wide_or_too_high() {
        assert_eq!(most_rows([28, 28], 50, 2), most_rows([28, 28], 1, 2));
        assert_eq!(most_rows([500, 500], 50, 2), 0);
        assert_eq!(most_rows([20_000, 10], 1, 2), 0);
    }

    #[test]
    fn no_row_and_too_many_are_refused() {
        let refusal = |rows: &[NeighbourRow]| {
            write_neighbours(Path::new("never-written.png"), "", rows).unwrap_err().problem
        };
        assert!(matches!(refusal(&[]), Problem::NoImages));
        let row = NeighbourRow { query: one(28, 28, 0.0, &[]), nearest: vec![] };
        assert!(matches!(refusal(&vec![row; 200]), Problem::PageTooLarge { .. }));
    }
}
