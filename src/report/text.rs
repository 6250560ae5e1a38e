//! Words on a page, in one font embedded in the program.
//! No system font is asked for, so images look alike on every machine.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScaleFont, ScaleFont, point};

use super::canvas::{Canvas, Rgb, Spot};

/// Nearly black: softer than black, and far above the contrast that text needs on white.
const INK: Rgb = [0x1a; 3];
/// Exponent on the cover of a pixel: the light strokes gain weight, or they would look grey at
/// these sizes.
const WEIGHT: f32 = 0.75;
/// Where the baseline lies below the middle of a line, as a share of the size: half the height of
/// a digit of this font.
const BASELINE: f32 = 0.29;
const ELLIPSIS: char = '\u{2026}';

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
        .expect("the embedded font is part of the program")
});

/// Which part of a text stands at the given spot.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The way a text runs.
#[derive(Clone, Copy)]
pub(super) enum Run {
    Across,
    /// From the bottom to the top, as beside a vertical axis.
    Up,
}

/// Writes `text`, `size` pixels from one line to the next, with the middle of its height on `spot`.
pub(super) fn write(
    canvas: &mut Canvas,
    text: &str,
    spot: Spot,
    size: f32,
    anchor: Anchor,
    run: Run,
) {
    let before = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width(text, size) / 2.0,
        Anchor::End => width(text, size),
    };
    // Whole pixels up and down: a baseline between two would blur every letter's foot.
    let baseline = (size * BASELINE).round();
    for outline in glyphs(text, size).0.into_iter().filter_map(|glyph| FONT.outline_glyph(glyph)) {
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, cover| {
            let (along, down) = (corner.x + x as f32, corner.y + y as f32 + baseline);
            let (x, y) = match run {
                Run::Across => (spot.0 - before + along, spot.1 + down),
                Run::Up => (spot.0 + down, spot.1 + before - along),
            };
            canvas.blend(x.round() as i32, y.round() as i32, INK, cover.powf(WEIGHT));
        });
    }
}

/// Width of `text` in pixels.
pub(super) fn width(text: &str, size: f32) -> f32 {
    glyphs(text, size).1
}

/// `text`, or as much of its beginning as fits into `room` pixels with an ellipsis.
pub(super) fn fitted(text: &str, size: f32, room: f32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let room = room - width(&ELLIPSIS.to_string(), size);
    // Every glyph that ends within the room stands for one character.
    let (glyphs, _) = glyphs(text, size);
    let fitting = glyphs.iter().skip(1).take_while(|next| next.position.x <= room).count();
    let kept: String = text.chars().take(fitting).collect();
    format!("{}{ELLIPSIS}", kept.trim_end())
}

/// The glyphs of `text` side by side on a baseline through the origin, and where the next would
/// stand.
fn glyphs(text: &str, size: f32) -> (Vec<Glyph>, f32) {
    let font: PxScaleFont<_> = FONT.as_scaled(size);
    let mut placed: Vec<Glyph> = Vec::new();
    let mut end = 0.0;
    for character in text.chars() {
        let mut glyph = font.scaled_glyph(character);
        end += placed.last().map_or(0.0, |before| font.kern(before.id, glyph.id));
        glyph.position = point(end, 0.0);
        end += font.h_advance(glyph.id);
        placed.push(glyph);
    }
    (placed, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: f32 = 24.0;

    /// Darkest value of each row of a page of 80x80 with `text` in its middle, then of each column.
    fn shadows(text: &str, run: Run) -> (Vec<u8>, Vec<u8>) {
        const SIDE: usize = 80;
        let mut page = Canvas::white(SIDE, SIDE).unwrap();
        write(&mut page, text, (40.0, 40.0), SIZE, Anchor::Middle, run);
        let png = image::load_from_memory(&page.to_png().unwrap()).unwrap().into_luma8();
        let dark = |x: usize, y: usize| 255 - png.get_pixel(x as u32, y as u32).0[0];
        let rows = (0..SIDE).map(|y| (0..SIDE).map(|x| dark(x, y)).max().unwrap_or(0));
        let columns = (0..SIDE).map(|x| (0..SIDE).map(|y| dark(x, y)).max().unwrap_or(0));
        (rows.collect(), columns.collect())
    }

    /// First and last index with visible ink.
    fn ends(shadow: &[u8]) -> (usize, usize) {
        let inked = |dark: &&u8| **dark > 60;
        let first = shadow.iter().take_while(|dark| !inked(dark)).count();
        let last = shadow.len() - 1 - shadow.iter().rev().take_while(|dark| !inked(dark)).count();
        (first, last)
    }

    #[test]
    fn digits_stand_in_the_middle_of_their_spot() {
        let (rows, columns) = shadows("000", Run::Across);
        for (first, last) in [ends(&rows), ends(&columns)] {
            assert!(((first + last) as f32 / 2.0 - 39.5).abs() <= 1.0, "{first}..={last}");
        }
    }

    #[test]
    fn text_that_runs_up_is_the_same_text_turned() {
        let (across, up) = (shadows("loss", Run::Across), shadows("loss", Run::Up));
        let reversed: Vec<u8> = across.1.iter().rev().copied().collect();
        let shift = |shadow: &[u8]| ends(shadow).0;
        assert_eq!(up.0[shift(&up.0)..][..20], reversed[shift(&reversed)..][..20]);
    }

    #[test]
    fn text_that_fits_is_kept_and_text_that_does_not_is_cut_to_fit() {
        assert_eq!(fitted("loss", SIZE, 100.0), "loss");
        let cut = fitted(&"loss ".repeat(500), SIZE, 100.0);
        assert!(cut.starts_with("loss") && cut.ends_with(ELLIPSIS), "{cut}");
        assert!((70.0..=100.0).contains(&width(&cut, SIZE)), "{cut}");
    }

    #[test]
    fn text_that_the_font_lacks_still_takes_room() {
        assert!(width("\u{65e5}\u{672c}\n\u{1f600}", SIZE) > 0.0);
        assert!(width("", SIZE) == 0.0);
    }
}
