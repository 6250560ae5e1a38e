//! Whether a JPEG's scans are all there. Its decoder makes up what is missing: at the first marker, also
//! one of a second JPEG, it takes zeros for the rest of the scan. So each scan is walked through here once
//! before: each of its blocks has to be there, and behind the last one nothing but filling up to the marker.
//! No coefficient is computed.
//!
//! Source: ITU-T T.81, annexes B (markers), F (sequential) and G (progressive).

mod bits;
mod scan;

use super::ImageProblem;
use bits::Huffman;
use scan::{Component, Scan};

/// Why a JPEG is not read.
enum Fault {
    /// A part of it is missing or makes no sense.
    Damage(&'static str),
    /// Sound perhaps, but nothing that the decoder takes.
    Kind(String),
    /// Height and width.
    TooLarge([u32; 2]),
}

type Checked<T> = Result<T, Fault>;

/// A JPEG that is whole.
pub(super) struct Whole {
    /// Height and width.
    pub size: [u32; 2],
    /// Channels.
    pub components: usize,
}

/// Looks through an image of at most `most` pixels. What follows the image's end is no part of it, as the film
/// of a moving photograph.
///
/// # Errors
/// When a part is missing, or it is of a kind that is not read.
pub(super) fn check(file: &[u8], most: u64) -> Result<Whole, ImageProblem> {
    Jpeg { most, ..Jpeg::default() }.walk(file).map_err(|fault| match fault {
        Fault::Damage(problem) => ImageProblem::Damaged(problem.to_owned()),
        Fault::Kind(what) => ImageProblem::Kind { what, instead: "PNG" },
        Fault::TooLarge([height, width]) => ImageProblem::TooLarge { width, height, most },
    })
}

/// What is known so far of a file.
#[derive(Default)]
struct Jpeg {
    most: u64,
    frame: Option<Frame>,
    /// For the first, and the further coefficients of a block.
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Groups of blocks between two restarts; 0 is all.
    restart: usize,
    scans: usize,
}

/// Scans that the decoder follows.
const MOST_SCANS: usize = 100;

/// What the frame's header says.
struct Frame {
    size: [u32; 2],
    progressive: bool,
    components: Vec<Component>,
}

/// The end of a file that has none.
const CUT: Fault = Fault::Damage("its end is missing");

impl Jpeg {
    fn walk(&mut self, file: &[u8]) -> Checked<Whole> {
        let mut rest = file;
        loop {
            let marker;
            (marker, rest) = next_marker(rest, self.scans == 0)?;
            match marker {
                0xd9 => return self.end(),
                0x01 => {}
                0xd0..=0xd8 if self.scans == 0 => {} // the file's first; decoders pass over others
                0xd0..=0xd8 => return Err(Fault::Damage("it breaks off within its image")),
                _ => rest = self.segment(marker, rest)?,
            }
        }
    }

    /// A segment, and of a scan its data; what follows.
    fn segment<'a>(&mut self, marker: u8, rest: &'a [u8]) -> Checked<&'a [u8]> {
        let length = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
        let (body, behind) = match length {
            Some(length @ 2..) if length <= rest.len() => (&rest[2..length], &rest[length..]),
            Some(0 | 1) => return Err(Fault::Damage("a segment has no length")),
            _ => return Err(CUT),
        };
        match marker {
            0xc4 => self.tables(body)?,
            0xc0..=0xc2 if self.frame.is_none() => self.frame = Some(self.frame(marker, body)?),
            0xc0..=0xc2 => return Err(Fault::Damage("it has two frames")),
            0xc3 | 0xc5..=0xcb | 0xcd..=0xcf | 0xf7 => return Err(Fault::Kind(coding(marker))),
            0xdd => {
                let blocks = body.first_chunk().ok_or(CUT)?;
                self.restart = usize::from(u16::from_be_bytes(*blocks));
            }
            0xda => return self.scan(body, behind),
            _ => {}
        }
        Ok(behind)
    }

    fn tables(&mut self, mut body: &[u8]) -> Checked<()> {
        while let [place, rest @ ..] = body {
            let table;
            (table, body) = Huffman::new(rest).ok_or(Fault::Damage("a table is none"))?;
            let tables = if place >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let known = tables.get_mut(usize::from(place & 15));
            *known.ok_or(Fault::Damage("a table has no place"))? = Some(table);
        }
        Ok(())
    }

    fn scan<'a>(&mut self, header: &[u8], data: &'a [u8]) -> Checked<&'a [u8]> {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(Fault::Kind(format!("it is a JPEG of more than {MOST_SCANS} scans")));
        }
        let frame = self.frame.as_mut().ok_or(Fault::Damage("a scan comes before the frame"))?;
        let mut scan = Scan::new(frame.size, frame.progressive, &mut frame.components, header)?;
        scan.walk([&self.dc, &self.ac], self.restart, data)
    }

    fn frame(&self, marker: u8, body: &[u8]) -> Checked<Frame> {
        let [precision, h1, h0, w1, w0, count, components @ ..] = body else { return Err(CUT) };
        let number = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let size = [number(*h1, *h0), number(*w1, *w0)];
        if *precision != 8 {
            return Err(Fault::Kind(format!("it is a JPEG of {precision} bits a value")));
        }
        if size[0] == 0 {
            return Err(Fault::Kind("it is a JPEG whose height follows its first scan".to_owned()));
        }
        if u64::from(size[0]) * u64::from(size[1]) > self.most {
            return Err(Fault::TooLarge(size));
        }
        let (components, _) = components.as_chunks::<3>();
        if size[1] == 0 || !(1..=4).contains(count) || components.len() < usize::from(*count) {
            return Err(Fault::Damage("its frame makes no sense"));
        }
        let components = &components[..usize::from(*count)];
        let components = Component::all(size, marker == 0xc2, components);
        let components = components.ok_or(Fault::Damage("its frame makes no sense"))?;
        Ok(Frame { size, progressive: marker == 0xc2, components })
    }

    /// Whether all components were there.
    fn end(&self) -> Checked<Whole> {
        match &self.frame {
            None => Err(Fault::Damage("it has no image")),
            Some(frame) if frame.components.iter().all(|component| component.scanned) => {
                Ok(Whole { size: frame.size, components: frame.components.len() })
            }
            Some(_) => Err(Fault::Damage("a scan is missing")),
        }
    }
}

/// The next marker and what follows it. Before the image decoders pass over anything else, in it only over
/// filling.
fn next_marker(mut rest: &[u8], lenient: bool) -> Checked<(u8, &[u8])> {
    loop {
        rest = match rest {
            [0xff, 0xff, ..] => &rest[1..],
            [0xff, 0, behind @ ..] | [0, behind @ ..] => behind,
            [0xff, marker, behind @ ..] => return Ok((*marker, behind)),
            [0xff] | [] => return Err(CUT),
            [_, behind @ ..] if lenient => behind,
            _ => return Err(Fault::Damage("other bytes stand between its scans")),
        }
    }
}

/// Words for what T.81 has beside baseline and progressive.
fn coding(marker: u8) -> String {
    let how = match marker {
        0xc3 => "lossless",
        0xc5..=0xc7 => "hierarchical",
        0xf7 => "JPEG-LS",
        _ => "arithmetic",
    };
    format!("it is a JPEG with {how} coding")
}

#[cfg(test)]
mod tests;
