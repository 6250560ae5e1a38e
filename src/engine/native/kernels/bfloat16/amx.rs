//! With AMX, and with AVX-512 to bring values into its tiles. Stable Rust has no functions for AMX, so that the loops
//! are assembly. The tiles' registers are as the system gives them, unused, before and after each of them.

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512, __m512i, _mm512_add_ps, _mm512_cvtne2ps_pbh, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::sync::LazyLock;

use super::{Bfloat16, Given, LINE, Line, Row, SIDE, Square, Tall, Tile};

pub(super) static FORM: Bfloat16<f32> =
    Bfloat16 { name: "AMX", round, pair, turn, tall, square, give };

/// Whether the processor has the instructions and the system grants this process the tiles' registers.
pub(super) fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        avx512 && has_tiles() && are_granted()
    });
    *IS_AVAILABLE
}

/// By the processor's own word: AMX-TILE and AMX-BF16.
fn has_tiles() -> bool {
    const TILE: u32 = 1 << 24;
    const BF16: u32 = 1 << 22;
    // AVX-512, which was found before, stands in the same leaf.
    __cpuid_count(7, 0).edx & (TILE | BF16) == TILE | BF16
}

/// Linux gives a process these registers when it asks for them, for all its threads.
#[cfg(target_os = "linux")]
fn are_granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers, and no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn are_granted() -> bool {
    false
}

/// All eight tiles: 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Layout {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    bytes_of_a_row: [u16; 16],
    rows: [u8; 16],
}

static LAYOUT: Layout = Layout {
    palette: 1,
    first_row: 0,
    reserved: [0; 14],
    bytes_of_a_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// # Safety
/// The processor has AMX, and the lengths are checked.
unsafe fn tall(run: &Tall<'_>, sums: &mut [Tile; 4]) {
    if run.offsets.is_empty() {
        return *sums = [Tile::ZERO; 4];
    }
    let [first, second, third, fourth] = run.starts.map(|start| &raw const run.left[start]);
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "ldtilecfg [{layout}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {offset}, [{offsets}]",
            "shl {offset}, 6",
            "tileloadd tmm4, [{right} + {line}]",
            "add {first}, {offset}",
            "tileloadd tmm5, [{first} + {row}]",
            "sub {first}, {offset}",
            "add {second}, {offset}",
            "tileloadd tmm6, [{second} + {row}]",
            "sub {second}, {offset}",
            "tdpbf16ps tmm0, tmm5, tmm4",
            "add {third}, {offset}",
            "tileloadd tmm7, [{third} + {row}]",
            "sub {third}, {offset}",
            "tdpbf16ps tmm1, tmm6, tmm4",
            "add {fourth}, {offset}",
            "tileloadd tmm5, [{fourth} + {row}]",
            "sub {fourth}, {offset}",
            "tdpbf16ps tmm2, tmm7, tmm4",
            "add {right}, 1024",
            "add {offsets}, 8",
            "tdpbf16ps tmm3, tmm5, tmm4",
            "cmp {offsets}, {end}",
            "jb 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            "tilerelease",
            layout = in(reg) &raw const LAYOUT,
            line = in(reg) size_of::<Line>(),
            row = in(reg) run.row_step * size_of::<Line>(),
            first = inout(reg) first => _,
            second = inout(reg) second => _,
            third = inout(reg) third => _,
            fourth = inout(reg) fourth => _,
            offsets = inout(reg) run.offsets.as_ptr() => _,
            end = in(reg) run.offsets.as_ptr_range().end,
            right = inout(reg) run.right.as_ptr() => _,
            sums = in(reg) sums,
            offset = out(reg) _,
            options(nostack),
        );
    }
}

/// # Safety
/// The processor has AMX, and the lengths are checked.
unsafe fn square(run: &Square<'_>, sums: &mut [Tile; 4]) {
    if run.offsets.is_empty() {
        return;
    }
    let [upper, lower] = run.lefts.map(|left| &raw const run.left[left]);
    let [near, far] = run.rights.map(|right| &raw const run.right[right]);
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "ldtilecfg [{layout}]",
            "tileloadd tmm0, [{sums} + {line}]",
            "tileloadd tmm1, [{sums} + {line} + 1024]",
            "tileloadd tmm2, [{sums} + {line} + 2048]",
            "tileloadd tmm3, [{sums} + {line} + 3072]",
            "2:",
            "mov {offset}, [{offsets}]",
            "shl {offset}, 6",
            "tileloadd tmm4, [{upper} + {line}]",
            "add {near}, {offset}",
            "tileloadd tmm6, [{near} + {line}]",
            "sub {near}, {offset}",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "add {far}, {offset}",
            "tileloadd tmm7, [{far} + {line}]",
            "sub {far}, {offset}",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {line}]",
            "add {upper}, 1024",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {lower}, 1024",
            "add {offsets}, 8",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "cmp {offsets}, {end}",
            "jb 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            "tilerelease",
            layout = in(reg) &raw const LAYOUT,
            line = in(reg) size_of::<Line>(),
            upper = inout(reg) upper => _,
            lower = inout(reg) lower => _,
            near = inout(reg) near => _,
            far = inout(reg) far => _,
            offsets = inout(reg) run.offsets.as_ptr() => _,
            end = in(reg) run.offsets.as_ptr_range().end,
            sums = in(reg) sums,
            offset = out(reg) _,
            options(nostack),
        );
    }
}

/// Up to 16 channels of a pixel, zeros beyond; of a pixel that is missing, zeros alone.
///
/// # Safety
/// The channels from `first` on that the row has can be read.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(row: &Row<'_, f32>, pixel: usize, first: usize) -> __m512 {
    if pixel >= row.pixels || first >= row.channels {
        return _mm512_setzero_ps();
    }
    let mask = u16::MAX >> (SIDE - (row.channels - first).min(SIDE));
    // SAFETY: the row is long enough for the pixel's channels, and only these are read.
    unsafe { _mm512_maskz_loadu_ps(mask, row.values.as_ptr().add(pixel * row.step + first)) }
}

/// Rounded: 16 values of `low`, then 16 of `high`.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn join(low: __m512, high: __m512) -> __m512i {
    let joined = _mm512_cvtne2ps_pbh(high, low);
    // SAFETY: both are 64 bytes without further meaning.
    unsafe { std::mem::transmute(joined) }
}

/// # Safety
/// The processor has AVX-512 with BF16, and the lengths are checked.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn round(row: &Row<'_, f32>, lines: &mut [Line]) {
    let each = row.channels.div_ceil(LINE);
    for (pixel, lines) in lines.chunks_exact_mut(each).take(row.pixels).enumerate() {
        for (first, line) in (0..).step_by(LINE).zip(lines) {
            // SAFETY: the pixel is one of the row's; a line is a vector.
            unsafe {
                let rounded = join(load(row, pixel, first), load(row, pixel, first + SIDE));
                _mm512_storeu_si512(line.0.as_mut_ptr().cast(), rounded);
            }
        }
    }
}

/// Channel by channel the values of two pixels.
///
/// # Safety
/// The pixels that the row has can be read.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
unsafe fn paired(row: &Row<'_, f32>, first: usize) -> __m512i {
    const ORDER: [u16; LINE] = {
        let mut order = [0; LINE];
        let mut k = 0;
        while k < LINE {
            order[k] = (k / 2 + k % 2 * SIDE) as u16;
            k += 1;
        }
        order
    };
    // SAFETY: the caller's; the order is a vector.
    unsafe {
        let order = _mm512_loadu_si512(ORDER.as_ptr().cast());
        _mm512_permutexvar_epi16(order, join(load(row, first, 0), load(row, first + 1, 0)))
    }
}

/// # Safety
/// The processor has AVX-512 with BF16, and the lengths are checked.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pair(row: &Row<'_, f32>, lines: &mut [Line]) {
    for (first, line) in (0..row.pixels).step_by(2).zip(lines) {
        // SAFETY: the pixel is one of the row's; a line is a vector.
        unsafe { _mm512_storeu_si512(line.0.as_mut_ptr().cast(), paired(row, first)) };
    }
}

/// Pairs of pixels are rows of a square of 32-bit values, which is transposed.
///
/// # Safety
/// The processor has AVX-512 with BF16, and the lengths are checked.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn turn(row: &Row<'_, f32>, lines: &mut [Line]) {
    let mut pairs = [_mm512_setzero_si512(); SIDE];
    for (place, pair) in pairs.iter_mut().enumerate() {
        // SAFETY: pixels that the row does not have are not read.
        *pair = unsafe { paired(row, 2 * place) };
    }
    for (line, turned) in lines.iter_mut().zip(transposed(pairs)) {
        // SAFETY: a line is a vector.
        unsafe { _mm512_storeu_si512(line.0.as_mut_ptr().cast(), turned) };
    }
}

/// By neighbours, by pairs of neighbours, then by the four quarters of a vector.
#[target_feature(enable = "avx512f")]
#[inline]
fn transposed(rows: [__m512i; SIDE]) -> [__m512i; SIDE] {
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let mut fours = rows;
    for i in (0..SIDE).step_by(4) {
        let low = [0, 2].map(|k| _mm512_unpacklo_epi32(rows[i + k], rows[i + k + 1]));
        let high = [0, 2].map(|k| _mm512_unpackhi_epi32(rows[i + k], rows[i + k + 1]));
        fours[i] = _mm512_unpacklo_epi64(low[0], low[1]);
        fours[i + 1] = _mm512_unpackhi_epi64(low[0], low[1]);
        fours[i + 2] = _mm512_unpacklo_epi64(high[0], high[1]);
        fours[i + 3] = _mm512_unpackhi_epi64(high[0], high[1]);
    }
    let mut columns = fours;
    for j in 0..4 {
        let even = [0, 8].map(|k| _mm512_shuffle_i32x4::<EVEN>(fours[k + j], fours[k + 4 + j]));
        let odd = [0, 8].map(|k| _mm512_shuffle_i32x4::<ODD>(fours[k + j], fours[k + 4 + j]));
        columns[j] = _mm512_shuffle_i32x4::<EVEN>(even[0], even[1]);
        columns[4 + j] = _mm512_shuffle_i32x4::<EVEN>(odd[0], odd[1]);
        columns[8 + j] = _mm512_shuffle_i32x4::<ODD>(even[0], even[1]);
        columns[12 + j] = _mm512_shuffle_i32x4::<ODD>(odd[0], odd[1]);
    }
    columns
}

/// # Safety
/// The processor has AVX-512, and the lengths are checked.
#[target_feature(enable = "avx512f")]
unsafe fn give(given: &Given<'_>, values: &mut [f32]) {
    let mask = u16::MAX >> (SIDE - given.channels);
    for pixel in 0..given.pixels {
        // SAFETY: the tile has the pixel's row, and the values its channels.
        unsafe {
            let sums = _mm512_loadu_ps(given.sums.0.as_ptr().add(pixel * SIDE));
            let sums = _mm512_add_ps(sums, _mm512_loadu_ps(given.bias.as_ptr()));
            _mm512_mask_storeu_ps(values.as_mut_ptr().add(pixel * given.step), mask, sums);
        }
    }
}
