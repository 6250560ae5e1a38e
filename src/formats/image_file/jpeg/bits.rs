//! A scan's bits, and the codes that they make up.

/// Codes of up to this length are looked up at once.
const QUICK: u32 = 9;

/// A table of codes, each of 1 to 16 bits, which stand for a byte each.
pub(super) struct Huffman {
    /// By the next bits: the code's length and its byte; length 0 where it is longer.
    quick: Vec<(u8, u8)>,
    /// By length: the first code beyond, its bits at the left end of 16; and what to add to a code for its
    /// place.
    beyond: [u32; 17],
    places: [i32; 17],
    bytes: Vec<u8>,
}

impl Huffman {
    /// The table at the beginning of `rest`, and what follows it.
    pub fn new(rest: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let (bytes, rest) = rest.split_at_checked(total)?;
        let mut quick = vec![(0, 0); 1 << QUICK];
        let (mut beyond, mut places) = ([0; 17], [0; 17]);
        let (mut code, mut place) = (0_u32, 0_usize);
        for length in 1..=16 {
            let count = u32::from(counts[length - 1]);
            if code + count > 1 << length {
                return None;
            }
            places[length] = place as i32 - code as i32;
            for _ in 0..count {
                if length as u32 <= QUICK {
                    let spread = QUICK - length as u32;
                    let first = (code << spread) as usize;
                    quick[first..first + (1 << spread)].fill((length as u8, bytes[place]));
                }
                (code, place) = (code + 1, place + 1);
            }
            beyond[length] = code << (16 - length);
            code <<= 1;
        }
        Some((Self { quick, beyond, places, bytes: bytes.to_vec() }, rest))
    }
}

/// The bits of a scan up to a marker.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next `held` bits, at the left end.
    next: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest, next: 0, held: 0 }
    }

    /// The next byte that is no marker's.
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = match self.rest {
            [0xff, 0, rest @ ..] => (0xff, rest),
            [0xff, ..] | [] => return None,
            [byte, rest @ ..] => (*byte, rest),
        };
        self.rest = rest;
        Some(byte)
    }

    fn fill(&mut self) {
        while self.held <= 56
            && let Some(byte) = self.byte()
        {
            self.next |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    /// A number of up to 16 bits; `None` where they are not there.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        if self.held < count {
            self.fill();
        }
        self.held = self.held.checked_sub(count)?;
        let bits = self.next >> (64 - count);
        self.next <<= count;
        Some(bits as u32)
    }

    /// The byte that the next code stands for.
    pub fn code(&mut self, table: &Huffman) -> Option<u8> {
        if self.held < 16 {
            self.fill();
        }
        let (length, byte) = table.quick[(self.next >> (64 - QUICK)) as usize];
        if length > 0 {
            self.take(u32::from(length))?;
            return Some(byte);
        }
        let code = (self.next >> 48) as u32;
        let length = (1..=16).find(|&length| code < table.beyond[length])?;
        self.take(length as u32)?;
        let place = (code >> (16 - length)) as i32 + table.places[length];
        table.bytes.get(usize::try_from(place).ok()?).copied()
    }

    /// Whether only filling follows: the rest of a byte, and whole bytes of zeros or ones, which some
    /// cameras write. What the marker stands before.
    pub fn end(mut self) -> Option<&'a [u8]> {
        self.take(self.held % 8)?;
        let fills = |byte: u32| byte == 0 || byte == 0xff;
        while self.held > 0 {
            if !fills(self.take(8)?) {
                return None;
            }
        }
        while let Some(byte) = self.byte() {
            if !fills(u32::from(byte)) {
                return None;
            }
        }
        Some(self.rest)
    }
}
