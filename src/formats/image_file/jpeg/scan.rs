//! One scan: the blocks of some components, or of all, in one pass or a part of their bits.

use super::bits::{Bits, Huffman};
use super::{Checked, Fault};

/// Grey, or one of a JPEG's colours.
pub(super) struct Component {
    id: u8,
    /// Blocks side by side, and one below the other, in each group of blocks.
    sampling: [usize; 2],
    /// Blocks of its own, without those that fill up a group: down and across.
    own: [usize; 2],
    /// Groups of all components: down and across.
    groups: [usize; 2],
    /// Of a progressive image: which coefficients of each block are known not to be zero, a bit for each.
    known: Vec<u64>,
    /// Whether its first coefficients were there.
    pub scanned: bool,
}

impl Component {
    /// The components of a frame; `None` where they make no sense.
    pub fn all(size: [u32; 2], progressive: bool, headers: &[[u8; 3]]) -> Option<Vec<Self>> {
        let sampling = |&[_, both, _]: &[u8; 3]| {
            let sampling = [both & 15, both >> 4].map(usize::from);
            sampling.iter().all(|factor| (1..=4).contains(factor)).then_some(sampling)
        };
        let samplings = headers.iter().map(sampling).collect::<Option<Vec<_>>>()?;
        let size = size.map(|side| side as usize);
        let most = |axis: usize| samplings.iter().map(|factors| factors[axis]).max();
        let most = [most(0)?, most(1)?];
        let groups = [0, 1].map(|axis| size[axis].div_ceil(8 * most[axis]));
        let component = |([id, ..], sampling): (&[u8; 3], [usize; 2])| {
            let own =
                [0, 1].map(|axis| (size[axis] * sampling[axis]).div_ceil(most[axis]).div_ceil(8));
            let blocks = groups[0] * sampling[0] * groups[1] * sampling[1];
            let known = vec![0; if progressive { blocks } else { 0 }];
            Self { id: *id, sampling, own, groups, known, scanned: false }
        };
        Some(headers.iter().zip(samplings).map(component).collect())
    }
}

/// What a scan's header says.
pub(super) struct Scan<'a> {
    components: &'a mut [Component],
    /// Which component, and its tables for the first and the further coefficients.
    parts: Vec<(usize, [usize; 2])>,
    progressive: bool,
    /// Coefficients of a progressive image, the first and the last.
    band: [u32; 2],
    /// Whether one more bit comes to those that are there.
    refines: bool,
}

/// Why a scan cannot be followed.
const NO_SENSE: Fault = Fault::Damage("the header of a scan makes no sense");
const SHORT: Fault = Fault::Damage("a scan breaks off");

impl<'a> Scan<'a> {
    pub fn new(
        size: [u32; 2],
        progressive: bool,
        components: &'a mut [Component],
        header: &[u8],
    ) -> Checked<Self> {
        debug_assert!(size.iter().all(|&side| side > 0));
        let [count, rest @ ..] = header else { return Err(NO_SENSE) };
        let (parts, [first, last, bits, ..]) =
            rest.split_at_checked(2 * usize::from(*count)).ok_or(NO_SENSE)?
        else {
            return Err(NO_SENSE);
        };
        let part = |&[id, tables]: &[u8; 2]| {
            let component = components.iter().position(|component| component.id == id);
            let tables = [tables >> 4, tables & 15].map(usize::from);
            component.filter(|_| tables.iter().all(|&table| table < 4)).map(|place| (place, tables))
        };
        let parts = parts.as_chunks().0.iter().map(part).collect::<Option<Vec<_>>>();
        let parts = parts.filter(|parts| !parts.is_empty()).ok_or(NO_SENSE)?;
        let band = if progressive { [*first, *last].map(u32::from) } else { [0, 63] };
        let alone = parts.len() == 1 && band[0] > 0;
        if progressive && (band[1] > 63 || band[0] > band[1] || !(band == [0, 0] || alone)) {
            return Err(NO_SENSE);
        }
        let refines = progressive && bits >> 4 > 0;
        Ok(Self { components, parts, progressive, band, refines })
    }

    /// Passes over all blocks; what follows the scan. A frame without tables of its own, as in some films,
    /// is passed over unseen.
    pub fn walk<'b>(
        &mut self,
        tables: [&[Option<Huffman>; 4]; 2],
        restart: usize,
        data: &'b [u8],
    ) -> Checked<&'b [u8]> {
        if self.band[0] == 0 {
            for &(place, _) in &self.parts {
                self.components[place].scanned = true;
            }
        }
        let [firsts, others] = self.needs();
        let missing = |&(_, [dc, ac]): &(usize, [usize; 2])| {
            firsts && tables[0][dc].is_none() || others && tables[1][ac].is_none()
        };
        if self.parts.iter().any(missing) {
            return Ok(unseen(data));
        }
        let [down, across] = self.groups();
        let (mut bits, mut run, mut left, mut number) = (Bits::new(data), 0, restart, 0);
        for group in 0..down * across {
            if restart > 0 && left == 0 {
                bits = Bits::new(restarted(bits, number)?);
                (run, left, number) = (0, restart, (number + 1) % 8);
            }
            self.group([group / across, group % across], tables, &mut bits, &mut run)
                .ok_or(SHORT)?;
            left = left.wrapping_sub(1);
        }
        let rest = bits.end().ok_or(Fault::Damage("other bytes stand at the end of a scan"))?;
        // A restart behind the last block is one too many, which decoders pass over.
        Ok(match rest {
            [0xff, 0xd0..=0xd7, behind @ ..] if restart > 0 && left == 0 => behind,
            _ => rest,
        })
    }

    /// Whether the scan has codes of first coefficients, and of further ones.
    fn needs(&self) -> [bool; 2] {
        [self.band[0] == 0 && !self.refines, self.band[1] > 0]
    }

    /// A component alone has no groups but its own blocks.
    fn groups(&self) -> [usize; 2] {
        match self.parts[..] {
            [(place, _)] => self.components[place].own,
            _ => self.components[self.parts[0].0].groups,
        }
    }

    fn group(
        &mut self,
        at: [usize; 2],
        tables: [&[Option<Huffman>; 4]; 2],
        bits: &mut Bits<'_>,
        run: &mut u32,
    ) -> Option<()> {
        let alone = self.parts.len() == 1;
        for &(place, [dc, ac]) in &self.parts {
            let component = &mut self.components[place];
            let tables = [tables[0][dc].as_ref(), tables[1][ac].as_ref()];
            let sampling = if alone { [1, 1] } else { component.sampling };
            let width = component.groups[1] * component.sampling[1];
            for row in 0..sampling[0] {
                for column in 0..sampling[1] {
                    if !self.progressive {
                        sequential(tables, bits)?;
                        continue;
                    }
                    let (y, x) = (at[0] * sampling[0] + row, at[1] * sampling[1] + column);
                    let known = component.known.get_mut(y * width + x)?;
                    match (self.band, self.refines) {
                        ([0, _], false) => first(tables[0]?, bits)?,
                        ([0, _], true) => drop(bits.take(1)?),
                        (band, false) => further(band, tables[1]?, bits, run, known)?,
                        (band, true) => refined(band, tables[1]?, bits, run, known)?,
                    }
                }
            }
        }
        Some(())
    }
}

/// What follows the next marker's place.
fn unseen(data: &[u8]) -> &[u8] {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    let end = data.windows(2).position(ends);
    &data[end.unwrap_or(data.len())..]
}

/// What follows the restart of that number.
fn restarted(bits: Bits<'_>, number: u8) -> Checked<&[u8]> {
    let mut rest = bits.end().ok_or(SHORT)?;
    while let [0xff, 0xff, ..] = rest {
        rest = &rest[1..];
    }
    match rest {
        [0xff, marker, behind @ ..] if *marker == 0xd0 + number => Ok(behind),
        _ => Err(SHORT),
    }
}

fn first(table: &Huffman, bits: &mut Bits<'_>) -> Option<()> {
    let length = bits.code(table).filter(|&length| length <= 16)?;
    bits.take(u32::from(length))?;
    Some(())
}

fn sequential([dc, ac]: [Option<&Huffman>; 2], bits: &mut Bits<'_>) -> Option<()> {
    first(dc?, bits)?;
    further([1, 63], ac?, bits, &mut 0, &mut 0)
}

/// How many zeros come before a coefficient, and its length in bits.
fn zeros_and_length(table: &Huffman, bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let code = bits.code(table)?;
    Some((u32::from(code >> 4), u32::from(code & 15)))
}

/// Coefficients for the first time: pairs of how many zeros come before one, and its length. Length 0 is
/// sixteen zeros or the end, which may be that of a run of blocks.
fn further(
    band: [u32; 2],
    table: &Huffman,
    bits: &mut Bits<'_>,
    run: &mut u32,
    known: &mut u64,
) -> Option<()> {
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    let mut place = band[0];
    while place <= band[1] {
        let (zeros, length) = zeros_and_length(table, bits)?;
        match (zeros, length) {
            (15, 0) => place += 16,
            (_, 0) => {
                *run = (1 << zeros) - 1 + bits.take(zeros)?;
                return Some(());
            }
            _ => {
                place += zeros;
                if place > band[1] {
                    return None;
                }
                bits.take(length)?;
                *known |= 1 << place;
                place += 1;
            }
        }
    }
    Some(())
}

/// One more bit of those that are known, and new ones among them.
fn refined(
    band: [u32; 2],
    table: &Huffman,
    bits: &mut Bits<'_>,
    run: &mut u32,
    known: &mut u64,
) -> Option<()> {
    let mut place = band[0];
    while *run == 0 && place <= band[1] {
        let (mut zeros, length) = zeros_and_length(table, bits)?;
        if length == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        bits.take(u32::from(length > 0))?; // its sign
        while place <= band[1] {
            if *known >> place & 1 == 1 {
                bits.take(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            place += 1;
        }
        if length > 0 {
            // Zeros beyond the band make no sense.
            *known |= (place <= band[1]).then_some(1 << place)?;
        }
        place += 1;
    }
    if *run > 0 {
        while place <= band[1] {
            bits.take((*known >> place & 1) as u32)?;
            place += 1;
        }
        *run -= 1;
    }
    Some(())
}
